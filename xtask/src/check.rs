//! `cargo xtask check`: formatting, lints, licences, and the walls of ARCHITECTURE.md. Changes nothing.

mod circles;
mod crates;
mod finding;
mod imports;
mod places;
mod shape;
mod source;
mod walls;

use std::process::Command;

use anyhow::{Context, Result};

use crate::kernel_side;
use crate::reasons;
use crate::shell;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// Each check is one item of the tally and says itself what it found. `Part::CHECK` has to be there.
pub(crate) fn all(workspace: &Workspace) -> Tally {
    let mut tally = Tally::default();
    let silent = |()| String::new();
    tally.item("rustfmt", || formatted(workspace.cargo(&["fmt", "--all"])));
    tally.item("rustfmt, kernel side", || formatted(kernel_side::cargo(workspace, "fmt")));
    walls::check(workspace, &mut tally);
    tally.item("cargo-deny", || deny(workspace));
    tally.item("docs/reasons.md", || reasons::check(workspace));
    let deny_warnings = ["--", "--deny", "warnings"];
    tally.item("clippy", || {
        let clippy = ["clippy", "--quiet", "--keep-going", "--locked", "--workspace", "--all-targets"];
        shell::run(workspace.cargo(&clippy).args(deny_warnings)).map(silent)
    });
    tally.item("clippy, kernel side", || {
        let mut clippy = kernel_side::cargo(workspace, "clippy");
        shell::run(clippy.args(["--quiet", "--locked"]).args(kernel_side::TARGET).args(deny_warnings)).map(silent)
    });
    tally
}

/// Names the files that rustfmt would change.
fn formatted(mut fmt: Command) -> Result<String> {
    shell::run(fmt.args(["--", "--check", "--files-with-diff"]))
        .context("`cargo fmt` there changes the files above")?;
    Ok(String::new())
}

fn deny(workspace: &Workspace) -> Result<String> {
    let what = ["bans", "licenses", "sources"];
    let config = workspace.root().join("deny.toml");
    for mut cargo in [workspace.cargo(&["deny"]), kernel_side::cargo(workspace, "deny")] {
        shell::run(cargo.args(["--log-level", "error", "--config"]).arg(&config).arg("check").args(what))?;
    }
    Ok("advisories are not judged here: their database is no package registry".to_owned())
}
