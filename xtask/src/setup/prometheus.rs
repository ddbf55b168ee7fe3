//! Prometheus and promtool, as Debian builds them: unpacked and not installed, because installing would start a service.

use std::path::PathBuf;

use anyhow::Result;

use super::move_into_place;
use super::private_apt::PrivateApt;
use crate::workspace::Workspace;

const PACKAGE: &str = "prometheus";
const SUITE: &str = "bookworm";
const PROGRAMS: [&str; 2] = ["prometheus", "promtool"];

pub(super) fn missing(workspace: &Workspace) -> Option<String> {
    let there = PROGRAMS.iter().all(|program| folder(workspace).join(program).is_file());
    (!there).then(|| "Prometheus and promtool: a Debian package, 19 MB".to_owned())
}

pub(super) fn install(workspace: &Workspace) -> Result<()> {
    let apt = PrivateApt::new(workspace, PACKAGE, &[SUITE])?;
    let unpacked = apt.unpack(&[PACKAGE.to_owned()])?;
    move_into_place(&unpacked.join("usr/bin"), &folder(workspace))?;
    apt.remove()
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("prometheus")
}
