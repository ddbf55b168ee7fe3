//! How cargo is called for tracer-ebpf, which is a workspace of its own: another target, another `core`.

use std::process::Command;

use crate::workspace::Workspace;

/// `core` has to be compiled along, which the pinned stable compiler does under `RUSTC_BOOTSTRAP`.
pub(crate) const TARGET: [&str; 4] = ["--target", "bpfel-unknown-none", "-Z", "build-std=core"];

pub(crate) fn cargo(workspace: &Workspace, subcommand: &str) -> Command {
    let mut cargo = workspace.cargo(&[subcommand]);
    cargo.current_dir(workspace.root().join("tracer-ebpf")).env("RUSTC_BOOTSTRAP", "1");
    cargo
}
