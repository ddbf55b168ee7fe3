//! `cargo xtask check`: formatting, lints, licences, and the walls of ARCHITECTURE.md. Changes nothing.

mod circles;
mod crates;
mod finding;
mod imports;
mod places;
mod shape;
mod source;
mod walls;

use anyhow::Result;

use crate::kernel_side;
use crate::setup::{self, Part};
use crate::shell;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// Each check is one item of the tally and says itself what it found.
pub(crate) fn all(workspace: &Workspace) -> Result<Tally> {
    setup::ensure(workspace, &Part::CHECK)?;
    let mut tally = Tally::default();
    let silent = |()| String::new();
    tally.item("rustfmt", || shell::run(&mut workspace.cargo(&["fmt", "--all", "--check"])).map(silent));
    tally.item("rustfmt, kernel side", || shell::run(kernel_side::cargo(workspace, "fmt").arg("--check")).map(silent));
    walls::check(workspace, &mut tally)?;
    tally.item("cargo-deny", || deny(workspace));
    let deny_warnings = ["--", "--deny", "warnings"];
    tally.item("clippy", || {
        let clippy = ["clippy", "--quiet", "--locked", "--workspace", "--all-targets"];
        shell::run(workspace.cargo(&clippy).args(deny_warnings)).map(silent)
    });
    tally.item("clippy, kernel side", || {
        let mut clippy = kernel_side::cargo(workspace, "clippy");
        shell::run(clippy.args(["--quiet", "--locked"]).args(kernel_side::TARGET).args(deny_warnings)).map(silent)
    });
    Ok(tally)
}

fn deny(workspace: &Workspace) -> Result<String> {
    let what = ["bans", "licenses", "sources"];
    shell::run(workspace.cargo(&["deny", "--log-level", "error", "check"]).args(what))?;
    let config = workspace.root().join("deny.toml");
    let mut kernel_side = kernel_side::cargo(workspace, "deny");
    shell::run(kernel_side.args(["--log-level", "error", "check", "--config"]).arg(config).args(what))?;
    Ok(format!("{}; advisories are not judged here, their database is no package registry", what.join(", ")))
}
