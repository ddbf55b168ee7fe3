//! Meshes that come up, behave as recorded, and go. They need root, Envoy (`cargo xtask setup`), `ip` and `iptables`,
//! and fail without them.

#![expect(clippy::unwrap_used, reason = "in a test an unwrap is an assertion with a line number")]

mod calls;
mod pods;
mod remains;
mod teardown;

use std::path::PathBuf;

use tracer_lab::{Mesh, Options};

fn up(name: &str) -> Mesh {
    Mesh::up(name, &options()).unwrap()
}

fn options() -> Options {
    Options { program: Some(PathBuf::from(env!("CARGO_BIN_EXE_tracer-lab"))), ..Options::default() }
}
