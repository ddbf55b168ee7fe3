//! Named network namespaces, as `ip netns` keeps them.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use rustix::mount::{UnmountFlags, unmount};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};

pub(crate) const FOLDER: &str = "/run/netns";

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Netns {
    name: String,
}

impl Netns {
    /// One call of `ip` for all of them: each start of it costs more than a namespace.
    pub(crate) fn create(names: &[String]) -> Result<Vec<Netns>> {
        let batch: Vec<_> = names.iter().map(|name| format!("netns add {name}")).collect();
        feed(Command::new("ip").args(["-batch", "-"]), &batch).context("cannot create network namespaces")?;
        Ok(names.iter().map(|name| Netns { name: name.clone() }).collect())
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(FOLDER).join(&self.name)
    }

    /// What `/proc/PID/ns/net` shows and the kernel's socket events carry.
    pub(crate) fn inode(&self) -> Result<u64> {
        let path = self.path();
        Ok(fs::metadata(&path).with_context(|| format!("no network namespace {}", path.display()))?.ino())
    }

    /// Runs `work`, and whatever it starts, on a thread inside this namespace.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let enter_and_work = || {
            enter(&self.path())?;
            work()
        };
        let done = thread::scope(|scope| scope.spawn(enter_and_work).join());
        done.unwrap_or_else(|_| Err(anyhow!("panic"))).with_context(|| format!("in network namespace {}", self.name))
    }
}

/// Moves the calling thread, and no other, into the namespace at `path`.
pub(crate) fn enter(path: &std::path::Path) -> Result<()> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("no network namespace {shown}"))?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .with_context(|| format!("cannot enter network namespace {shown}"))
}

/// Removes the name. The namespace goes with the last process in it, which the caller has killed.
pub(crate) fn remove(name: &str) -> Result<()> {
    let path = PathBuf::from(FOLDER).join(name);
    let shown = path.display();
    match unmount(&path, UnmountFlags::DETACH) {
        // EINVAL: a file without a mount on it, as an interrupted `ip netns add` leaves it.
        Ok(()) | Err(rustix::io::Errno::INVAL) => {}
        Err(error) => return Err(error).with_context(|| format!("cannot unmount {shown}")),
    }
    fs::remove_file(&path).with_context(|| format!("cannot remove {shown}"))
}

/// Gives a program its lines on stdin; its own words are the error.
pub(crate) fn feed(command: &mut Command, lines: &[String]) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    let mut text = lines.join("\n");
    text.push('\n');
    let stdin = child.stdin.take();
    // A program that has given up closes its end: its exit status tells more than our broken pipe.
    let fed = stdin.map_or(Ok(()), |mut stdin| stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().with_context(|| format!("cannot wait for {program}"))?;
    if !output.status.success() {
        bail!("{program}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    fed.with_context(|| format!("cannot write to {program}"))
}
