//! A whole Kubernetes on this machine: API server, etcd, scheduler and controller-manager, and nodes with kubelet,
//! containerd, runc and kube-proxy. Each node is a set of namespaces with a cgroup of its own; what runs in it is what
//! runs on any node.
//!
//! Addresses are fixed, so there is one at a time: nodes 10.88.0.2 and up, pods 10.244.NODE.0/24, Services 10.96.0.0/16.
//! The machine has routes to all of them.

mod certificates;
mod control_plane;
mod inside;
mod network;
mod node;
mod programs;
mod runc;
mod settings;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::interrupt::{self, Held};
use crate::kubernetes::{Api, Folder, until};
use crate::run::{Run, sweep};
use crate::{program, requirements};
use certificates::ADMIN;
use node::Node;
use programs::Programs;

pub use inside::NodeArgs;
pub use runc::RuncArgs;

#[derive(Clone, Debug)]
pub struct Options {
    /// How many; the first has the control plane too.
    pub nodes: u8,
    /// Archives that every node's containerd imports, docker's or OCI's.
    pub images: Vec<PathBuf>,
}

/// Everything goes when this is dropped: also by a panic, and by a signal that ends the process.
pub struct Cluster {
    kubectl: PathBuf,
    nodes: Vec<Node>,
    folder: Folder,
    _run: Held,
}

impl Cluster {
    /// Returns when every node is Ready and pods can be made.
    pub async fn up(options: &Options) -> Result<Self> {
        requirements::check()?;
        let programs = Programs::locate()?;
        let lab = program::locate()?;
        sweep::clean().context("cannot remove what a killed run has left")?;
        let folder = Folder::create()?;
        // From here on, dropping `run` removes whatever there is.
        let run = interrupt::hold(Run::begin()?)?;
        certificates::write(folder.path(), options.nodes)?;
        let namespaces = run.make(|| network::create(&run, options.nodes))?;
        let kubectl = programs.kubernetes("kubectl");
        let mut nodes = Vec::new();
        for (netns, number) in namespaces.iter().zip(1..) {
            let settings = settings::Node {
                number,
                folder: folder.path().to_path_buf(),
                programs: programs.clone(),
                images: options.images.clone(),
                runc: node::runc(folder.path(), &lab, &programs)?,
            };
            nodes.push(Node::start(&run, netns, &lab, &settings)?);
        }
        let mut cluster = Self { kubectl, nodes, folder, _run: run };
        cluster.wait_until_ready().await?;
        Ok(cluster)
    }

    /// Whoever has this file is the cluster's administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        certificates::kubeconfig_of(self.folder.path(), ADMIN)
    }

    /// The real one, as the administrator.
    pub fn kubectl(&self) -> Command {
        let mut kubectl = Command::new(&self.kubectl);
        // Its cache of what the server knows would be in somebody's home otherwise.
        kubectl.env("KUBECONFIG", self.kubeconfig()).env("HOME", self.folder.path());
        kubectl
    }

    /// As its administrator.
    pub fn api(&self) -> Api {
        certificates::api(self.folder.path())
    }

    /// A folder that goes with the cluster.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let api = self.api();
        let nodes = &self.nodes;
        let all_run = || nodes.iter().try_for_each(Node::must_run);
        until("the nodes have come", async || {
            all_run()?;
            Ok(count(&api, "/api/v1/nodes", |_| true).await == nodes.len())
        })
        .await?;
        for number in (1..).take(nodes.len()) {
            let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": format!("node{number}") } });
            let range = network::pods_of(number).to_string();
            api.patch(&node, "", &json!({ "spec": { "podCIDR": range, "podCIDRs": [range] } })).await?;
        }
        let accounts = "/api/v1/namespaces/default/serviceaccounts";
        until("the nodes are Ready", async || {
            all_run()?;
            let ready = count(&api, "/api/v1/nodes", is_ready).await == nodes.len();
            // Without it no pod is let in.
            Ok(ready && count(&api, accounts, |account| account["metadata"]["name"] == "default").await == 1)
        })
        .await
    }
}

/// How many of a list are so; none while nobody answers.
async fn count(api: &Api, path: &str, is_so: impl Fn(&Value) -> bool) -> usize {
    let Ok(answer) = api.get(path).await else { return 0 };
    let Ok(list) = answer.object() else { return 0 };
    list["items"].as_array().map_or(0, |items| items.iter().filter(|item| is_so(item)).count())
}

fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True"))
}

/// Runs a program of ours to its end; its own words are the error.
fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        bail!("{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
