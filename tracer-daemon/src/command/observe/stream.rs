//! Lines from wherever they come: the socket, a journal, a tape, every node.

use super::super::Failure;
use super::super::socket;
use super::Source;
use super::fleet::{Fleet, Kept};
use super::journal::Journal;
use super::live::{Asked, Live};
use super::next::Next;
use super::tape::Tape;
use std::collections::BTreeMap;
use tracer_engine::net::Name;

#[derive(Debug)]
pub(in crate::command) enum Stream {
    Socket(Live),
    Journal(Journal),
    Tape(Tape),
    Fleet(Box<Fleet>),
}

impl Stream {
    pub(in crate::command) async fn open(source: &Source, asked: Asked) -> Result<Self, Failure> {
        match source {
            Source::Journal(path) => Journal::open(path, asked.follow).map(Self::Journal),
            Source::Tape(path) => Tape::open(path).map(Self::Tape),
            Source::Socket(path) => {
                let lines = socket::ask(path, &asked.request()).await?;
                Ok(Self::Socket(Live::new(lines, asked)))
            }
            Source::Fleet(target, namespace) => {
                Fleet::open(target, namespace, asked).await.map(|fleet| Self::Fleet(Box::new(fleet)))
            }
        }
    }

    /// What each node's daemon remembers, as far as it was read; nothing where all of it is told.
    pub(in crate::command) fn kept(&self) -> Option<&BTreeMap<Name, Kept>> {
        match self {
            Self::Fleet(fleet) => Some(fleet.kept()),
            Self::Socket(_) | Self::Journal(_) | Self::Tape(_) => None,
        }
    }

    /// Cancel safe.
    pub(in crate::command) async fn next(&mut self) -> Result<Next, Failure> {
        match self {
            Self::Journal(journal) => journal.next().await,
            Self::Tape(tape) => Ok(tape.next().await),
            Self::Socket(live) => live.next().await,
            Self::Fleet(fleet) => fleet.next().await,
        }
    }
}
