//! Where the programs of a node lie, as `cargo xtask setup` put them.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// Kubernetes' own, links to one binary.
const KUBERNETES: &str = "../.setup/kubernetes/bin";
/// Debian's containerd, its shim, ctr and runc.
const RUNTIME: &str = "../.setup/node/bin";
/// Debian's CNI plugins.
const CNI: &str = "../.setup/node/cni";
/// An image of busybox: pods' sandboxes are made from it, and applications of tests.
const BUSYBOX: &str = "../.setup/node/busybox.tar";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Programs {
    kubernetes: PathBuf,
    runtime: PathBuf,
    cni: PathBuf,
    busybox: PathBuf,
}

impl Programs {
    pub(super) fn locate() -> Result<Self> {
        let [kubernetes, runtime, cni, busybox] = [KUBERNETES, RUNTIME, CNI, BUSYBOX].map(here);
        let programs = Self { kubernetes, runtime, cni, busybox };
        let wanted = [
            programs.kubernetes("kubelet"),
            programs.kubernetes("kubectl"),
            programs.runtime("containerd"),
            programs.runtime("runc"),
            programs.cni().join("bridge"),
            programs.busybox.clone(),
        ];
        match wanted.iter().find(|program| !program.is_file()) {
            Some(absent) => {
                bail!("no {}: `cargo xtask cluster up` and `cargo xtask setup` put it there", absent.display())
            }
            None => Ok(programs),
        }
    }

    pub(super) fn kubernetes(&self, name: &str) -> PathBuf {
        self.kubernetes.join(name)
    }

    pub(super) fn runtime(&self, name: &str) -> PathBuf {
        self.runtime.join(name)
    }

    /// containerd looks for its shim on PATH.
    pub(super) fn runtime_folder(&self) -> &Path {
        &self.runtime
    }

    pub(super) fn busybox(&self) -> &Path {
        &self.busybox
    }

    pub(super) fn cni(&self) -> &Path {
        &self.cni
    }
}

/// Nodes see this machine's files at the same places, but for a few folders of their own.
fn here(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    path.canonicalize().unwrap_or(path)
}
