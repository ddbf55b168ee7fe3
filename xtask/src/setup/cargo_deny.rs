//! cargo-deny: licences, sources and doubles among the dependencies.

use std::process::Command;

use anyhow::Result;

use crate::shell;
use crate::workspace::Workspace;

const VERSION: &str = "0.20.2";

pub(super) fn missing(workspace: &Workspace) -> Option<String> {
    let program = workspace.tools().join("bin/cargo-deny");
    let there = shell::read(Command::new(program).arg("--version")).is_ok_and(|says| says.contains(VERSION));
    (!there).then(|| format!("cargo-deny {VERSION}, judges the dependencies: built from crates.io, 1 to 2 minutes"))
}

pub(super) fn install(workspace: &Workspace) -> Result<()> {
    super::cargo_install(workspace, "cargo-deny", VERSION, |cargo| {
        cargo.arg("--no-default-features");
        // It runs for a second, so what counts is how long it compiles: a full optimisation takes four times as long.
        cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
        cargo.env("CARGO_PROFILE_RELEASE_LTO", "off");
        cargo.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    })
}
