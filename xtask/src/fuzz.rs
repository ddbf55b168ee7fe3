//! `cargo xtask fuzz`: every decoder against bytes that nobody would think of, for a bounded time each.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::setup::{self, Part, cargo_fuzz};
use crate::shell;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// Fuzzes each target for so many seconds; `only` one of them. What was found stays under `fuzz/artifacts`, what was
/// learnt under `fuzz/corpus`.
pub(crate) fn all(workspace: &Workspace, seconds: u32, only: Option<&str>) -> Result<Tally> {
    setup::ensure(workspace, &Part::FUZZ)?;
    let mut targets = targets(workspace)?;
    if let Some(only) = only {
        if !targets.iter().any(|target| target == only) {
            bail!("there is no fuzz target {only:?}; there are: {}", targets.join(", "));
        }
        targets.retain(|target| target == only);
    }
    let mut tally = Tally::default();
    for target in targets {
        tally.item(&format!("fuzz {target}, {seconds} s"), || fuzz(workspace, &target, seconds));
    }
    Ok(tally)
}

fn fuzz(workspace: &Workspace, target: &str, seconds: u32) -> Result<String> {
    let toolchain = format!("+{}", cargo_fuzz::TOOLCHAIN);
    // The decoders have no unsafe code, so that no sanitizer would find what a panic, a limit or a deadline does not.
    let mut cargo = workspace.cargo(&[&toolchain, "fuzz", "run", "--fuzz-dir", "fuzz", "--sanitizer", "none", target]);
    cargo.arg("--");
    // An input as long as the longest that a decoder is ever given; memory and time that no input may exceed.
    cargo.args([format!("-max_total_time={seconds}"), "-max_len=4096".to_owned()]);
    cargo.args(["-rss_limit_mb=512", "-timeout=5", "-print_final_stats=1"]);
    shell::run(&mut cargo)?;
    Ok(String::new())
}

/// Each file is one.
pub(crate) fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut targets = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
        if let Some(name) = path.file_stem().filter(|_| path.extension().is_some_and(|ext| ext == "rs")) {
            targets.push(name.to_string_lossy().into_owned());
        }
    }
    targets.sort();
    Ok(targets)
}
