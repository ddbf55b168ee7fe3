//! What runs inside a pod: the way in, the application that answers, the application that calls, a
//! stand-in for ztunnel.
//!
//! Each is a process of its own, started from the `tracer-lab` program: a cgroup holds whole processes, never threads.

pub mod client;
pub mod enter;
pub mod server;
pub(crate) mod wire;
pub mod ztunnel;

mod exchange;
mod payload;
mod tally;
mod tls;
