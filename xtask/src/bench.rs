//! `cargo xtask bench`: what mesh-tracer costs, measured beside the same without it and beside its peers, in one run
//! and in turns, because machines drift.

pub(crate) mod cluster;
pub(crate) mod engine;
pub(crate) mod kernel;
pub(crate) mod storm;

mod figures;
mod ground;
