//! Lines of a daemon that runs, and where what was recorded ends and what is new begins.

use super::super::Failure;
use super::super::socket::Lined;
use super::Observe;
use super::next::{End, Next};
use crate::sink::wire::{self, Backlog, Line, Request};

/// What is asked of a daemon.
#[derive(Clone, Copy, Debug)]
pub(in crate::command) struct Asked {
    pub(super) follow: bool,
    /// What was there before we came.
    pub(super) recorded: bool,
}

#[derive(Debug)]
pub(in crate::command) struct Live {
    lines: Lined,
    follow: bool,
    caught_up: bool,
    /// The end mark was the last line.
    ended: bool,
}

impl Live {
    /// The answer.
    pub(super) fn new(lines: Lined, Asked { follow, recorded }: Asked) -> Self {
        Self { lines, follow, caught_up: !recorded, ended: false }
    }

    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Next, Failure> {
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

impl Asked {
    pub(super) fn of(what: &Observe) -> Self {
        let recorded = !what.follow || what.last.is_some() || what.since.is_some();
        Self { follow: what.follow, recorded }
    }

    /// What it remembers, and nothing else.
    pub(in crate::command) fn remembered() -> Self {
        Self { follow: false, recorded: true }
    }

    /// What it remembers, and whatever comes then.
    pub(in crate::command) fn remembered_and_new() -> Self {
        Self { follow: true, recorded: true }
    }

    pub(super) fn request(self) -> Request {
        let backlog = if self.recorded { Backlog::All } else { Backlog::None };
        Request::Observe(wire::Observe { backlog, follow: self.follow })
    }
}
