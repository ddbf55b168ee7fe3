//! Debian packages of other releases than this machine's: downloaded and unpacked, never installed.
//!
//! apt with sources, lists and cache of its own, so that the machine's packages are never mixed with foreign ones. The
//! archive is the one that the machine's own sources name.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::workspace::Workspace;

pub(super) struct PrivateApt {
    folder: PathBuf,
}

impl PrivateApt {
    /// `what` it is for names its folder: an interrupted download goes on there.
    pub(super) fn new(workspace: &Workspace, what: &str, suites: &[&str]) -> Result<Self> {
        if !shell::on_path("apt-get") {
            bail!("no apt-get here, and Debian has packages of it only");
        }
        let folder = workspace.tools().join("build").join(format!("apt-{what}"));
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part)).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        fs::write(folder.join("sources.list"), sources(&machine_sources()?, suites)?)
            .context("cannot write a sources.list")?;
        let apt = Self { folder };
        // A suite that the mirror does not have is an error of its own, not of the others.
        let _ = shell::run(apt.command("apt-get").args(["update", "--quiet"]));
        Ok(apt)
    }

    /// Every package whose name begins so.
    pub(super) fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let names = shell::read(self.command("apt-cache").args(["pkgnames", prefix]))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Versions of a package, one a line, as `apt-cache madison` lists them.
    pub(super) fn madison(&self, package: &str) -> Result<String> {
        shell::read(self.command("apt-cache").args(["madison", package]))
    }

    /// Unpacks packages (`NAME` or `NAME=VERSION`) over each other; where to.
    pub(super) fn unpack(&self, packages: &[String]) -> Result<PathBuf> {
        shell::run(self.command("apt-get").args(["download", "--quiet"]).args(packages))?;
        let unpacked = self.folder.join("unpacked");
        let files = fs::read_dir(&self.folder).context("cannot read the private apt state")?;
        let files: Vec<_> = files.flatten().map(|file| file.path()).collect();
        for package in packages {
            let begins = format!("{}_", package.split('=').next().unwrap_or_default());
            let deb = files.iter().find(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with(&begins) && name.ends_with(".deb")
            });
            let deb = deb.with_context(|| format!("apt-get download left no file of {package}"))?;
            shell::read(Command::new("dpkg").arg("-x").arg(deb).arg(&unpacked))?;
        }
        Ok(unpacked)
    }

    pub(super) fn remove(self) -> Result<()> {
        fs::remove_dir_all(self.folder).context("cannot remove the private apt state")
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
        // Package lists only: translations and the catalogue of icons would be as much again.
        for option in [
            "APT::Sandbox::User=root",
            "Acquire::Languages=none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
        ] {
            command.args(["-o", option]);
        }
        command.current_dir(&self.folder);
        command
    }
}

/// A sources.list for `suites` at the address that this machine's own sources name.
fn sources(machine: &str, suites: &[&str]) -> Result<String> {
    let address = debian_address(machine).context(
        "no Debian archive in /etc/apt/sources.list or /etc/apt/sources.list.d: cannot tell where this machine gets packages",
    )?;
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    Ok(suites
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
}
