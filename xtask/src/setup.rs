//! What the tasks need and a new machine lacks: found, or installed with a word on each step.
//!
//! A part is looked for where it will be used, never only in a list of what was once installed. It is built beside its
//! place and moved there in one step, so an interrupted setup leaves nothing half done and the next one goes on.

mod bpf_linker;
mod cargo_deny;
pub(crate) mod cargo_fuzz;
mod debian;
mod envoy;
mod kernel;
mod cross;
mod kubernetes;
mod node;
mod private_apt;
mod prometheus;
mod rust_src;

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

pub(crate) use self::kernel::Series;
use crate::shell;
use crate::workspace::Workspace;

use self::kubernetes::Programs;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// Programs that make network namespaces and capture rules.
    MeshPrograms,
    /// The standard library's source: the eBPF target has no prebuilt one.
    RustSrc,
    BpfLinker,
    Envoy,
    CargoDeny,
    CargoFuzz,
    /// A real API server, to be watched.
    KubernetesApi,
    /// All of Kubernetes.
    KubernetesNode,
    /// containerd, runc and what else a node is made of.
    NodePrograms,
    /// To compile for the other architecture.
    Cross,
    IstioCrds,
    /// What scrapes us, and judges what it is given.
    Prometheus,
    /// What looks at the page, in `test --full` alone.
    Chromium,
    /// Other tracers, to measure against.
    BenchPrograms,
    Qemu,
    Kernel(Series),
}

impl Part {
    pub(crate) const ALL: [Part; 16] = [
        Part::MeshPrograms,
        Part::RustSrc,
        Part::BpfLinker,
        Part::Envoy,
        Part::CargoDeny,
        Part::CargoFuzz,
        Part::KubernetesNode,
        Part::NodePrograms,
        Part::IstioCrds,
        Part::Prometheus,
        Part::Chromium,
        Part::BenchPrograms,
        Part::Qemu,
        Part::Kernel(Series::V6_1),
        Part::Kernel(Series::V6_12),
        Part::Kernel(Series::V7),
    ];
    pub(crate) const FUZZ: [Part; 3] = [Part::RustSrc, Part::BpfLinker, Part::CargoFuzz];
    /// To compile both sides of mesh-tracer.
    pub(crate) const BUILD: [Part; 2] = [Part::RustSrc, Part::BpfLinker];

    pub(crate) const CHECK: [Part; 3] = [Part::RustSrc, Part::BpfLinker, Part::CargoDeny];
    pub(crate) const DEMO: [Part; 4] = [Part::MeshPrograms, Part::RustSrc, Part::BpfLinker, Part::Envoy];
    pub(crate) const API: [Part; 2] = [Part::KubernetesApi, Part::IstioCrds];
    pub(crate) const TEST: [Part; 8] = [
        Part::MeshPrograms,
        Part::RustSrc,
        Part::BpfLinker,
        Part::Envoy,
        Part::CargoDeny,
        Part::KubernetesApi,
        Part::IstioCrds,
        Part::Prometheus,
    ];
    pub(crate) const CLUSTER: [Part; 5] =
        [Part::MeshPrograms, Part::RustSrc, Part::BpfLinker, Part::KubernetesNode, Part::NodePrograms];
    /// For virtual machines, whose programs are this machine's; kernels are fetched one by one.
    pub(crate) const VM: [Part; 4] = [Part::MeshPrograms, Part::RustSrc, Part::BpfLinker, Part::Qemu];

    /// Says what is missing, or `None` where there is nothing to do.
    fn missing(self, workspace: &Workspace) -> Option<String> {
        match self {
            Part::MeshPrograms => debian::missing(&debian::MESH),
            Part::RustSrc => rust_src::missing(),
            Part::BpfLinker => bpf_linker::missing(workspace),
            Part::Envoy => envoy::missing(workspace),
            Part::CargoDeny => cargo_deny::missing(workspace),
            Part::CargoFuzz => cargo_fuzz::missing(workspace),
            Part::KubernetesApi => kubernetes::missing(workspace, Programs::Api),
            Part::KubernetesNode => kubernetes::missing(workspace, Programs::Node),
            Part::NodePrograms => node::missing(workspace),
            Part::Cross => cross::missing(),
            Part::IstioCrds => kubernetes::crds_missing(workspace),
            Part::Prometheus => prometheus::missing(workspace),
            Part::Chromium => debian::missing(&debian::BROWSER),
            Part::BenchPrograms => debian::missing(&debian::BENCH),
            Part::Qemu => debian::missing(&debian::QEMU),
            Part::Kernel(series) => kernel::missing(workspace, series),
        }
    }

