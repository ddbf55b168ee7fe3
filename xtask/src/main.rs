//! `cargo xtask`: everything a person types to work on mesh-tracer.

mod build;
mod bench;
mod check;
mod demo;
mod kernel_side;
mod lab;
mod processes;
mod setup;
mod shell;
mod tally;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::setup::Part;
use crate::workspace::Workspace;

/// Work on mesh-tracer. Start with `cargo xtask demo`.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the other tasks need and this machine lacks
    Setup,
    /// Build target/release/mesh-tracer
    Build,
    /// A real mesh on this machine, traced: seventeen stories and the verdict on each
    Demo {
        /// Leave the mesh up afterwards, until Ctrl-C, and print what to try on it
        #[arg(long)]
        keep: bool,
    },
    /// The lab that demo and tests run in
    Lab {
        #[command(subcommand)]
        task: LabTask,
    },
    /// Figures, side by side in one run; ratios count, absolute numbers are this machine's
    Bench {
        #[command(subcommand)]
        task: BenchTask,
    },
    /// Formatting, lints, licences, and the walls of ARCHITECTURE.md
    Check,
    /// Everything a change has to pass; the last line counts it
    Test {
        /// Also what takes too long for every change
        #[arg(long)]
        full: bool,
    },
}

#[derive(Subcommand)]
enum LabTask {
    /// Remove what killed runs have left: namespaces, links, rules, cgroups, processes
    Clean,
}

#[derive(Subcommand)]
enum BenchTask {
    /// A connect storm on loopback: alone, beside mesh-tracer, beside libbpf-tools' tcplife and tcpstates
    Storm {
        /// Connections of one storm
        #[arg(long, default_value_t = 200_000)]
        connections: u32,
        /// Times that each takes its turn
        #[arg(long, default_value_t = 5)]
        rounds: u32,
    },
}

fn main() -> ExitCode {
    let Args { task } = Args::parse();
    let workspace = Workspace::this();
    let done = match task {
        Task::Setup => setup::ensure(&workspace, &Part::ALL).map(|()| true),
        Task::Build => build::mesh_tracer(&workspace).map(|()| true),
        Task::Demo { keep } => demo::demo(&workspace, keep),
        Task::Lab { task: LabTask::Clean } => lab::clean(&workspace).map(|()| true),
        Task::Bench { task: BenchTask::Storm { connections, rounds } } => {
            bench::storm::storm(&workspace, connections, rounds)
        }
        Task::Check => setup::ensure(&workspace, &Part::CHECK).map(|()| check::all(&workspace).good()),
        Task::Test { full } => Ok(test::all(&workspace, full).good()),
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
