//! What compiles for arm64 on amd64: Rust's library for it, and a C compiler with its libraries.

use std::process::Command;

use anyhow::{Context, Result};

use super::debian::{self, Program};
use super::rust_src::sysroot;
use crate::shell;
use crate::workspace::Workspace;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const COMPILER: [Program; 1] = [Program { name: "aarch64-linux-gnu-gcc", package: "gcc-aarch64-linux-gnu" }];

pub(super) fn missing() -> Option<String> {
    let there = sysroot().is_ok_and(|sysroot| sysroot.join("lib/rustlib").join(TARGET).is_dir());
    debian::missing(&COMPILER).or_else(|| (!there).then(|| format!("Rust's library for {TARGET}: 30 MB")))
}

pub(super) fn install(workspace: &Workspace) -> Result<()> {
    if debian::missing(&COMPILER).is_some() {
        debian::install_packages(&["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"])?;
    }
    shell::run(Command::new("rustup").args(["target", "add", TARGET]).current_dir(workspace.root()))
        .context("rustup cannot bring it: arm64 needs its downloads")
}
