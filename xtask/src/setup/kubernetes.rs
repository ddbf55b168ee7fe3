//! etcd and Kubernetes' own programs, compiled from their Go modules into one binary, and Istio's definitions, which a Go
//! module carries too. `KUBEBUILDER_ASSETS`, the convention of envtest, comes first where it is set.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Stamp, move_into_place};
use crate::shell;
use crate::workspace::Workspace;

/// How much of it is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Programs {
    /// etcd and kube-apiserver: what tests of the API need.
    Api,
    /// And what a node needs: kubelet, kube-proxy, scheduler, controller-manager, kubectl. A third more to compile.
    Node,
}

const API: [&str; 2] = ["etcd", "kube-apiserver"];
const NODE: [&str; 5] = ["kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet"];

/// Kept by go.sum, like the rest.
const ISTIO: &str = "istio.io/api";
const CRDS: &str = "kubernetes/customresourcedefinitions.gen.yaml";

/// Go that builds Kubernetes 1.37.
const GO: (u32, u32) = (1, 26);

pub(super) fn missing(workspace: &Workspace, programs: Programs) -> Option<String> {
    if programs == Programs::Api && shell::kubebuilder_assets().is_some_and(|folder| holds(&folder, &API)) {
        return None;
    }
    // Whoever has them all has these too.
    let there = [programs, Programs::Node].into_iter().any(|built| {
        stamp(workspace, built).is_ok_and(|stamp| stamp.holds()) && holds(&folder(workspace).join("bin"), built.names())
    });
    let version = version(workspace).unwrap_or_default();
    let (what, took) = match programs {
        Programs::Api => ("etcd and kube-apiserver", "5 to 15 minutes"),
        Programs::Node => ("the programs of a whole node", "8 to 20 minutes"),
    };
    (!there).then(|| format!("Kubernetes {version}, {what}: built from Go modules, {took} the first time"))
}

pub(super) fn install(workspace: &Workspace, programs: Programs) -> Result<()> {
    go_is_new_enough()?;
    let version = version(workspace)?;
    let minor = version.split('.').nth(1).context("a version has a minor part")?;
    let build = workspace.tools().join("build/kubernetes");
    if build.exists() {
        fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))?;
    }
    let binary = build.join("kubernetes");
    let stamped = "k8s.io/component-base/version.git";
    let mut go = go(workspace);
    // Debug data would double what the compiler writes, and nobody debugs these.
    go.args(["build", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false"]);
    go.arg(format!("-ldflags=-s -w -X {stamped}Version={version} -X {stamped}Major=1 -X {stamped}Minor={minor}"));
    go.args(programs.tags()).arg("-o").arg(&binary).arg(".");
    shell::run(&mut go)?;
    for name in programs.names() {
        symlink("kubernetes", build.join(name)).with_context(|| format!("cannot link {name}"))?;
    }
    // Started once here, where a failure has a name.
    for name in API {
        shell::read(Command::new(build.join(name)).arg("--version"))?;
    }
    move_into_place(&build, &folder(workspace).join("bin"))?;
    stamp(workspace, programs)?.write()
}

pub(super) fn crds_missing(workspace: &Workspace) -> Option<String> {
    let there = crds_stamp(workspace).is_ok_and(|stamp| stamp.holds()) && crds(workspace).is_file();
    (!there).then(|| "Istio's CustomResourceDefinitions: Go module istio.io/api, 2 MB".to_owned())
}

pub(super) fn install_crds(workspace: &Workspace) -> Result<()> {
    go_is_new_enough()?;
    let told = shell::read(go(workspace).args(["mod", "download", "-json", ISTIO]))?;
    let told: Value = serde_json::from_str(&told).context("`go mod download -json` is not JSON")?;
    let module = told["Dir"].as_str().with_context(|| format!("go says no folder of {ISTIO}: {told}"))?;
    let text = fs::read(Path::new(module).join(CRDS)).with_context(|| format!("{ISTIO} has no {CRDS}"))?;
    let fresh = workspace.tools().join("build/istio-crds.yaml");
    fs::create_dir_all(workspace.tools().join("build")).context("cannot create .setup/build")?;
    fs::write(&fresh, text).with_context(|| format!("cannot write {}", fresh.display()))?;
    move_into_place(&fresh, &crds(workspace))?;
    crds_stamp(workspace)?.write()
}

impl Programs {
    fn names(self) -> &'static [&'static str] {
        const ALL: [&str; 7] = [API[0], API[1], NODE[0], NODE[1], NODE[2], NODE[3], NODE[4]];
        match self {
            Programs::Api => &API,
            Programs::Node => &ALL,
        }
    }

    fn tags(self) -> Option<&'static str> {
        (self == Programs::Node).then_some("-tags=node")
    }
}

