//! A kernel as a distribution packages it: an image that can be booted, and its modules.
//!
//! Debian has moved the image from /boot to beside the modules, split the package in three, and compresses modules by
//! now; Ubuntu has its own split. What is kept has one shape: `vmlinuz` and `modules/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// One kernel, in a folder of that shape.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct KernelPackage {
    /// `uname -r`: 6.1.0-50-cloud-amd64.
    pub(crate) release: String,
    pub(crate) folder: PathBuf,
}

impl KernelPackage {
    pub(crate) fn image(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    pub(crate) fn modules(&self) -> PathBuf {
        self.folder.join("modules")
    }

    /// Takes image and modules out of unpacked packages of one kernel.
    pub(crate) fn arrange(unpacked: &Path, into: &Path) -> Result<Self> {
        let tree = ["usr/lib/modules", "lib/modules"].map(|place| unpacked.join(place));
        let folders = tree.iter().filter_map(|tree| fs::read_dir(tree).ok()).flatten().flatten();
        let mut modules: Vec<_> =
            folders.map(|entry| entry.path()).filter(|path| path.join("kernel").is_dir()).collect();
        let (Some(modules), None) = (modules.pop(), modules.pop()) else {
            bail!("not the modules of exactly one kernel in {}", unpacked.display());
        };
        let release = modules.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let images = [unpacked.join("boot").join(format!("vmlinuz-{release}")), modules.join("vmlinuz")];
        let image = images.iter().find(|image| image.is_file());
        let image = image.with_context(|| format!("no vmlinuz of {release} in {}", unpacked.display()))?;
        let kept = Self { release, folder: into.to_path_buf() };
        fs::create_dir_all(into).with_context(|| format!("cannot create {}", into.display()))?;
        for (from, to) in [(image, kept.image()), (&modules.join("kernel"), kept.modules())] {
            fs::rename(from, &to).with_context(|| format!("cannot move {} to {}", from.display(), to.display()))?;
        }
        Ok(kept)
    }

    /// Those kept in a folder of folders named after their releases.
    pub(crate) fn all_in(folder: &Path) -> Vec<Self> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let kept = entries
            .map(|entry| Self { release: entry.file_name().to_string_lossy().into_owned(), folder: entry.path() });
        kept.filter(|kept| kept.image().is_file()).collect()
    }

    /// The numbers of the release, for comparing: 6.12.90+deb12.1 is newer than 6.12.90+deb12.
    pub(crate) fn numbers(release: &str) -> Vec<u32> {
        let runs = release.trim_end_matches("amd64").split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty());
        runs.map_while(|run| run.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_releases_have_higher_numbers() {
        let ordered = [
            "6.1.0-47-cloud-amd64",
            "6.1.0-50-cloud-amd64",
            "6.12.90+deb12-cloud-amd64",
            "6.12.90+deb12.1-cloud-amd64",
            "6.12.117+deb13-cloud-amd64",
            "7.2.13+deb14-cloud-amd64",
            "7.3.4+deb13-cloud-amd64",
        ];
        assert!(ordered.is_sorted_by(|a, b| KernelPackage::numbers(a) < KernelPackage::numbers(b)));
    }
}
