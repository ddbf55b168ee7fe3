//! Which kernels are booted: fetched by `setup`, or out of packages that somebody has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::kernel_package::KernelPackage;
use crate::setup::{self, Part, Series};
use crate::shell;
use crate::workspace::Workspace;

/// A kernel to boot.
pub(super) struct Chosen {
    /// What its lines begin with.
    pub(super) label: String,
    pub(super) kernel: KernelPackage,
    /// Arguments of the test program: none where all tests have to pass.
    pub(super) args: Vec<String>,
}

/// The one test that a kernel below the oldest supported one can pass.
const REFUSED: [&str; 2] = ["--exact", "loading::a_kernel_below_5_15_is_refused_in_the_verifiers_words"];

pub(super) fn fetched(workspace: &Workspace, series: &[Series]) -> Result<Vec<Chosen>> {
    let mut kernels = Vec::new();
    for series in series {
        setup::ensure(workspace, &[Part::Kernel(*series)])?;
        let kernel = series.kept(workspace).context("a kernel that setup has fetched is there")?;
        let args = if *series == Series::V5_10 { REFUSED.map(str::to_owned).to_vec() } else { Vec::new() };
        kernels.push(Chosen { label: series.name().to_owned(), kernel, args });
    }
    Ok(kernels)
}

pub(super) fn unpacked(debs: &[PathBuf], folder: &Path) -> Result<Chosen> {
    let (tree, arranged) = (folder.join("deb"), folder.join("deb-arranged"));
    for folder in [&tree, &arranged] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
    }
    for deb in debs {
        shell::read(Command::new("dpkg").arg("-x").arg(deb).arg(&tree))?;
    }
    let kernel = KernelPackage::arrange(&tree, &arranged)?;
    let number = kernel.release.split(['-', '+']).next().unwrap_or_default();
    Ok(Chosen { label: number.to_owned(), kernel, args: Vec::new() })
}
