//! Where records go: the journal, readers of the socket, metrics. No sink knows a source, and none can slow the
//! engine: what a sink cannot take is counted and told.

mod told;

pub mod http;
pub mod journal;
pub mod live;
pub mod metrics;
pub mod wire;

pub use told::Told;
