//! `tracer-lab`: brings up a mesh on this machine, makes its calls, and is itself what runs inside the pods.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
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
    Run {
        #[command(flatten)]
        stage: Stage,
    },
    /// Bring up a mesh and leave it up until Ctrl-C
    Up {
        #[command(flatten)]
        stage: Stage,
    },
    /// Remove what killed runs have left
    Clean,
    /// Run a program inside a pod's cgroup and network namespace
    #[command(hide = true)]
    PodExec(Enter),
    /// The application that answers, inside a pod
    #[command(hide = true)]
    PodServer(Server),
    /// The application that calls, inside a pod
    #[command(hide = true)]
    PodClient,
}

#[derive(clap::Args)]
struct Stage {
    /// Which mesh: basic, demo, registry-only, strict
    mesh: String,
    /// The Envoy to run instead of the one that `cargo xtask setup` installed
    #[arg(long, env = "TRACER_LAB_ENVOY")]
    envoy: Option<PathBuf>,
    /// Worker threads of each Envoy
    #[arg(long, default_value_t = 1)]
    concurrency: u32,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run { stage } => run(stage),
        Command::Up { stage } => up(stage),
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

fn run(stage: Stage) -> Result<bool> {
    let mesh = stage.up()?;
    let mut as_recorded = true;
    for call in mesh.calls() {
        let result = mesh.call(call)?;
        let accepted = !result.receivers.is_empty();
        as_recorded &= accepted == call.truth.accepted;
        println!("{} {} -> {} : {result} {:?}", call.id, call.from, call.request.to, result.receivers);
        thread::sleep(Duration::from_millis(60));
    }
    Ok(as_recorded)
}

fn up(stage: Stage) -> Result<bool> {
    let mesh = stage.up()?;
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
