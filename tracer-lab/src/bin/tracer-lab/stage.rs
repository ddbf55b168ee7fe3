//! Which mesh to bring up and on what, and leaving it up.

use std::path::PathBuf;
use std::thread;

use anyhow::{Context, Result};
use clap::Args;
use tracer_lab::{Mesh, Options};

/// A mesh, and on what it is brought up.
#[derive(Args)]
pub(crate) struct Stage {
    /// Which mesh: ambient, basic, demo, registry-only, strict, unanswered
    mesh: String,
    /// The Envoy to run instead of the one that `cargo xtask setup` installed
    #[arg(long, value_name = "PATH", env = "TRACER_LAB_ENVOY")]
    envoy: Option<PathBuf>,
    /// Worker threads of each Envoy
    #[arg(long, value_name = "N", default_value_t = 1)]
    concurrency: u32,
}

impl Stage {
    pub(crate) fn up(self) -> Result<Mesh> {
        let Stage { mesh, envoy, concurrency } = self;
        Mesh::up(&mesh, &Options { envoy, concurrency, program: None })
    }
}

/// Until a signal comes: the library then takes the mesh down and ends the process.
pub(crate) fn leave_up(mesh: &Mesh) -> Result<bool> {
    eprintln!("mesh {} is up; Ctrl-C takes it down. Meanwhile, in another terminal:", mesh.run());
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    for pod in mesh.pods() {
        eprintln!("  {} exec {:<28} # {}", program.display(), pod.name(), pod.ip());
    }
    println!("{}", mesh.run());
    loop {
        thread::park();
    }
}
