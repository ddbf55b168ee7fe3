//! Where cgroup2 is mounted.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// The root of cgroup2, opened: where programs on a cgroup are attached. `Err`: why not, and what to do.
pub(super) fn open(configured: Option<&Path>) -> Result<File, String> {
    let path = path(configured)?;
    File::open(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Where its root is mounted.
pub(super) fn path(configured: Option<&Path>) -> Result<PathBuf, String> {
    let path = configured.map_or_else(mounted, |path| Ok(path.to_owned()))?;
    // Every directory of cgroup2 has this file, and no other directory has.
    if !path.join("cgroup.controllers").is_file() {
        return Err(format!("{} is no cgroup2: name its mount point with --cgroup", path.display()));
    }
    Ok(path)
}

fn mounted() -> Result<PathBuf, String> {
    let mounts = fs::read_to_string(MOUNTINFO).map_err(|error| format!("{MOUNTINFO}: {error}"))?;
    find(&mounts).ok_or_else(|| "no cgroup2 is mounted: mount one, or name it with --cgroup".to_owned())
}

/// The first mount of type cgroup2. The optional fields end with a dash, and the type follows it.
fn find(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        source.starts_with("cgroup2 ").then(|| unescape(point).into())
    })
}

/// mountinfo writes blanks, tabs, newlines and backslashes as three octal digits.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

#[cfg(test)]
mod tests {
    use super::find;
    use std::path::Path;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:7 master:1 - cgroup2 cgroup2 rw
";

    #[test]
    fn cgroup2_is_found_beside_v1_hierarchies() {
        assert_eq!(find(HYBRID).as_deref(), Some(Path::new("/sys/fs/cgroup/unified")));
    }

    #[test]
    fn a_mount_point_with_a_blank_is_unescaped() {
        let mounts = "41 31 0:38 / /mnt/two\\040words rw - cgroup2 none rw\n";
        assert_eq!(find(mounts).as_deref(), Some(Path::new("/mnt/two words")));
    }

    #[test]
    fn without_cgroup2_there_is_none() {
        assert_eq!(find("32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup2 rw,cpu\n"), None);
    }
}
