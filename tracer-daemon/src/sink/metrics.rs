//! Prometheus metrics (`docs`: the metrics contract). The only importer of prometheus-client.
//!
//! Three handles on one registry: the engine's thread has the `Recorder` and counts every record where it is made, so
//! no queue can lose a count; whoever watches probes and facts has the `Board`; the scrape has the `Exposition`.

mod board;
mod exposition;
mod flows;
mod labels;
mod process;
mod series;

pub use board::{Board, Stage};
pub use exposition::{Exposition, Format};
pub use flows::Recorder;

use jiff::Timestamp;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use tracer_engine::net::Name;

#[derive(Clone, Debug)]
pub struct Options {
    /// Series of the families that name workloads, at most.
    pub max_series: usize,
    pub started: Timestamp,
    pub kernel: String,
    /// The daemon's own node.
    pub node: Name,
}

impl Options {
    pub const MAX_SERIES: usize = 10_000;
}

pub fn new(options: &Options) -> (Recorder, Board, Arc<Exposition>) {
    let mut registry = Registry::default();
    process::register(&mut registry, options);
    let ours = registry.sub_registry_with_prefix("meshtracer");
    let recorder = Recorder::register(ours, options.max_series, &options.node);
    let board = Board::register(ours);
    (recorder, board, Arc::new(Exposition::new(registry)))
}
