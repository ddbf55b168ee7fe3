//! Debian packages. On any other system: the list of what to install by hand.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// A program that we call, and the Debian package that brings it.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) package: &'static str,
}

pub(super) const MESH: [Program; 4] = [
    Program { name: "ip", package: "iproute2" },
    Program { name: "iptables", package: "iptables" },
    Program { name: "setpriv", package: "util-linux" },
    Program { name: "nsenter", package: "util-linux" },
];

/// The emulator, and what a module or an ELF file is taken apart with on its way into a guest.
pub(super) const QEMU: [Program; 4] = [
    Program { name: "qemu-system-x86_64", package: "qemu-system-x86" },
    Program { name: "xz", package: "xz-utils" },
    Program { name: "strip", package: "binutils" },
    Program { name: "bash", package: "bash" },
];

/// A browser that tests drive.
pub(super) const BROWSER: [Program; 2] =
    [Program { name: "chromium", package: "chromium" }, Program { name: "nice", package: "coreutils" }];

pub(super) const BENCH: [Program; 2] =
    [Program { name: "tcplife", package: "libbpf-tools" }, Program { name: "tcpstates", package: "libbpf-tools" }];

pub(super) fn missing(programs: &[Program]) -> Option<String> {
    let absent = absent(programs);
    if absent.is_empty() {
        return None;
    }
    let names: Vec<_> = absent.iter().map(|program| program.name).collect();
    Some(format!("{} not found: Debian packages {}", names.join(", "), packages(&absent).join(", ")))
}

pub(super) fn install(programs: &[Program]) -> Result<()> {
    install_packages(&packages(&absent(programs)))
}

pub(super) fn install_packages(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !(shell::on_path("apt-get") && is_debian(&fs::read_to_string("/etc/os-release").unwrap_or_default())) {
        bail!("this is not a Debian system that setup knows: install what these Debian packages hold: {list}");
    }
    if shell::read(Command::new("id").arg("-u"))?.trim() != "0" {
        bail!("not root: run as root, or install by hand: apt-get install {list}");
    }
    // Lists may be absent (a container) or older than the archive: learnt from the failure, not assumed each time.
    finish_interrupted()?;
    if shell::run(&mut apt_install(packages)).is_err() {
        eprintln!("setup: apt-get update, then once more");
        shell::run(apt().args(["update", "--quiet"]))?;
        shell::run(&mut apt_install(packages)).context("see what apt-get says above")?;
    }
    Ok(())
}

/// `apt-get`, asking nobody and waiting for another apt to end.
pub(super) fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=300"]);
    apt
}

fn apt_install(packages: &[&str]) -> Command {
    let mut install = apt();
    install.args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(packages);
    install
}

/// A dpkg that was killed midway refuses all work until it is told to finish.
fn finish_interrupted() -> Result<()> {
    let half_done = shell::read(Command::new("dpkg").arg("--audit"))?;
    if half_done.trim().is_empty() {
        return Ok(());
    }
    shell::run(Command::new("dpkg").args(["--configure", "-a"]).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn is_debian(os_release: &str) -> bool {
    let ids = os_release.lines().filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")));
    ids.flat_map(|ids| ids.trim_matches('"').split(' ')).any(|id| id == "debian")
}

fn absent(programs: &[Program]) -> Vec<&Program> {
    programs.iter().filter(|program| !shell::on_path(program.name)).collect()
}

fn packages(programs: &[&Program]) -> Vec<&'static str> {
    let mut packages: Vec<_> = programs.iter().map(|program| program.package).collect();
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_what_is_built_on_it_are_known() {
        assert!(is_debian("PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n"));
        assert!(is_debian("ID=ubuntu\nID_LIKE=debian\n"));
        assert!(is_debian("ID=mint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian("ID=fedora\nNAME=\"not debian\"\n"));
        assert!(!is_debian(""));
    }

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let programs =
            [Program { name: "sh", package: "dash" }, Program { name: "no-such-program-anywhere", package: "nowhere" }];
        let missing = missing(&programs).unwrap();
        assert_eq!(missing, "no-such-program-anywhere not found: Debian packages nowhere");
    }
}
