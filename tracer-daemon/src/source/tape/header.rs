//! The first line: what the tape is, where it was recorded, and what the engine was set to.

use super::{TapeError, VERSION};
use crate::source::cluster::IstioInstallation;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a replay must know beside the inputs.
#[derive(Clone, PartialEq, Debug)]
pub struct TapeHeader {
    /// `uname -r`
    pub kernel: String,
    pub node: String,
    /// Wall time at which the kernel's monotonic clock stood at zero: dates the records.
    pub boot: Timestamp,
    /// When the daemon was started: the ids of its flows bear it. The first version does not say.
    pub started: Option<Timestamp>,
    /// Whether the kernel read first payloads.
    pub first_bytes: bool,
    pub istio: IstioInstallation,
    pub verdict_deadline: Duration,
    pub stall_deadline: Duration,
    /// Whether the facts have pods of other nodes too (`run --pods all`).
    pub pods_of_all_nodes: bool,
}

/// Looked at before all else, so that a later format is called by its version whatever else it changed.
#[derive(Deserialize)]
struct Format {
    mesh_tracer_tape: u32,
}

#[derive(Serialize, Deserialize)]
struct HeaderLine {
    mesh_tracer_tape: u32,
    recorded_by: String,
    kernel: String,
    node: String,
    boot: Timestamp,
    #[serde(default)]
    started: Option<Timestamp>,
    #[serde(default = "yes")]
    first_bytes: bool,
    istio_namespace: String,
    revisions: Vec<String>,
    verdict_deadline_ms: u64,
    stall_deadline_ms: u64,
    #[serde(default = "yes")]
    pods_of_all_nodes: bool,
}

impl TapeHeader {
    pub(super) fn to_line(&self) -> impl Serialize + use<> {
        let Self {
            kernel,
            node,
            boot,
            started,
            first_bytes,
            istio,
            verdict_deadline,
            stall_deadline,
            pods_of_all_nodes,
        } = self;
        let IstioInstallation { namespace, revisions } = istio;
        HeaderLine {
            mesh_tracer_tape: VERSION,
            recorded_by: format!("mesh-tracer {}", env!("CARGO_PKG_VERSION")),
            kernel: kernel.clone(),
            node: node.clone(),
            boot: *boot,
            started: *started,
            first_bytes: *first_bytes,
            istio_namespace: namespace.clone(),
            revisions: revisions.clone(),
            verdict_deadline_ms: millis(*verdict_deadline),
            stall_deadline_ms: millis(*stall_deadline),
            pods_of_all_nodes: *pods_of_all_nodes,
        }
    }

    pub(super) fn from_line(line: &[u8]) -> Result<Self, TapeError> {
        let no_tape = |error: &dyn std::fmt::Display| TapeError::NoTape(error.to_string());
        let Format { mesh_tracer_tape: version } = serde_json::from_slice(line).map_err(|e| no_tape(&e))?;
        if !(1..=VERSION).contains(&version) {
            return Err(TapeError::UnknownVersion(version));
        }
        let line: HeaderLine = serde_json::from_slice(line).map_err(|e| no_tape(&e))?;
        let HeaderLine {
            mesh_tracer_tape: _,
            recorded_by: _,
            kernel,
            node,
            boot,
            started,
            first_bytes,
            istio_namespace: namespace,
            revisions,
            verdict_deadline_ms,
            stall_deadline_ms,
            pods_of_all_nodes,
        } = line;
        Ok(Self {
            kernel,
            node,
            boot,
            started,
            first_bytes,
            istio: IstioInstallation { namespace, revisions },
            verdict_deadline: Duration::from_millis(verdict_deadline_ms),
            stall_deadline: Duration::from_millis(stall_deadline_ms),
            pods_of_all_nodes,
        })
    }
}

/// What every daemon did before there was a word for it.
fn yes() -> bool {
    true
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
