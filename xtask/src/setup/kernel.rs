//! Debian's kernels for the virtual machines: the small `cloud` flavour, unpacked under `.setup/kernels/RELEASE`.
//!
//! Fetched once and kept, so that a checkout tests the same kernels from day to day; delete a folder and the newest of
//! its series comes back.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::private_apt::PrivateApt;
use crate::kernel_package::KernelPackage;
use crate::workspace::Workspace;

/// Kernels that we prove to run on, and the one that we prove not to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Series {
    /// Below the oldest that is supported: it has to be refused in words.
    V5_10,
    /// The oldest that is proven.
    V6_1,
    V6_12,
    /// The newest that Debian has.
    V7,
}

const FLAVOUR: &str = "-cloud-amd64";

impl Series {
    /// From the oldest to the newest.
    pub(crate) const SUPPORTED: [Series; 3] = [Series::V6_1, Series::V6_12, Series::V7];
    /// Between them lies what nobody has seen yet.
    pub(crate) const ENDS: [Series; 2] = [Series::V6_1, Series::V7];

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::V5_10].into_iter().chain(Self::SUPPORTED).find(|series| series.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Series::V5_10 => "5.10",
            Series::V6_1 => "6.1",
            Series::V6_12 => "6.12",
            Series::V7 => "7.x",
        }
    }

    /// What was fetched of it; the newest where there is more than one.
    pub(crate) fn kept(self, workspace: &Workspace) -> Option<KernelPackage> {
        let kept = KernelPackage::all_in(&folder(workspace)).into_iter();
        kept.filter(|kept| self.has(&kept.release)).max_by_key(|kept| KernelPackage::numbers(&kept.release))
    }

    fn has(self, release: &str) -> bool {
        let begins: &[u32] = match self {
            Series::V5_10 => &[5, 10],
            Series::V6_1 => &[6, 1],
            Series::V6_12 => &[6, 12],
            Series::V7 => &[7],
        };
        KernelPackage::numbers(release).starts_with(begins)
    }

    /// Debian's suites that carry it.
    fn suites(self) -> &'static [&'static str] {
        match self {
            Series::V5_10 => &["bullseye"],
            Series::V6_1 => &["bookworm"],
            Series::V6_12 => &["trixie"],
            Series::V7 => &["trixie-backports", "forky", "sid"],
        }
    }
}

pub(super) fn missing(workspace: &Workspace, series: Series) -> Option<String> {
    let name = series.name();
    series
        .kept(workspace)
        .is_none()
        .then(|| format!("Linux {name}, for a virtual machine: Debian's cloud kernel, 20 to 40 MB"))
}

pub(super) fn install(workspace: &Workspace, series: Series) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("virtual machines are of this machine's own architecture, and only x86_64 is prepared");
    }
    let suites = series.suites();
    let apt = PrivateApt::new(workspace, &format!("kernel-{}", series.name()), suites)?;
    let names = apt.names("linux-")?;
    let release = newest(&names, series)
        .with_context(|| format!("no Linux {} in Debian's {}", series.name(), suites.join(", ")))?;
    eprintln!("setup: the newest {} of Debian's {} is {release}", series.name(), suites.join(", "));
    let packages = packages(&names, release);
    let unpacked = apt.unpack(&packages)?;
    let arranged = unpacked.with_extension("arranged");
    KernelPackage::arrange(&unpacked, &arranged)?;
    super::move_into_place(&arranged, &folder(workspace).join(release))?;
    apt.remove()
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("kernels")
}

/// Release of the newest image among package names.
fn newest(names: &[String], series: Series) -> Option<&str> {
    let releases = names.iter().filter_map(|name| name.strip_prefix("linux-image-"));
    let ours = releases.filter(|release| release.ends_with(FLAVOUR) && series.has(release));
    ours.max_by_key(|release| KernelPackage::numbers(release))
}

/// The packages of one kernel: only the image, or since 7.2 image and modules apart.
fn packages(names: &[String], release: &str) -> Vec<String> {
    let parts = ["image", "binary", "modules"].map(|part| format!("linux-{part}-{release}"));
    parts.into_iter().filter(|part| names.contains(part)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        let names = [
            "linux-image-6.1.0-47-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64",
            "linux-image-6.1.0-51-amd64",
            "linux-image-6.1.0-52-cloud-amd64-unsigned",
            "linux-image-6.12.9+deb13-cloud-amd64",
            "linux-image-7.2.13+deb14-cloud-amd64",
            "linux-image-7.3.4+deb13-cloud-amd64",
            "linux-binary-7.3.4+deb13-cloud-amd64",
            "linux-modules-7.3.4+deb13-cloud-amd64",
            "linux-image-cloud-amd64",
        ];
        names.map(str::to_owned).to_vec()
    }

    #[test]
    fn the_newest_of_a_series_is_taken() {
        let names = names();
        assert_eq!(newest(&names, Series::V6_1), Some("6.1.0-50-cloud-amd64"));
        assert_eq!(newest(&names, Series::V6_12), Some("6.12.9+deb13-cloud-amd64"));
        assert_eq!(newest(&names, Series::V7), Some("7.3.4+deb13-cloud-amd64"));
        assert_eq!(newest(&names, Series::V5_10), None);
    }

    #[test]
    fn a_kernel_may_be_in_several_packages() {
        let names = names();
        assert_eq!(packages(&names, "6.1.0-50-cloud-amd64"), ["linux-image-6.1.0-50-cloud-amd64"]);
        let three = ["image", "binary", "modules"].map(|part| format!("linux-{part}-7.3.4+deb13-cloud-amd64"));
        assert_eq!(packages(&names, "7.3.4+deb13-cloud-amd64"), three);
    }
}
