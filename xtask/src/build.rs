//! `cargo xtask build`: the one binary that is shipped.

use anyhow::Result;

use crate::setup::{self, Part};
use crate::shell;
use crate::workspace::Workspace;

/// Leaves `target/release/mesh-tracer`, probes inside.
pub(crate) fn mesh_tracer(workspace: &Workspace) -> Result<()> {
    setup::ensure(workspace, &Part::BUILD)?;
    shell::run(&mut workspace.cargo(&["build", "--release", "--locked", "--package", "tracer-daemon"]))
}
