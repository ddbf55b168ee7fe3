//! cargo-fuzz, and the nightly compiler that libFuzzer's instrumentation wants.

use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;
use crate::workspace::Workspace;

const VERSION: &str = "0.13.1";

/// Any nightly: nothing that is shipped is built with it.
pub(crate) const TOOLCHAIN: &str = "nightly";

pub(super) fn missing(workspace: &Workspace) -> Option<String> {
    if !has_nightly() {
        return Some("a nightly toolchain, for fuzzing only: by rustup, 1 minute".to_owned());
    }
    let program = workspace.tools().join("bin/cargo-fuzz");
    let there = shell::read(Command::new(program).arg("--version")).is_ok_and(|says| says.contains(VERSION));
    (!there).then(|| format!("cargo-fuzz {VERSION}, runs the fuzz targets: built from crates.io, 1 minute"))
}

pub(super) fn install(workspace: &Workspace) -> Result<()> {
    if !has_nightly() {
        let mut rustup = Command::new("rustup");
        rustup.args(["toolchain", "install", TOOLCHAIN, "--profile", "minimal", "--no-self-update"]);
        shell::run(&mut rustup).context("fuzzing needs rustup and a nightly toolchain")?;
    }
    super::cargo_install(workspace, "cargo-fuzz", VERSION, |cargo| {
        cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    })
}

fn has_nightly() -> bool {
    shell::read(Command::new("rustup").args(["toolchain", "list"]))
        .is_ok_and(|list| list.lines().any(|line| line.starts_with(TOOLCHAIN)))
}
