//! What was read of the time that is meant, and what is known of what is missing in it.

use super::super::observe::Kept;
use super::gather::Gathered;
use super::subject::Subject;
use crate::sink::wire::{self, Garbage, Line, Loss, Record};
use jiff::Timestamp;
use std::collections::BTreeMap;
use tracer_engine::net::Name;

#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) gathered: Gathered,
    /// What is kept of each node, as far as it was read.
    pub(super) kept: BTreeMap<Name, Kept>,
    /// Date of the first and of the last line, as far as they were read.
    pub(super) oldest: Option<Timestamp>,
    pub(super) newest: Option<Timestamp>,
    /// What was kept before the time that is meant is there as well.
    pub(super) covered: bool,
    pub(super) lost: Loss,
    pub(super) garbage: u64,
    /// Lines of a version that we do not read.
    pub(super) foreign: u64,
    /// The source broke off here.
    pub(super) cut: Option<String>,
}

impl Found {
    pub(super) fn line(&mut self, line: &str, said: Result<Line, Garbage>, subject: &Subject, span: Span) {
        match said {
            Ok(Line::Record(record)) => self.record(&record, subject, span),
            Ok(Line::Lost(loss)) => match wire::head(line.as_bytes()).and_then(|(date, _)| time(date)) {
                Some(time) if !self.date(time, span) => {}
                _ => self.lost += loss,
            },
            Err(Garbage::Version(_)) => self.foreign += 1,
            Err(Garbage::Json(_)) => self.garbage += 1,
        }
    }

    pub(super) fn record(&mut self, record: &Record, subject: &Subject, span: Span) {
        Kept::one(&mut self.kept, &record.node, record.time);
        if self.date(record.time, span) {
            self.gathered.take(subject, record);
        }
    }

    /// Whether it lies within the time that is meant.
    pub(super) fn date(&mut self, time: Timestamp, span: Span) -> bool {
        self.oldest = Some(self.oldest.map_or(time, |oldest| oldest.min(time)));
        self.newest = Some(self.newest.map_or(time, |newest| newest.max(time)));
        self.covered |= time < span.since;
        time >= span.since && time <= span.until
    }
}

pub(super) fn time(date: &[u8]) -> Option<Timestamp> {
    std::str::from_utf8(date).ok()?.parse().ok()
}
