//! The runs that other processes hold up, and the pods in them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::FOLDER;
use super::sweep::{lives, names};
use crate::pod::Pod;
use crate::recipe::pod_name::PodName;

/// In the pod's folder: the pod, for those who come later.
pub(crate) const POD: &str = "pod.json";

impl Pod {
    /// A pod of a mesh that is up: of `run`, or of the only run that has such a pod.
    pub fn find(name: &PodName, run: Option<&str>) -> Result<Pod> {
        let mut found = Vec::new();
        for candidate in names(Path::new(FOLDER))? {
            let path = Path::new(FOLDER).join(&candidate).join(name.dotted()).join(POD);
            if run.is_none_or(|run| run == candidate) && path.is_file() && lives(&candidate)? {
                found.push((candidate, path));
            }
        }
        match found.as_slice() {
            [(_, path)] => {
                let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
                serde_json::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
            }
            [] => bail!("no mesh with a pod {name} is up: bring one up with `tracer-lab up NAME`"),
            several => {
                let runs: Vec<_> = several.iter().map(|(run, _)| run.as_str()).collect();
                bail!("several meshes with a pod {name} are up: choose one with --run: {}", runs.join(", "))
            }
        }
    }
}
