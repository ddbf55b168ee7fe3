//! `cargo xtask`: everything a person types to work on mesh-tracer.

mod build;
mod check;
mod kernel_side;
mod setup;
mod shell;
mod tally;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::setup::Part;
use crate::tally::Tally;
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
    /// Formatting, lints, licences, and the walls of ARCHITECTURE.md
    Check,
}

fn main() -> ExitCode {
    let Args { task } = Args::parse();
    let workspace = Workspace::this();
    let done = match task {
        Task::Setup => setup::ensure(&workspace, &Part::ALL).map(|()| true),
        Task::Build => build::mesh_tracer(&workspace).map(|()| true),
        Task::Check => check::all(&workspace).map(Tally::good),
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
