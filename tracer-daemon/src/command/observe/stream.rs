//! Lines from wherever they come: the socket, a journal, a tape, every node.

use super::super::Failure;
use super::super::socket;
use super::fleet::Fleet;
use super::journal::Journal;
use super::live::{Asked, Live};
use super::next::Next;
use super::tape::Tape;
use super::{Observe, Source};

#[derive(Debug)]
pub(super) enum Stream {
    Socket(Live),
    Journal(Journal),
    Tape(Tape),
    Fleet(Box<Fleet>),
}

impl Stream {
    pub(super) async fn open(what: &Observe) -> Result<Self, Failure> {
        match &what.source {
            Source::Journal(path) => Journal::open(path, what.follow).map(Self::Journal),
            Source::Tape(path) => Tape::open(path).map(Self::Tape),
            Source::Socket(path) => {
                let asked = Asked::of(what);
                let lines = socket::ask(path, &asked.request()).await?;
                Ok(Self::Socket(Live::new(lines, asked)))
            }
            Source::Fleet(target, namespace) => {
                Fleet::open(target, namespace, Asked::of(what)).await.map(|fleet| Self::Fleet(Box::new(fleet)))
            }
        }
    }

    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Next, Failure> {
        match self {
            Self::Journal(journal) => journal.next().await,
            Self::Tape(tape) => Ok(tape.next().await),
            Self::Socket(live) => live.next().await,
            Self::Fleet(fleet) => fleet.next().await,
        }
    }
}