    fn install(self, workspace: &Workspace) -> Result<()> {
        match self {
            Part::MeshPrograms => debian::install(&debian::MESH),
            Part::RustSrc => rust_src::install(workspace),
            Part::BpfLinker => bpf_linker::install(workspace),
            Part::Envoy => envoy::install(workspace),
            Part::CargoDeny => cargo_deny::install(workspace),
            Part::CargoFuzz => cargo_fuzz::install(workspace),
            Part::KubernetesApi => kubernetes::install(workspace, Programs::Api),
            Part::KubernetesNode => kubernetes::install(workspace, Programs::Node),
            Part::NodePrograms => node::install(workspace),
            Part::Cross => cross::install(workspace),
            Part::IstioCrds => kubernetes::install_crds(workspace),
            Part::Prometheus => prometheus::install(workspace),
            Part::Chromium => debian::install(&debian::BROWSER),
            Part::BenchPrograms => debian::install(&debian::BENCH),
            Part::Qemu => debian::install(&debian::QEMU),
            Part::Kernel(series) => kernel::install(workspace, series),
        }
    }
}

/// Installs those of `parts` that are missing. Quiet where nothing is.
pub(crate) fn ensure(workspace: &Workspace, parts: &[Part]) -> Result<()> {
    for part in parts {
        let Some(what) = part.missing(workspace) else { continue };
        eprintln!("setup: {what}");
        let took = shell::stopwatch();
        part.install(workspace).context("setup failed")?;
        // An installer that says yes and leaves nothing behind would loop for ever from here on.
        if let Some(what) = part.missing(workspace) {
            anyhow::bail!("setup of {part:?} ended without an error and left this undone: {what}");
        }
        eprintln!("setup: done in {:.0} s", took());
    }
    Ok(())
}

/// Builds a program from crates.io into `.setup/bin`: compiled under `.setup/build`, which a later run continues, then moved.
fn cargo_install(
    workspace: &Workspace,
    program: &str,
    version: &str,
    customise: impl FnOnce(&mut Command),
) -> Result<()> {
    let build = workspace.tools().join("build").join(program);
    let root = build.join("root");
    let mut cargo = workspace.cargo(&["install", "--locked", program, "--version", version]);
    cargo.arg("--root").arg(&root).env("CARGO_TARGET_DIR", build.join("target")).args(quiet());
    customise(&mut cargo);
    shell::run(&mut cargo)?;
    move_into_place(&root.join("bin").join(program), &workspace.tools().join("bin").join(program))?;
    fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))
}

/// A person sees progress bars; a log of CI is not filled with a line for each crate.
fn quiet() -> Option<&'static str> {
    (!std::io::stderr().is_terminal()).then_some("--quiet")
}

/// A rename within `.setup`: after a crash at any moment `to` is the old thing or the new one, whole.
fn move_into_place(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().context("the place of a tool has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    if to.is_dir() {
        fs::remove_dir_all(to).with_context(|| format!("cannot replace {}", to.display()))?;
    }
    fs::rename(from, to).with_context(|| format!("cannot move {} to {}", from.display(), to.display()))
}

/// The note beside a tool that says what it was made of; a different note means that it must be made again.
struct Stamp {
    file: PathBuf,
    says: String,
}

impl Stamp {
    fn new(workspace: &Workspace, tool: &str, says: String) -> Self {
        Self { file: workspace.tools().join("stamps").join(tool), says }
    }

    fn holds(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|found| found == self.says)
    }

    fn write(&self) -> Result<()> {
        let folder = self.file.parent().context("a stamp has a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        fs::write(&self.file, &self.says).with_context(|| format!("cannot write {}", self.file.display()))
    }
}
