//! Inputs written down and given again: JSON lines in a zstd frame, the first of which says what the tape is
//! (`zstdcat TAPE | head -1`). Between the same inputs and the same records lies a pure fold, so a tape is all that a
//! bug report needs. Lines that are not compressed are read as well: the first version had none that were.
//!
//! A tape holds no more than the engine was told: reduced objects (`source::cluster::object`) and of first payload
//! bytes what was kept of them. The last line says how many inputs there are, so a tape cut anywhere, even between
//! two lines, is known for one.

mod dropped;
mod header;
mod line;
mod packing;
mod reader;
mod socket;
mod writer;

pub use header::TapeHeader;
pub use reader::{Cut, TapeReader};
pub use writer::TapeWriter;

use super::cluster::{ClusterEvent, IstioInstallation, LowerError, lower};
use jiff::Timestamp;
use std::io;
use tracer_engine::input::Input;
use tracer_engine::net::Ktime;
use tracer_engine::socket::KernelEvent;

/// The format that is written, and the newest that can be read; every one before it can be, too.
///
/// 1: plain lines. 2: compressed; the header says when the daemon was started and whether it read first payloads, and
/// the wall clock is an input. 3: a socket can be gone without a close.
pub const VERSION: u32 = 3;

/// One input, as it came from its source. Cluster events are kept as objects, not as the facts they were lowered to:
/// a better `lower` may make more of an old tape.
#[derive(Clone, PartialEq, Debug)]
pub enum Recorded {
    Kernel(KernelEvent),
    Cluster {
        at: Ktime,
        event: ClusterEvent,
    },
    Tick(Ktime),
    Lost {
        at: Ktime,
        count: u64,
    },
    /// The wall clock was set: what follows is dated by this time, at which the kernel's clock stood at zero.
    Clock(Timestamp),
}

#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    #[error("cannot read line {line} of the tape: {error}")]
    Unreadable { line: u64, error: io::Error },
    #[error("this is no tape: its first line is not the one that `run --tape` writes ({0})")]
    NoTape(String),
    #[error(
        "the tape has format version {0}, and {VERSION} is the newest known here: use the mesh-tracer that wrote it"
    )]
    UnknownVersion(u32),
    #[error("line {line} of the tape is damaged: {why}")]
    Damaged { line: u64, why: String },
}

impl Recorded {
    /// What the engine is told. `None`: nothing that concerns it.
    pub fn into_input(self, istio: &IstioInstallation) -> Result<Option<Input>, LowerError> {
        Ok(Some(match self {
            Recorded::Kernel(event) => event.into(),
            Recorded::Cluster { at, event } => match lower(&event, istio)? {
                Some(delta) => Input::Facts { at, delta },
                None => return Ok(None),
            },
            Recorded::Tick(at) => Input::Tick(at),
            Recorded::Lost { at, count } => Input::Lost { at, count },
            Recorded::Clock(_) => return Ok(None),
        }))
    }
}
