//! Other programs: run them, read them, find them, and say which one failed and how.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Runs `command` with our own output; an error names the command line and its status.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", line(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(())
}

/// Runs `command` and gives back what it printed; an error carries what it said on stderr.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", line(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}: {}", line(command), output.status, said.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether `command` runs and says yes. What it prints is of no interest.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The folders of PATH, then the ones where administration programs live: `su` leaves those out.
pub(crate) fn search_path() -> Vec<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "this file is the one place of xtask that reads the environment")]
    let given = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&given).chain(["/usr/sbin", "/sbin"].map(PathBuf::from)).collect()
}

/// Where etcd and kube-apiserver lie, if the environment says so: the convention of envtest.
pub(crate) fn kubebuilder_assets() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "this file is the one place of xtask that reads the environment")]
    let named = std::env::var_os("KUBEBUILDER_ASSETS");
    named.filter(|named| !named.is_empty()).map(PathBuf::from)
}

/// Where cargo keeps what it downloads.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "this file is the one place of xtask that reads the environment")]
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("CARGO_HOME").or_else(|| Some(named("HOME")?.join(".cargo")))
}

/// What `cargo run` tells xtask of the package xtask. A cargo that we start must not hear it: build scripts that listen
/// to these names would run again each time, in turns with the cargo that a person starts.
pub(crate) fn of_this_package() -> Vec<OsString> {
    #[expect(clippy::disallowed_methods, reason = "this file is the one place of xtask that reads the environment")]
    let names = std::env::vars_os().map(|(name, _)| name);
    let ours = ["CARGO_PKG_", "CARGO_MANIFEST_"];
    names.filter(|name| ours.iter().any(|prefix| name.to_string_lossy().starts_with(prefix))).collect()
}

pub(crate) fn on_path(program: &str) -> bool {
    which(program).is_some()
}

/// Where a program lies.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    search_path().into_iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Starts a stopwatch; what it gives back reads the seconds since.
pub(crate) fn stopwatch() -> impl Fn() -> f64 {
    #[expect(clippy::disallowed_methods, reason = "the one place of xtask that reads a clock: how long a step took")]
    let start = Instant::now();
    move || start.elapsed().as_secs_f64()
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.collect::<Vec<_>>().join(&OsString::from(" ")).to_string_lossy().into_owned()
}
