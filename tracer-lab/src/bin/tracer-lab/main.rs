//! `tracer-lab`: brings up a mesh on this machine, makes its calls, and is itself what runs inside the pods.

mod exec;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use tracer_lab::inside::{client, enter::Enter, server::Server};
use tracer_lab::{Mesh, Options};

/// A mesh on one machine, with real Envoy sidecars. Start with `tracer-lab run demo`.
#[derive(Parser)]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring up a mesh, make its recorded calls, and take it down
    Run(run::Run),
    /// Bring up a mesh and leave it up until Ctrl-C
    Up {
        #[command(flatten)]
        stage: Stage,
    },
    /// Run a program in a pod of a mesh that is up, by default a shell
    Exec(exec::Exec),
    /// Remove what killed runs have left
    Clean,
    /// The way into a pod
    #[command(hide = true)]
    PodExec(Enter),
    /// The application that answers, inside a pod
    #[command(hide = true)]
    PodServer(Server),
    /// The application that calls, inside a pod
    #[command(hide = true)]
    PodClient,
}

/// A mesh, and on what it is brought up.
#[derive(Args)]
struct Stage {
    /// Which mesh: basic, demo, registry-only, strict
    mesh: String,
    /// The Envoy to run instead of the one that `cargo xtask setup` installed
    #[arg(long, value_name = "PATH", env = "TRACER_LAB_ENVOY")]
    envoy: Option<PathBuf>,
    /// Worker threads of each Envoy
    #[arg(long, value_name = "N", default_value_t = 1)]
    concurrency: u32,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(run) => run.run(),
        Command::Up { stage } => stage.up().and_then(|mesh| leave_up(&mesh)),
        Command::Exec(exec) => exec.run(),
        Command::Clean => clean(),
        Command::PodExec(enter) => enter.run().map(|never| match never {}),
        Command::PodServer(server) => server.run().map(|()| true),
        Command::PodClient => client::run().map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(3)
        }
    }
}

impl Stage {
    fn up(self) -> Result<Mesh> {
        let Stage { mesh, envoy, concurrency } = self;
        Mesh::up(&mesh, &Options { envoy, concurrency, program: None })
    }
}

/// Until a signal comes: the library then takes the mesh down and ends the process.
fn leave_up(mesh: &Mesh) -> Result<bool> {
    eprintln!("mesh {} is up; Ctrl-C takes it down. Meanwhile, in another terminal:", mesh.run());
    for pod in mesh.pods() {
        eprintln!("  tracer-lab exec {:<28} {}", pod.name(), pod.ip());
    }
    println!("{}", mesh.run());
    loop {
        thread::park();
    }
}

fn clean() -> Result<bool> {
    for swept in tracer_lab::clean()? {
        println!("removed run {} with {} network namespaces", swept.run, swept.namespaces);
    }
    Ok(true)
}
