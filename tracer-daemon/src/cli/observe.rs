//! Arguments of `observe`. The filters themselves are in `filters`: there the order of the flags counts.

use super::DEFAULT_SOCKET;
use super::filters::FilterArgs;
use super::kube::KubeArgs;
use super::value::Since;
use crate::command::observe::Filter;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct ObserveArgs {
    /// Go on with flows as they are seen
    #[arg(short, long, conflicts_with = "tape")]
    pub follow: bool,
    /// Only the last N flows that pass the filters
    #[arg(long, value_name = "N")]
    pub last: Option<usize>,
    /// Only from then on: a time (2026-11-23T10:00:00Z) or how long ago (5m)
    #[arg(long, value_name = "TIME")]
    pub since: Option<Since>,
    /// Only until then
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    pub until: Option<Since>,
    /// Kubelet's probes and metrics scrapes too
    #[arg(long)]
    pub all: bool,
    /// compact: a line a flow; wide: everything that matters; json: the records themselves
    #[arg(short, long, value_name = "FORMAT", default_value = "compact")]
    pub output: Format,
    #[command(flatten)]
    pub from: RecordSource,
    #[command(flatten)]
    pub fleet: FleetArgs,
    #[command(flatten)]
    flags: FilterArgs,
    /// What the flags of `FilterArgs` say, each negated or not.
    #[arg(skip)]
    pub filters: Vec<Filter>,
}

#[derive(Debug, Args)]
pub struct RecordSource {
    /// Where the running daemon listens
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET, help_heading = "Source")]
    pub socket: PathBuf,
    /// A journal instead of the running daemon; its predecessor FILE.1 is read first
    #[arg(long, value_name = "FILE", conflicts_with = "socket", help_heading = "Source")]
    pub journal: Option<PathBuf>,
    /// A tape that `run --tape` wrote: its flows are judged again
    #[arg(long, value_name = "FILE", conflicts_with_all = ["socket", "journal"], help_heading = "Source")]
    pub tape: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct FleetArgs {
    /// Every node's daemon, by an exec into its pod: whatever kubectl may do, from any machine
    #[arg(short = 'A', long, conflicts_with_all = ["socket", "journal", "tape"], help_heading = "Source")]
    pub all_nodes: bool,
    /// With --all-nodes: where the DaemonSet is
    #[arg(long, value_name = "NAMESPACE", default_value = "mesh-tracer", help_heading = "Source")]
    pub tracer_namespace: String,
    #[command(flatten)]
    pub kube: KubeArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    Compact,
    Wide,
    Json,
}
