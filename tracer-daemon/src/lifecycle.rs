//! How the daemon begins and ends: ready when everybody who said "wait for me" is done; stopped from the sources to
//! the sinks.

mod drain;
mod ready;

pub use drain::{DRAIN_WITHIN, Drain, Stop};
pub use ready::{BlockReady, Ready};
