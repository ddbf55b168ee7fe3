//! `cargo xtask cluster`: a whole Kubernetes on this machine, with mesh-tracer's image on its nodes.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::image::{self, Architecture};
use crate::processes::pause;
use crate::setup::{self, Part};
use crate::shell;
use crate::suite;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// Below `target/`: who holds the cluster up, and what that says.
const HOLDER: &str = "cluster.pid";
const SAYS: &str = "cluster.json";
const LOG: &str = "cluster.log";

/// Half seconds until it must be up or down.
const PATIENCE: u32 = 360;

/// The test program; its tests are left to `--full`.
const SUITE: &str = "tracer-daemon tests/cluster";

/// Leaves a cluster up, and the words to play with it.
pub(crate) fn up(workspace: &Workspace, nodes: u8) -> Result<()> {
    setup::ensure(workspace, &Part::CLUSTER)?;
    let folder = workspace.target()?;
    if let Some(pid) = holder(&folder) {
        bail!("a cluster is up already (process {pid}): cargo xtask cluster down");
    }
    let image = image::build(workspace, Architecture::HERE)?;
    shell::run(&mut workspace.cargo(&["build", "--locked", "--package", "tracer-lab"]))?;
    let took = shell::stopwatch();
    let mut lab = Command::new(folder.join("debug/tracer-lab"));
    lab.args(["cluster", "--nodes", &nodes.to_string(), "--image"]).arg(&image);
    let create = |name: &str| File::create(folder.join(name)).with_context(|| format!("cannot create {name}"));
    lab.stdin(Stdio::null()).stdout(create(SAYS)?).stderr(create(LOG)?);
    // It lives on when this does not.
    let mut holder = lab.process_group(0).spawn().context("cannot start tracer-lab")?;
    fs::write(folder.join(HOLDER), holder.id().to_string()).context("cannot write who holds the cluster")?;
    for _ in 0..PATIENCE {
        if let Some(status) = holder.try_wait().context("tracer-lab vanished")? {
            let said = fs::read_to_string(folder.join(LOG)).unwrap_or_default();
            bail!("no cluster: tracer-lab ended with {status}: {}", said.trim_end());
        }
        if let Some(kubeconfig) = kubeconfig(&folder) {
            eprintln!("{nodes} nodes Ready after {:.1} s, with {} on them", took(), image::NAME);
            words(workspace, &kubeconfig);
            return Ok(());
        }
        pause();
    }
    bail!("no cluster after {} s: see {}", PATIENCE / 2, folder.join(LOG).display())
}

/// Whatever it is made of goes with whoever holds it.
pub(crate) fn down(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target()?;
    let Some(pid) = holder(&folder) else {
        eprintln!("no cluster is up");
        return Ok(());
    };
    shell::run(Command::new("kill").arg(pid.to_string()))?;
    for _ in 0..PATIENCE {
        if holder(&folder).is_none() {
            return fs::remove_file(folder.join(HOLDER)).context("cannot forget who held the cluster");
        }
        pause();
    }
    bail!("process {pid} does not end: see {}", folder.join(LOG).display())
}

/// Everything that is claimed of the manifests and the image, on real nodes.
pub(crate) fn test(workspace: &Workspace) -> Result<bool> {
    prepare(workspace)?;
    // The lab's test is there for its crate's program, which is each node's first process.
    let built = suite::build(workspace, &["--test", "cluster", "--test", "lab"])?;
    let outcome = built.suite(SUITE)?.run(workspace, true)?;
    let Tally { passed, failed } = outcome.tally;
    println!("{passed} passed, {failed} failed");
    Ok(outcome.tally.good())
}

/// What the tests find there: programs and an image.
pub(crate) fn prepare(workspace: &Workspace) -> Result<()> {
    setup::ensure(workspace, &Part::CLUSTER)?;
    image::build(workspace, Architecture::HERE).map(drop)
}

fn words(workspace: &Workspace, kubeconfig: &Path) {
    let kubectl = workspace.tools().join("kubernetes/bin/kubectl");
    println!("export KUBECONFIG={}", kubeconfig.display());
    println!("alias kubectl={}", kubectl.display());
    eprintln!("Then, for example (roles are bound where Istio would be):");
    eprintln!("  kubectl create namespace istio-system && kubectl apply -k manifests/overlays/local");
    eprintln!("`cargo xtask cluster down` ends it.");
}

/// The process that holds a cluster up, if it lives.
fn holder(folder: &Path) -> Option<u32> {
    let pid: u32 = fs::read_to_string(folder.join(HOLDER)).ok()?.trim().parse().ok()?;
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    program.to_string_lossy().contains("tracer-lab").then_some(pid)
}

/// Said once pods can be made.
fn kubeconfig(folder: &Path) -> Option<PathBuf> {
    let said: Value = serde_json::from_str(&fs::read_to_string(folder.join(SAYS)).ok()?).ok()?;
    said["kubeconfig"].as_str().map(PathBuf::from)
}
