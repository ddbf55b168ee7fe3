//! `cargo xtask lab`: the stage of demo and tests, by itself.

use anyhow::Result;

use crate::shell;
use crate::workspace::Workspace;

/// Removes what runs have left that were killed before they could tidy up. Runs that are alive keep what they have.
pub(crate) fn clean(workspace: &Workspace) -> Result<()> {
    shell::run(&mut workspace.cargo(&["run", "--quiet", "--locked", "--package", "tracer-lab", "--", "clean"]))
}
