//! Where records go: the journal, readers of the socket, metrics, and, where asked for, Kubernetes Events. No sink knows a
//! source, and none can slow the engine: what a sink cannot take is counted and told.

mod told;

pub mod announce;
pub mod http;
pub mod journal;
pub mod live;
pub mod metrics;
pub mod wire;

pub use told::Told;
