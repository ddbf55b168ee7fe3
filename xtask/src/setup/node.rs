//! What runs pods: containerd, runc, the CNI plugins and a static busybox to put in an image, as Debian builds them.
//! Unpacked and not installed: installing would start a service.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use super::move_into_place;
use super::private_apt::PrivateApt;
use crate::oci::{self, Config};
use crate::shell;
use crate::workspace::Workspace;

const SUITE: &str = "bookworm";
const PACKAGES: [&str; 4] = ["busybox-static", "containerd", "containernetworking-plugins", "runc"];

/// Where each lies in its package.
const PROGRAMS: [(&str, &str); 6] = [
    ("bin/busybox", "bin/busybox"),
    ("usr/bin/containerd", "bin/containerd"),
    ("usr/bin/containerd-shim-runc-v2", "bin/containerd-shim-runc-v2"),
    ("usr/bin/ctr", "bin/ctr"),
    ("usr/sbin/runc", "bin/runc"),
    ("usr/lib/cni", "cni"),
];

pub(super) fn missing(workspace: &Workspace) -> Option<String> {
    let mut places = PROGRAMS.iter().map(|(_, place)| *place).chain(["busybox.tar"]);
    let there = places.all(|place| folder(workspace).join(place).exists());
    (!there).then(|| "containerd, runc and CNI plugins: Debian packages, 40 MB".to_owned())
}

pub(super) fn install(workspace: &Workspace) -> Result<()> {
    let apt = PrivateApt::new(workspace, "node", &[SUITE])?;
    let unpacked = apt.unpack(&PACKAGES.map(str::to_owned))?;
    let fresh = workspace.tools().join("build/node");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).with_context(|| format!("cannot remove {}", fresh.display()))?;
    }
    fs::create_dir_all(fresh.join("bin")).with_context(|| format!("cannot create {}", fresh.display()))?;
    for (from, place) in PROGRAMS {
        let (from, to) = (unpacked.join(from), fresh.join(place));
        fs::rename(&from, &to).with_context(|| format!("Debian's package has no {}", Path::new(place).display()))?;
    }
    busybox(&fresh)?;
    move_into_place(&fresh, &folder(workspace))?;
    apt.remove()
}

/// An image of busybox alone: pods' sandboxes are made from it, and applications of tests.
fn busybox(fresh: &Path) -> Result<()> {
    let root = fresh.join("busybox");
    for folder in ["bin", "etc", "tmp"] {
        fs::create_dir_all(root.join(folder)).context("cannot create a folder of busybox's image")?;
    }
    let program = root.join("bin/busybox");
    fs::copy(fresh.join("bin/busybox"), &program).context("cannot copy busybox")?;
    for name in shell::read(Command::new(&program).arg("--list"))?.lines().filter(|name| *name != "busybox") {
        symlink("busybox", root.join("bin").join(name)).with_context(|| format!("cannot link {name}"))?;
    }
    // Static programs of glibc look there before they ask for a name.
    for (file, text) in [("passwd", "root:x:0:0::/:/bin/sh\n"), ("nsswitch.conf", "hosts: files dns\n")] {
        fs::write(root.join("etc").join(file), text).with_context(|| format!("cannot write {file}"))?;
    }
    let runs = json!({ "Cmd": ["/bin/sleep", "2147483647"], "Env": ["PATH=/bin"] });
    let config = Config { name: "localhost/busybox:1".to_owned(), architecture: "amd64", runs };
    oci::pack(&root, &config, &fresh.join("busybox.tar"))?;
    fs::remove_dir_all(root).context("cannot remove what the image was made of")
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("node")
}
