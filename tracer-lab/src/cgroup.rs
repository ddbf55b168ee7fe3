//! One cgroup2 folder per pod, all of them under one folder of the run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Where cgroup2 is mounted: `/sys/fs/cgroup`, or beside the v1 controllers on a hybrid system.
pub(crate) fn mount() -> Result<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
    mounted_at(&table)
        .context("no cgroup2 mount in /proc/self/mountinfo: mount one (mount -t cgroup2 none /sys/fs/cgroup)")
}

/// Field 5 of a line is the mount point; the type comes after the separator `-`.
fn mounted_at(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        let place = mount.split(' ').nth(4)?;
        source.starts_with("cgroup2 ").then(|| PathBuf::from(place))
    })
}

pub(crate) fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create cgroup {}", folder.display()))
}

/// Kills every process below `folder`, waits until the last is gone, and removes the folders.
pub(crate) fn remove(folder: &Path, patience: Duration) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let shown = folder.display();
    fs::write(folder.join("cgroup.kill"), "1")
        .with_context(|| format!("cannot kill the processes of cgroup {shown}"))?;
    wait_until_empty(folder, patience)?;
    remove_folders(folder).with_context(|| format!("cannot remove cgroup {shown}"))
}

/// `cgroup.events` reports its own changes as exceptional conditions.
fn wait_until_empty(folder: &Path, patience: Duration) -> Result<()> {
    let path = folder.join("cgroup.events");
    let file = fs::File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let patience = Timespec { tv_sec: patience.as_secs().cast_signed(), tv_nsec: i64::from(patience.subsec_nanos()) };
    loop {
        // Reading through a fresh handle gives the current text; the polled one only tells that it changed.
        let events = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if events.lines().any(|line| line == "populated 0") {
            return Ok(());
        }
        let mut changed = [PollFd::new(&file, PollFlags::PRI)];
        if poll(&mut changed, Some(&patience)).context("cannot wait for the cgroup to empty")? == 0 {
            bail!("processes of cgroup {} do not die: see its cgroup.procs", folder.display());
        }
        // Polling compares with the state that this handle has last read.
        io::Read::read(&mut &file, &mut [0; 256]).with_context(|| format!("cannot read {}", path.display()))?;
        io::Seek::rewind(&mut &file).with_context(|| format!("cannot rewind {}", path.display()))?;
    }
}

fn remove_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_folders(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup2_is_found_beside_the_v1_controllers() {
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        assert_eq!(mounted_at(hybrid), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(mounted_at("23 1 0:21 / /sys rw - sysfs sysfs rw\n"), None);
    }
}
