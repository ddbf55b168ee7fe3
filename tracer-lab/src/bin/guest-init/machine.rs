//! What a distribution's init does before anything of ours can run: file systems, modules, loopback.

use std::ffi::CStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::mount::{MountFlags, mount};
use rustix::system::{finit_module, uname};

/// Source and type are the same word.
const MOUNTS: [(&str, &str); 7] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("bpf", "/sys/fs/bpf"),
    ("tracefs", "/sys/kernel/tracing"),
];

pub(crate) fn mount_all() -> Result<()> {
    for (what, place) in MOUNTS {
        // Below /sys the kernel makes the folders, and nobody else can.
        if !place.starts_with("/sys/") {
            fs::create_dir_all(place).with_context(|| format!("cannot create {place}"))?;
        }
        mount(what, place, what, MountFlags::empty(), None::<&CStr>)
            .with_context(|| format!("cannot mount {what} on {place}"))?;
    }
    Ok(())
}

pub(crate) fn load(module: &Path) -> Result<()> {
    let shown = module.display();
    let file = File::open(module).with_context(|| format!("no module {shown}"))?;
    finit_module(&file, c"", 0).with_context(|| format!("cannot load module {shown}"))
}

pub(crate) fn loopback_up(path: &str) -> Result<()> {
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).env("PATH", path).status();
    let status = status.context("cannot start ip")?;
    ensure!(status.success(), "ip link set lo up: {status}");
    Ok(())
}

pub(crate) fn kernel_release() -> String {
    uname().release().to_string_lossy().into_owned()
}
