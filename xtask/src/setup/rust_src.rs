//! rust-src, the standard library's source, in the toolchain's own folder: the eBPF target's `core` is built from it.
//!
//! rustup brings it where it can download. Where only package registries are reachable, Debian's package of the same
//! compiler version has the same files; it is unpacked, never installed, through a private apt state.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

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
    let apt = PrivateApt::new(workspace)?;
    let version = apt.version_of("rust-src", &rustc)?;
    let unpacked = apt.unpack("rust-src", &version)?;
    let source = unpacked.join(format!("usr/src/rustc-{rustc}/library"));
    if !source.join("core/src/lib.rs").is_file() {
        bail!("Debian's rust-src {version} has no {}", source.display());
    }
    let target = library(&sysroot()?);
    // rustup would take the tree for its own and complain of a link; a copy it simply replaces.
    let folder = target.parent().context("the library has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    shell::read(Command::new("cp").arg("-r").arg(&source).arg(&target))?;
    fs::remove_dir_all(apt.folder).context("cannot remove the private apt state")
}

fn rustc_version() -> Result<String> {
    let says = shell::read(Command::new("rustc").arg("--version"))?;
    says.split(' ')
        .nth(1)
        .map(str::to_owned)
        .with_context(|| format!("`rustc --version` says {says:?}: no version in it"))
}

/// apt with lists and cache of its own, so that the machine's packages are never mixed with those of another release.
struct PrivateApt {
    folder: PathBuf,
}

impl PrivateApt {
    fn new(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.tools().join("build/apt");
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part)).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        fs::write(folder.join("sources.list"), sources(&machine_sources()?)?).context("cannot write a sources.list")?;
        let apt = Self { folder };
        // A suite that the mirror does not have is an error of its own, not of the others.
        let _ = shell::run(apt.command("apt-get").args(["update", "--quiet"]));
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (key, value) in [
            ("Dir::Etc::sourcelist", "sources.list"),
            ("Dir::Etc::sourceparts", "none"),
            ("Dir::State::lists", "lists"),
            ("Dir::Cache", "cache"),
        ] {
            command.arg("-o").arg(format!("{key}={}", self.folder.join(value).display()));
        }
        command.args(["-o", "APT::Sandbox::User=root"]).current_dir(&self.folder);
        command
    }

    /// The newest packaging of exactly this upstream version.
    fn version_of(&self, package: &str, upstream: &str) -> Result<String> {
        let table = shell::read(self.command("apt-cache").args(["madison", package]))?;
        pick(&table, upstream)
            .map(str::to_owned)
            .with_context(|| format!("no Debian suite of {} has {package} {upstream}", SUITES.join(", ")))
    }

    fn unpack(&self, package: &str, version: &str) -> Result<PathBuf> {
        shell::run(self.command("apt-get").args(["download", "--quiet"]).arg(format!("{package}={version}")))?;
        let files = fs::read_dir(&self.folder).context("cannot read the private apt state")?;
        let deb = files.flatten().map(|file| file.path()).find(|path| path.extension().is_some_and(|end| end == "deb"));
        let unpacked = self.folder.join("unpacked");
        let deb = deb.with_context(|| format!("apt-get download left no file of {package}"))?;
        shell::read(Command::new("dpkg").arg("-x").arg(deb).arg(&unpacked))?;
        Ok(unpacked)
    }
}

fn pick<'t>(madison: &'t str, upstream: &str) -> Option<&'t str> {
    let versions = madison.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim);
    versions.into_iter().find(|version| {
        let rest = version.strip_prefix(upstream);
        rest.is_some_and(|rest| rest.starts_with(['+', '-', '~']))
    })
}

/// A sources.list for [`SUITES`] at the address that this machine's own sources name.
fn sources(machine: &str) -> Result<String> {
    let address = debian_address(machine).context(
        "no Debian archive in /etc/apt/sources.list or /etc/apt/sources.list.d: cannot tell where this machine gets packages",
    )?;
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    Ok(SUITES
        .iter()
        .fold(String::new(), |list, suite| format!("{list}deb [signed-by={keys}] {address} {suite} main\n")))
}

/// The first archive address, in either of apt's formats, that is Debian's main archive and not its security one.
fn debian_address(machine: &str) -> Option<&str> {
    let words = machine.lines().filter(|line| {
        let line = line.trim_start();
        line.starts_with("deb ") || line.starts_with("URIs:")
    });
    let addresses = words.flat_map(str::split_whitespace).filter(|word| word.contains("://"));
    addresses.into_iter().find(|address| address.trim_end_matches('/').ends_with("/debian"))
}

fn machine_sources() -> Result<String> {
    let mut all = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    let parts = fs::read_dir("/etc/apt/sources.list.d").context("cannot read /etc/apt/sources.list.d")?;
    let mut parts: Vec<_> = parts.flatten().map(|part| part.path()).collect();
    parts.sort();
    for part in parts {
        if part.extension().is_some_and(|end| end == "list" || end == "sources") {
            all.push('\n');
            all.push_str(&fs::read_to_string(&part).with_context(|| format!("cannot read {}", part.display()))?);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_both_formats_of_apt() {
        let one_line = "# deb http://old/debian x main\ndeb [arch=amd64] http://here/debian bookworm main\n";
        assert_eq!(debian_address(one_line), Some("http://here/debian"));
        let deb822 =
            "Types: deb\nURIs: http://here/debian-security\nSuites: x\n\nTypes: deb\nURIs: http://there/debian/\n";
        assert_eq!(debian_address(deb822), Some("http://there/debian/"));
        assert_eq!(debian_address("Types: deb\nURIs: http://node.example/node_20.x\n"), None);
    }

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
