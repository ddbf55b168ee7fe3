//! Lines from the socket, a journal or a tape, and where what was recorded ends and what is new begins.

use super::super::Failure;
use super::super::socket::{self, Lined};
use super::journal::Journal;
use super::next::{End, Next};
use super::tape::Tape;
use super::{Observe, Source};
use crate::sink::wire::{self, Backlog, Line, Request};
use std::path::Path;

#[derive(Debug)]
pub(super) enum Stream {
    Socket(Live),
    Journal(Journal),
    Tape(Tape),
}

#[derive(Debug)]
pub(super) struct Live {
    lines: Lined,
    follow: bool,
    caught_up: bool,
    /// The end mark was the last line.
    ended: bool,
}

impl Stream {
    pub(super) async fn open(what: &Observe) -> Result<Self, Failure> {
        match &what.source {
            Source::Journal(path) => Journal::open(path, what.follow).map(Self::Journal),
            Source::Tape(path) => Tape::open(path).map(Self::Tape),
            Source::Socket(path) => {
                let recorded = !what.follow || what.last.is_some() || what.since.is_some();
                Live::ask(path, what.follow, recorded).await.map(Self::Socket)
            }
        }
    }

    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Next, Failure> {
        match self {
            Self::Journal(journal) => journal.next().await,
            Self::Tape(tape) => Ok(tape.next().await),
            Self::Socket(live) => live.next().await,
        }
    }
}

impl Live {
    async fn ask(path: &Path, follow: bool, recorded: bool) -> Result<Self, Failure> {
        let backlog = if recorded { Backlog::All } else { Backlog::None };
        let lines = socket::ask(path, &Request::Observe(wire::Observe { backlog, follow })).await?;
        Ok(Self { lines, follow, caught_up: !recorded, ended: false })
    }

    async fn next(&mut self) -> Result<Next, Failure> {
        let Some(line) = self.lines.next().await? else {
            return Ok(Next::End(if self.ended { End::Whole } else { End::Dropped }));
        };
        let said = wire::read(&line);
        // Zeros mark the end of the backlog and the end of the stream.
        let mark = matches!(said, Ok(Line::Lost(loss)) if loss.is_none());
        let first = mark && !self.caught_up;
        self.caught_up |= mark;
        self.ended = mark && !(first && self.follow);
        Ok(if first { Next::CaughtUp } else { Next::Line(line, said) })
    }
}
