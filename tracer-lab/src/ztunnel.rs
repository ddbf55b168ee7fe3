//! An ambient pod's stand-in for ztunnel.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::PoisonError;

use anyhow::{Context, Result, bail};

use crate::identity::Authority;
use crate::pod::Pod;
use crate::recipe::Recipe;
use crate::recipe::ambient::Workloads;
use crate::recipe::cluster::PodSpec;
use crate::run::Run;

/// It runs in `cgroup`, which is ztunnel's own pod's, with its sockets in the ambient pod's network namespace.
/// Returns when it listens.
pub(crate) fn start(
    run: &Run,
    recipe: &Recipe,
    spec: &PodSpec,
    pod: &Pod,
    cgroup: &Path,
    authority: &Authority,
) -> Result<()> {
    let name = pod.name();
    let certificates = pod.folder.join("certificates");
    authority.issue(name.namespace(), &spec.service_account, &certificates)?;
    let cluster = &recipe.cluster;
    let workloads = Workloads {
        ambient: cluster.pods.iter().filter(|pod| pod.ambient).map(|pod| pod.ip).collect(),
        services: cluster.virtual_ips.iter().map(|ip| (ip.address, ip.endpoints.clone())).collect(),
        strict: recipe.strict.contains(name),
    };
    let mut command = Pod { cgroup: cgroup.to_path_buf(), ..pod.clone() }.own_command(0, &pod.program);
    command.arg("pod-ztunnel").arg("--certificates").arg(&certificates);
    command.arg("--workloads").arg(serde_json::to_string(&workloads)?);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let process = run.spawn(command)?;
    let stdout = process.lock().unwrap_or_else(PoisonError::into_inner).stdout.take();
    let mut line = String::new();
    BufReader::new(stdout.context("no pipe")?).read_line(&mut line)?;
    if line.is_empty() {
        bail!("the ztunnel of {name} has ended; its own words are above");
    }
    Ok(())
}
