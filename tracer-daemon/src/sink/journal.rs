//! Records as JSON lines in a file: bounded, rotated once, and never the reason why something else stops.
//!
//! A write that fails (disk full, file gone) costs the lines it could not take. They are counted, said once, and the
//! next batch tries again; a line is written whole or not at all.

mod file;
mod queue;

pub use file::predecessor;
pub use queue::Queue;

use super::wire::Text;
use file::{Rotating, WriteError};
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::{info, warn};

/// Where a journal goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// `-`
    Stdout,
    File(PathBuf),
}

#[derive(Debug)]
pub struct Journal {
    writer: Writer,
    target: Target,
    /// Lines lost since writing last worked.
    failing: Option<u64>,
    counts: Arc<Counts>,
}

/// Read by status and metrics while the journal is written.
#[derive(Debug, Default)]
pub struct Counts {
    pub written: AtomicU64,
    pub lost: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "cannot write the journal {path}: {error}; name a file in a folder that is there and writable (--journal FILE)"
)]
pub struct OpenError {
    path: String,
    error: io::Error,
}

/// The other end of stdout was closed: nobody reads this journal any more.
#[derive(PartialEq, Eq, Debug)]
pub struct Closed;

#[derive(Debug)]
enum Writer {
    Stdout(io::Stdout),
    File(Rotating),
}

impl Journal {
    /// `size` bounds the file and its predecessor (`FILE.1`) together.
    pub fn open(target: Target, size: u64) -> Result<Self, OpenError> {
        let writer = match &target {
            Target::Stdout => Writer::Stdout(io::stdout()),
            Target::File(path) => Writer::File(
                Rotating::open(path.clone(), size / 2)
                    .map_err(|error| OpenError { path: path.display().to_string(), error })?,
            ),
        };
        Ok(Self { writer, target, failing: None, counts: Arc::default() })
    }

    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Writes what it can of a batch.
    pub fn write(&mut self, lines: &[Text]) -> Result<(), Closed> {
        if lines.is_empty() {
            return Ok(());
        }
        let (written, error) = match &mut self.writer {
            Writer::Stdout(stdout) => print(stdout, lines)?,
            Writer::File(file) => match file.write(lines) {
                Ok(()) => (lines.len(), None),
                Err(WriteError { written, error }) => (written, Some(error)),
            },
        };
        let lost = (lines.len() - written) as u64;
        self.counts.written.fetch_add(written as u64, Ordering::Relaxed);
        self.counts.lost.fetch_add(lost, Ordering::Relaxed);
        self.tell(lost, error);
        Ok(())
    }

    /// Said when it starts and when it is over, not for every line in between.
    fn tell(&mut self, lost: u64, error: Option<io::Error>) {
        match (error, self.failing.take()) {
            (None, None) => {}
            (None, Some(before)) => info!("journal {}: written again, {before} records were lost", self.target),
            (Some(_), Some(before)) => self.failing = Some(before + lost),
            (Some(error), None) => {
                let target = &self.target;
                warn!(
                    "journal {target}: {error}; records are lost (and counted) until it can be written again: \
                     free space there or name another file with --journal"
                );
                self.failing = Some(lost);
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("-"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

fn print(stdout: &mut io::Stdout, lines: &[Text]) -> Result<(usize, Option<io::Error>), Closed> {
    let mut stdout = stdout.lock();
    for (written, line) in lines.iter().enumerate() {
        match stdout.write_all(line.as_bytes()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(Closed),
            Err(error) => return Ok((written, Some(error))),
        }
    }
    match stdout.flush() {
        Ok(()) => Ok((lines.len(), None)),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Closed),
        Err(error) => Ok((0, Some(error))),
    }
}
