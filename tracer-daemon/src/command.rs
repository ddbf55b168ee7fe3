//! What a person asks for, besides the daemon itself. Each command takes plain values, writes its answer to the writer
//! that it is given, and says how it ended; `main` turns that into an exit status.

pub mod check;
pub mod explain;
pub mod observe;
pub mod page;
pub mod relay;
pub mod replay;
pub mod status;
pub mod why;

mod daemons;
mod paint;
mod socket;

use std::io;

/// How a command that could do its work ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    Yes,
    /// "No", or "degraded".
    No,
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What it was given is no good.
    #[error("{0:#}")]
    Input(anyhow::Error),
    /// What it needs is not there.
    #[error("{0:#}")]
    Unreached(anyhow::Error),
    /// Whoever read the output has read enough.
    #[error("the reader of the output is gone")]
    ClosedPipe,
}

impl Failure {
    pub fn input(error: impl Into<anyhow::Error>) -> Self {
        Self::Input(error.into())
    }

    pub fn unreached(error: impl Into<anyhow::Error>) -> Self {
        Self::Unreached(error.into())
    }

    /// Of writing to stdout.
    pub fn output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Unreached(anyhow::Error::new(error).context("cannot write the output")),
        }
    }
}
