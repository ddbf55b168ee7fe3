//! `tracer-lab`: brings up a mesh on this machine, makes its calls, and is itself what runs inside the pods.

mod api_server;
mod cluster;
mod exec;
mod run;
mod stage;

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tracer_lab::cluster::{NodeArgs, RuncArgs};
use tracer_lab::inside::{client, enter::Enter, server::Server, ztunnel::Ztunnel};

use crate::stage::Stage;

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
    /// A real Kubernetes API, until standard input ends
    ApiServer(api_server::ApiServerArgs),
    /// Open and close connections on loopback as fast as it goes; says as JSON how fast that was
    Storm {
        #[arg(long, default_value_t = 200_000)]
        connections: u32,
        /// So many a second, instead of as fast as it goes
        #[arg(long)]
        rate: Option<u32>,
    },
    /// Carry small messages to and fro on one loopback connection; says as JSON what that took
    PingPong {
        #[arg(long, default_value_t = 200_000)]
        messages: u64,
    },
    /// Carry bytes one way on one loopback connection as fast as it goes; says as JSON what that took
    Bulk {
        #[arg(long, default_value_t = 4_000_000_000)]
        bytes: u64,
    },
    /// A whole Kubernetes, until Ctrl-C or SIGTERM; says its kubeconfig once pods can be made
    Cluster(cluster::ClusterArgs),
    /// The first process of a node
    #[command(hide = true)]
    ClusterNode(NodeArgs),
    /// runc where limits cannot be set
    #[command(hide = true)]
    ClusterRunc(RuncArgs),
    /// The way into a pod
    #[command(hide = true)]
    PodExec(Enter),
    /// The application that answers, inside a pod
    #[command(hide = true)]
    PodServer(Server),
    /// The application that calls, inside a pod
    #[command(hide = true)]
    PodClient,
    /// The stand-in for ztunnel, inside an ambient pod
    #[command(hide = true)]
    PodZtunnel(Ztunnel),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(run) => run.run(),
        Command::Up { stage } => stage.up().and_then(|mesh| stage::leave_up(&mesh)),
        Command::Exec(exec) => exec.run(),
        Command::Clean => clean(),
        Command::Storm { connections, rate } => tracer_lab::storm::run(connections, rate).and_then(|took| say(&took)),
        Command::PingPong { messages } => tracer_lab::stream::ping_pong(messages).and_then(|took| say(&took)),
        Command::Bulk { bytes } => tracer_lab::stream::bulk(bytes).and_then(|took| say(&took)),
        Command::ApiServer(args) => args.run(),
        Command::Cluster(args) => args.run(),
        Command::ClusterNode(args) => args.run(),
        Command::ClusterRunc(args) => args.run().map(|done| done.is_none()),
        Command::PodExec(enter) => enter.run().map(|never| match never {}),
        Command::PodServer(server) => server.run().map(|()| true),
        Command::PodClient => client::run().map(|()| true),
        Command::PodZtunnel(ztunnel) => ztunnel.run().map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        // Whoever read our words has heard enough.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn say(took: &impl serde::Serialize) -> Result<bool> {
    println!("{}", serde_json::to_string(took)?);
    Ok(true)
}

fn clean() -> Result<bool> {
    for swept in tracer_lab::clean()? {
        println!("removed run {} with {} network namespaces", swept.run, swept.namespaces);
    }
    Ok(true)
}
