//! Where the programs lie: `KUBEBUILDER_ASSETS` as with envtest, else what `cargo xtask setup` built.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Links to one binary, called by the names that envtest's have.
const BUILT: &str = "../.setup/kubernetes/bin";
/// Istio's CustomResourceDefinitions.
const CRDS: &str = "../.setup/kubernetes/istio-crds.yaml";

pub(super) struct Programs {
    pub(super) etcd: PathBuf,
    pub(super) api_server: PathBuf,
}

impl Programs {
    pub(super) fn locate() -> Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the convention of envtest: a test is told by the environment")]
        let named = std::env::var_os("KUBEBUILDER_ASSETS").filter(|named| !named.is_empty());
        let folder = named.clone().map_or_else(|| here(BUILT), PathBuf::from);
        let [etcd, api_server] = ["etcd", "kube-apiserver"].map(|program| folder.join(program));
        if let Some(absent) = [&etcd, &api_server].into_iter().find(|program| !program.is_file()) {
            let mend = match named {
                Some(_) => "KUBEBUILDER_ASSETS must name a folder with etcd and kube-apiserver",
                None => "build it with `cargo xtask setup`, or name a folder with it in KUBEBUILDER_ASSETS",
            };
            bail!("no {}: {mend}", absent.display());
        }
        Ok(Self { etcd, api_server })
    }
}

pub(super) fn crds() -> PathBuf {
    here(CRDS)
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
