//! Where things lie in this checkout, and how its toolchain is called.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

/// The checkout that this xtask was built from.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    pub(crate) fn this() -> Self {
        let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self { root: xtask.parent().unwrap_or(xtask).to_path_buf() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What `setup` installs beside the checkout and no package manager owns: git-ignored, deleted without harm.
    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join(".setup")
    }

    /// Where cargo puts what it builds: `target`, unless its settings say otherwise.
    pub(crate) fn target(&self) -> Result<PathBuf> {
        let metadata = shell::read(&mut self.cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
        let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
        metadata["target_directory"].as_str().map(PathBuf::from).context("cargo metadata names no target_directory")
    }

    /// `cargo`, started in the workspace, with the tools of `setup` on its PATH (bpf-linker is found there).
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.args(args).current_dir(&self.root).env("PATH", self.path());
        for name in shell::of_this_package() {
            cargo.env_remove(name);
        }
        cargo
    }

    /// PATH with the tools of `setup` in front.
    pub(crate) fn path(&self) -> OsString {
        let folders = std::iter::once(self.tools().join("bin")).chain(shell::search_path());
        std::env::join_paths(folders).expect("the folders come from PATH, so none contains its separator")
    }
}
