//! rust-src, the standard library's source, in the toolchain's own folder: the eBPF target's `core` is built from it.
//!
//! rustup brings it where it can download. Where only package registries are reachable, Debian's package of the same
//! compiler version has the same files; it is unpacked, never installed, through a private apt state.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::private_apt::PrivateApt;
use crate::shell;
use crate::workspace::Workspace;

/// Suites that have carried this compiler beside the stable release's own.
const SUITES: [&str; 3] = ["trixie-backports", "forky", "sid"];

pub(super) fn missing() -> Option<String> {
    let there = sysroot().is_ok_and(|sysroot| library(&sysroot).join("core/src/lib.rs").is_file());
    (!there).then(|| "rust-src, the standard library's source for the eBPF target".to_owned())
}

pub(super) fn install(workspace: &Workspace) -> Result<()> {
    if shell::run(Command::new("rustup").args(["component", "add", "rust-src"]).current_dir(workspace.root())).is_ok() {
        return Ok(());
    }
    eprintln!("setup: rustup cannot bring rust-src: taking Debian's package of the same compiler");
    from_debian(workspace)
}

pub(super) fn sysroot() -> Result<PathBuf> {
    Ok(PathBuf::from(shell::read(Command::new("rustc").args(["--print", "sysroot"]))?.trim()))
}

fn library(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib/src/rust/library")
}

fn from_debian(workspace: &Workspace) -> Result<()> {
    let rustc = rustc_version()?;
    if !shell::on_path("apt-get") {
        bail!(
            "no apt-get here: put the library/ folder of Rust {rustc}'s source at {}",
            library(&sysroot()?).display()
        );
    }
    let apt = PrivateApt::new(workspace, "rust-src", &SUITES)?;
    let version = pick(&apt.madison("rust-src")?, &rustc)
        .map(str::to_owned)
        .with_context(|| format!("no Debian suite of {} has rust-src {rustc}", SUITES.join(", ")))?;
    let unpacked = apt.unpack(&[format!("rust-src={version}")])?;
    let source = unpacked.join(format!("usr/src/rustc-{rustc}/library"));
    if !source.join("core/src/lib.rs").is_file() {
        bail!("Debian's rust-src {version} has no {}", source.display());
    }
    let target = library(&sysroot()?);
    // rustup would take the tree for its own and complain of a link; a copy it simply replaces.
    let folder = target.parent().context("the library has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    shell::read(Command::new("cp").arg("-r").arg(&source).arg(&target))?;
    apt.remove()
}

fn rustc_version() -> Result<String> {
    let says = shell::read(Command::new("rustc").arg("--version"))?;
    says.split(' ')
        .nth(1)
        .map(str::to_owned)
        .with_context(|| format!("`rustc --version` says {says:?}: no version in it"))
}

/// The newest packaging of exactly this upstream version.
fn pick<'t>(madison: &'t str, upstream: &str) -> Option<&'t str> {
    let versions = madison.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim);
    versions.into_iter().find(|version| {
        let rest = version.strip_prefix(upstream);
        rest.is_some_and(|rest| rest.starts_with(['+', '-', '~']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_compiler_version_is_picked() {
        let madison = " rust-src | 1.96.0+dfsg1-1~bpo13+1 | http://here/debian trixie-backports/main\n \
                        rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://here/debian trixie-backports/main\n \
                        rust-src | 1.95.0+dfsg1-1~bpo13+1 | http://here/debian trixie-backports/main\n";
        assert_eq!(pick(madison, "1.95.0"), Some("1.95.0+dfsg1-2~bpo13+1"));
        assert_eq!(pick(madison, "1.9"), None);
        assert_eq!(pick(madison, "1.94.1"), None);
    }
}
