//! `cargo xtask`: everything a person types to work on mesh-tracer.

mod api_server;
mod build;
mod bench;
mod check;
mod cluster;
mod demo;
mod fuzz;
mod image;
mod kernel_package;
mod kernel_side;
mod lab;
mod oci;
mod processes;
mod reasons;
mod setup;
mod shell;
mod suite;
mod tally;
mod test;
mod vm;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};

use crate::image::Architecture;
use crate::setup::{Part, Series};
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
        /// With facts from a real API server, which then change under the tracer
        #[arg(long)]
        kube: bool,
    },
    /// The lab that demo and tests run in
    Lab {
        #[command(subcommand)]
        task: LabTask,
    },
    /// The container image, as an archive: target/image/mesh-tracer-ARCH.tar
    Image {
        #[arg(long, value_enum, default_value_t = Architecture::HERE)]
        arch: Architecture,
    },
    /// A real Kubernetes on this machine: API server, scheduler, kubelets, containerd
    Cluster {
        #[command(subcommand)]
        task: ClusterTask,
    },
    /// Figures, side by side in one run; ratios count, absolute numbers are this machine's
    Bench {
        #[command(subcommand)]
        task: BenchTask,
    },
    /// Every decoder against bytes that nobody would think of
    Fuzz {
        /// Just this target
        target: Option<String>,
        /// Seconds for each
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Write docs/reasons.md and the alerts anew, from the engine's tables
    Reasons,
    /// Formatting, lints, licences, the walls of ARCHITECTURE.md, and whether what is generated is stale
    Check,
    /// The kernel tests on other kernels, each booted in an emulated machine of its own
    Vm {
        /// Which: `all` is every one but 5.10, which is too old and has to be refused in words
        #[arg(long, default_value = "all", value_parser = kernels())]
        kernel: Kernels,
        /// Another kernel instead, in Debian packages that you have: image and modules may be apart
        #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "kernel")]
        deb: Vec<PathBuf>,
        /// Show what `mesh-tracer check` says there instead
        #[arg(long, conflicts_with = "args")]
        check: bool,
        /// For the test program, after `--`: a part of a test's name, --nocapture, ...
        #[arg(last = true)]
        args: Vec<String>,
    },
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
enum ClusterTask {
    /// Bring it up with mesh-tracer's image on every node, and leave it up
    Up {
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
        nodes: u8,
    },
    /// Install, trace, upgrade and uninstall on a cluster of its own, and see that nothing is left
    Test,
    /// End what `up` left up
    Down,
}

#[derive(Subcommand)]
enum BenchTask {
    /// A connect storm on loopback: alone, beside mesh-tracer, beside libbpf-tools' tcplife and tcpstates
    Storm {
        /// Connections of one storm
        #[arg(long, default_value_t = 200_000)]
        connections: u32,
        #[command(flatten)]
        figures: Figures,
    },
    /// The engine: events a second, a verdict, a million open flows, and what-if at 100,000 pods
    Engine {
        /// Times that each figure is taken
        #[arg(long, default_value_t = 10)]
        rounds: usize,
        /// Writes every value to this file too
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// A large cluster, read from a real API server: time, memory, bytes, and what its changes cost
    Cluster {
        /// Behind a fifth as many Services
        #[arg(long, default_value_t = 100_000)]
        pods: u32,
        /// Writes every value to this file too
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// The probes: a connection, a packet, a start, and doing nothing; beside none, and beside empty ones
    Kernel {
        /// Connections of one run
        #[arg(long, default_value_t = 200_000)]
        connections: u32,
        #[command(flatten)]
        figures: Figures,
    },
}

#[derive(clap::Args)]
struct Figures {
    /// Times that each takes its turn
    #[arg(long, default_value_t = 10)]
    pairs: usize,
    /// Writes every value to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone)]
struct Kernels(Vec<Series>);

fn kernels() -> impl TypedValueParser<Value = Kernels> {
    PossibleValuesParser::new(["6.1", "6.12", "7.x", "5.10", "all"])
        .map(|name| Kernels(Series::named(&name).map_or(Series::SUPPORTED.to_vec(), |series| vec![series])))
}

fn main() -> ExitCode {
    let Args { task } = Args::parse();
    let workspace = Workspace::this();
    let done = match task {
        Task::Setup => setup::ensure(&workspace, &Part::ALL).map(|()| true),
        Task::Build => build::mesh_tracer(&workspace).map(|()| true),
        Task::Demo { keep, kube } => demo::demo(&workspace, keep, kube),
        Task::Lab { task: LabTask::Clean } => lab::clean(&workspace).map(|()| true),
        Task::Image { arch } => image::build(&workspace, arch).map(|_| true),
        Task::Cluster { task: ClusterTask::Up { nodes } } => cluster::up(&workspace, nodes).map(|()| true),
        Task::Cluster { task: ClusterTask::Test } => cluster::test(&workspace),
        Task::Cluster { task: ClusterTask::Down } => cluster::down(&workspace).map(|()| true),
        Task::Bench { task: BenchTask::Storm { connections, figures: Figures { pairs, json } } } => {
            bench::storm::storm(&workspace, connections, pairs, json.as_deref())
        }
        Task::Bench { task: BenchTask::Engine { rounds, json } } => {
            bench::engine::engine(&workspace, rounds, json.as_deref())
        }
        Task::Bench { task: BenchTask::Cluster { pods, json } } => {
            bench::cluster::cluster(&workspace, pods, json.as_deref())
        }
        Task::Bench { task: BenchTask::Kernel { connections, figures: Figures { pairs, json } } } => {
            bench::kernel::kernel(&workspace, bench::kernel::Plan { pairs, connections }, json.as_deref())
        }
        Task::Fuzz { target, seconds } => fuzz::all(&workspace, seconds, target.as_deref()).map(tally::Tally::good),
        Task::Reasons => reasons::write(&workspace).map(|()| true),
        Task::Vm { kernel: Kernels(kernels), deb: debs, check, args } => {
            let kernels = if debs.is_empty() { kernels } else { Vec::new() };
            vm::run(&workspace, &vm::Request { kernels, debs, check, args })
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The suite runs most of them itself. That none has a name or a flag that is not there is what this sees to.
    #[test]
    fn what_the_pages_show_of_it_parses() {
        let root = Workspace::this().root().to_owned();
        let mut shown = 0;
        for page in ["README.md", "CONTRIBUTING.md", "docs/performance.md", "docs/install.md"] {
            let text = fs::read_to_string(root.join(page)).expect("the page");
            let lines = text.split("```\n").skip(1).step_by(2).flat_map(str::lines);
            for line in lines.filter_map(|line| line.strip_prefix("cargo xtask ")) {
                let words = line.split('#').next().unwrap_or_default().split_whitespace();
                if let Err(error) = Args::try_parse_from(["xtask"].into_iter().chain(words)) {
                    panic!("{page}: {line}: {error}");
                }
                shown += 1;
            }
        }
        assert!(shown > 12, "{shown}");
    }
}
