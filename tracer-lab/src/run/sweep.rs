//! Removing a run by its name, from what the kernel says is there: the end of a living run, and of one that was killed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{FOLDER, LOCK, gate};
use crate::{cgroup, netns};

/// How long killed processes may take to die: one that waits for a disk takes its time.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `clean` found and removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Swept {
    pub run: String,
    pub namespaces: usize,
}

/// Removes what runs have left whose owner is dead.
pub fn clean() -> Result<Vec<Swept>> {
    let _gate = gate()?;
    let mut runs = BTreeSet::new();
    for folder in [Path::new(netns::FOLDER), &cgroup::mount()?, Path::new(FOLDER)] {
        runs.extend(names(folder)?.iter().filter_map(|name| run_of(name)).map(str::to_owned));
    }
    let mut swept = Vec::new();
    for run in runs {
        if !lives(&run)? {
            swept.push(sweep(&run)?);
        }
    }
    Ok(swept)
}

/// Processes first, for they hold the namespaces; the folder with the lock last, for it says whose the rest is.
pub(super) fn sweep(run: &str) -> Result<Swept> {
    cgroup::remove(&cgroup::mount()?.join(run), PATIENCE)?;
    let mut namespaces = 0;
    for name in names(Path::new(netns::FOLDER))? {
        if run_of(&name) == Some(run) {
            netns::remove(&name)?;
            namespaces += 1;
        }
    }
    let folder = Path::new(FOLDER).join(run);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(Swept { run: run.to_owned(), namespaces }),
    }
}

/// The run that a name belongs to: `mt` PID(hex) `-` NUMBER, then nothing or `-` and whose part it is.
fn run_of(name: &str) -> Option<&str> {
    let (pid, rest) = name.strip_prefix("mt")?.split_once('-')?;
    let number = rest.split('-').next()?;
    u32::from_str_radix(pid, 16).ok()?;
    number.parse::<u32>().ok()?;
    Some(&name[.."mt".len() + pid.len() + "-".len() + number.len()])
}

/// Its owner holds the lock. Where a sweep got as far as the lock, or the name is a stranger's, the process decides.
pub(super) fn lives(run: &str) -> Result<bool> {
    let path = Path::new(FOLDER).join(run).join(LOCK);
    match File::open(&path) {
        Ok(lock) => match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(error).with_context(|| format!("cannot try the lock {}", path.display())),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(owner(run).is_some_and(is_alive)),
        Err(error) => Err(error).with_context(|| format!("cannot open {}", path.display())),
    }
}

fn owner(run: &str) -> Option<u32> {
    u32::from_str_radix(run.strip_prefix("mt")?.split('-').next()?, 16).ok()
}

fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let shown = folder.display();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // Nobody has made a named namespace since the machine started.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot list {shown}")),
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect::<std::io::Result<_>>().with_context(|| format!("cannot list {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_from_the_names_of_its_parts_and_from_strangers() {
        assert_eq!(run_of("mt1f3a-0"), Some("mt1f3a-0"));
        assert_eq!(run_of("mt1f3a-12-search.es-0"), Some("mt1f3a-12"));
        assert_eq!(run_of("mt1f3a-1-node"), Some("mt1f3a-1"));
        for stranger in ["cni-1f3a-0", "mt1f3a", "mtu-0", "mt-0", "mt1f3a-x", "my-mt1f3a-0"] {
            assert_eq!(run_of(stranger), None, "{stranger}");
        }
        assert_eq!(owner("mt1f3a-12"), Some(0x1f3a));
    }
}
