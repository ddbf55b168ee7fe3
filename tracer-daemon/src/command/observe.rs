//! Flows, live or recorded: read lines, keep what passes the filters, show it, and say what is missing.

mod compact;
mod filter;
mod fleet;
mod journal;
mod live;
mod merge;
mod next;
mod paint;
mod stream;
mod tape;
mod wide;

pub(super) use compact::pair;
pub(super) use filter::ends;
pub use filter::{Filter, Filters, PodName, Test, WorkloadName};
pub(super) use fleet::Kept;
pub(super) use live::Asked;
pub use next::End;
pub(super) use next::Next;
pub(super) use paint::End as Named;
pub(super) use stream::Stream;

use super::Failure;
use super::daemons::Daemons;
use crate::sink::wire::{Garbage, Line, Loss, Record};
use crate::source::cluster::watch::Target;
use jiff::Timestamp;
use std::collections::VecDeque;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;

/// Where records are read from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    Socket(PathBuf),
    Journal(PathBuf),
    Tape(PathBuf),
    /// Every node's daemon, through the API server; those in this namespace.
    Fleet(Target, String),
}

impl Source {
    /// Whoever can be asked about what they saw; nobody, where it was recorded.
    pub(super) async fn daemons(&self) -> Result<Option<Daemons>, Failure> {
        match self {
            Self::Socket(path) => Ok(Some(Daemons::local(path))),
            Self::Fleet(target, namespace) => Daemons::every(target, namespace).await.map(Some),
            Self::Journal(_) | Self::Tape(_) => Ok(None),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Format {
    /// In so many columns.
    Compact(usize),
    Wide,
    Json,
}

#[derive(Debug)]
pub struct Observe {
    pub source: Source,
    pub follow: bool,
    pub last: Option<usize>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Probes and scrapes too.
    pub all: bool,
    pub filters: Filters,
    pub format: Format,
}

/// What became of the lines that were read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    pub shown: u64,
    /// Probes and scrapes that no `--all` asked for.
    pub hidden: u64,
    pub garbage: u64,
    /// Lines of a version that we do not read.
    pub foreign: u64,
    pub lost: Loss,
    /// How the source ended.
    pub end: End,
}

/// Shows flows until the source ends or `enough` says so. Records go to `out`; the summary is the caller's to print.
pub async fn observe(
    what: Observe,
    out: &mut (impl Write + ?Sized),
    enough: impl Future<Output = ()>,
) -> Result<Summary, Failure> {
    let mut stream = Stream::open(&what.source, Asked::of(&what)).await?;
    let mut enough = std::pin::pin!(enough);
    let mut summary = Summary::default();
    let mut last = VecDeque::new();
    // What was there at the beginning counts for --last; what follows is shown as it comes.
    let mut keep = what.last;
    loop {
        let line = tokio::select! {
            biased;
            () = &mut enough => break,
            line = stream.next() => line?,
        };
        match line {
            Next::Line(line, said) => {
                let Some(record) = what.take(said, &mut summary) else { continue };
                summary.shown += 1;
                last.push_back((record, line));
                match keep {
                    None => what.show_all(&mut last, out)?,
                    Some(count) if last.len() > count => {
                        last.pop_front();
                        summary.shown -= 1;
                    }
                    Some(_) => {}
                }
            }
            Next::CaughtUp => {
                what.show_all(&mut last, out)?;
                keep = None;
                out.flush().map_err(Failure::output)?;
            }
            Next::End(end) => {
                summary.end = end;
                break;
            }
        }
    }
    what.show_all(&mut last, out)?;
    out.flush().map_err(Failure::output)?;
    Ok(summary)
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shown, hidden, garbage, foreign, lost: Loss { events, records }, end: _ } = self;
        write!(f, "{shown} shown")?;
        if *hidden > 0 {
            write!(f, ", {hidden} probes and scrapes hidden (--all shows them)")?;
        }
        if *garbage > 0 {
            write!(f, ", {garbage} lines skipped that are no records")?;
        }
        if *foreign > 0 {
            write!(f, ", {foreign} lines skipped that another version wrote")?;
        }
        write!(f, ", {records} lost")?;
        if *events > 0 {
            write!(f, ", and {events} kernel events: some flows may be missing or told with doubts")?;
        }
        Ok(())
    }
}

impl Observe {
    fn take(&self, said: Result<Line, Garbage>, summary: &mut Summary) -> Option<Box<Record>> {
        let record = match said {
            Ok(Line::Record(record)) => record,
            Ok(Line::Lost(loss)) => {
                summary.lost += loss;
                return None;
            }
            Err(Garbage::Version(_)) => {
                summary.foreign += 1;
                return None;
            }
            Err(Garbage::Json(_)) => {
                summary.garbage += 1;
                return None;
            }
        };
        let in_time =
            self.since.is_none_or(|since| record.time >= since) && self.until.is_none_or(|until| record.time <= until);
        if !in_time || !self.filters.pass(&record) {
            return None;
        }
        if !self.all && record.traffic != "app" {
            summary.hidden += 1;
            return None;
        }
        Some(record)
    }

    fn show(&self, record: &Record, line: &str, out: &mut (impl Write + ?Sized)) -> std::io::Result<()> {
        match self.format {
            Format::Compact(columns) => writeln!(out, "{}", compact::line(record, columns)),
            Format::Wide => out.write_all(wide::block(record).as_bytes()),
            Format::Json => writeln!(out, "{}", line.trim_end()),
        }
    }

    fn show_all(
        &self,
        kept: &mut VecDeque<(Box<Record>, String)>,
        out: &mut (impl Write + ?Sized),
    ) -> Result<(), Failure> {
        for (record, line) in kept.drain(..) {
            self.show(&record, &line, out).map_err(Failure::output)?;
        }
        Ok(())
    }
}