fn holds(folder: &Path, programs: &[&str]) -> bool {
    programs.iter().all(|program| folder.join(program).is_file())
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("kubernetes")
}

fn crds(workspace: &Workspace) -> PathBuf {
    folder(workspace).join("istio-crds.yaml")
}

fn module(workspace: &Workspace) -> PathBuf {
    workspace.root().join("tracer-lab/kubernetes")
}

/// `go`, in our module, and nothing of a workspace or a toolchain that a person has elsewhere.
fn go(workspace: &Workspace) -> Command {
    let mut go = Command::new("go");
    go.current_dir(module(workspace)).env("GOWORK", "off").env("CGO_ENABLED", "0");
    go
}

fn go_is_new_enough() -> Result<()> {
    let install =
        "install it from https://go.dev/dl, or name a folder with etcd and kube-apiserver in KUBEBUILDER_ASSETS";
    let says = shell::read(Command::new("go").arg("version"))
        .with_context(|| format!("no Go on PATH, which compiles Kubernetes: {install}"))?;
    match go_version(&says) {
        Some(version) if version >= GO => Ok(()),
        _ => bail!("{} is too old for Kubernetes, which wants Go {}.{}: {install}", says.trim(), GO.0, GO.1),
    }
}

/// `go version go1.26.8 linux/amd64`
fn go_version(says: &str) -> Option<(u32, u32)> {
    let mut numbers = says.split(' ').nth(2)?.strip_prefix("go")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Of Kubernetes, as go.mod requires it.
fn version(workspace: &Workspace) -> Result<String> {
    let file = module(workspace).join("go.mod");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let required = text.lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "));
    Ok(required.context("go.mod requires no k8s.io/kubernetes")?.to_owned())
}

/// All that the binary is made of: go.sum names every module, and the rest is ours.
fn stamp(workspace: &Workspace, programs: Programs) -> Result<Stamp> {
    let mut says = format!("{programs:?}\n");
    for file in ["go.mod", "go.sum", "main.go", "node.go"] {
        says += &read(&module(workspace).join(file))?;
    }
    Ok(Stamp::new(workspace, "kubernetes", says))
}

fn crds_stamp(workspace: &Workspace) -> Result<Stamp> {
    let sums = read(&module(workspace).join("go.sum"))?;
    let ours: String = sums.lines().filter(|line| line.starts_with(ISTIO)).flat_map(|line| [line, "\n"]).collect();
    Ok(Stamp::new(workspace, "istio-crds", ours))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gos_version_is_read() {
        assert_eq!(go_version("go version go1.26.8 linux/amd64\n"), Some((1, 26)));
        assert_eq!(go_version("go version go1.30 linux/amd64"), Some((1, 30)));
        assert_eq!(go_version("go: command not found"), None);
    }

    #[test]
    fn the_version_of_kubernetes_is_the_one_that_go_mod_requires() {
        let version = version(&Workspace::this()).unwrap();
        assert!(version.starts_with("v1."), "{version}");
    }

    #[test]
    fn whoever_has_a_node_has_the_api() {
        assert!(API.iter().all(|name| Programs::Node.names().contains(name)));
        assert!(NODE.iter().all(|name| Programs::Node.names().contains(name)));
    }
}
