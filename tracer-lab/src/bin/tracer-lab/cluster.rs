//! `tracer-lab cluster`: brings a Kubernetes up and leaves it up.

use std::path::PathBuf;
use std::thread;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tracer_lab::cluster::{Cluster, Options};

#[derive(Args)]
pub(super) struct ClusterArgs {
    /// How many nodes; the first has the control plane too
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// An image for every node, in docker's or OCI's form
    #[arg(long = "image", value_name = "TAR")]
    images: Vec<PathBuf>,
}

impl ClusterArgs {
    pub(super) fn run(self) -> Result<bool> {
        let Self { nodes, images } = self;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let cluster = runtime.block_on(Cluster::up(&Options { nodes, images }))?;
        println!("{}", json!({ "kubeconfig": cluster.kubeconfig(), "folder": cluster.folder() }));
        loop {
            thread::park();
        }
    }
}
