//! The command line: the only reader of argv, of the environment and of `--config`. What it makes are plain values;
//! `config` says whether they make sense together.

mod explain;
mod file;
mod filters;
mod kube;
mod observe;
mod page;
mod run;
mod value;
mod why;

pub use explain::{AnswerFormat, ExplainArgs, Send};
pub use file::FileError;
pub use kube::KubeArgs;
pub use observe::{FleetArgs, Format, ObserveArgs, RecordSource};
pub use page::PageArgs;
pub use run::{Pods, RunArgs, Scope, Switch};
pub use value::{JournalSize, Since};
pub use why::WhyArgs;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

pub const DEFAULT_SOCKET: &str = "/run/mesh-tracer/flows.sock";

/// Who refused this connection to a pod IP, and why.
#[derive(Debug, Parser)]
#[command(
    name = "mesh-tracer",
    version,
    propagate_version = true,
    args_override_self = true,
    before_help = "  sudo mesh-tracer run --facts cluster.yaml --journal -",
    after_help = "Exit status: 0 done, 1 the answer is no or degraded, 2 bad usage or input, 3 could not reach what it needs."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
pub struct GlobalArgs {
    /// Colour on stdout
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Everywhere")]
    pub color: Color,
    /// What is logged to stderr: error, warn, info, debug, trace, or a filter such as mesh_tracer=debug
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "RUST_LOG",
        default_value = "info",
        help_heading = "Everywhere"
    )]
    pub log: String,
    /// Set to anything: no colour, as no-color.org has it
    #[arg(long, hide = true, env = "NO_COLOR", value_name = "ANYTHING", global = true)]
    no_color: Option<OsString>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The daemon: probes and facts in; journal, metrics, health and flows out
    #[command(before_help = "  sudo mesh-tracer run --facts cluster.yaml --journal /var/log/flows.jsonl")]
    Run(Box<RunArgs>),
    /// Flows, live or recorded
    #[command(before_help = "  mesh-tracer observe --follow --rejected")]
    Observe(Box<ObserveArgs>),
    /// What would happen to a call, or what did, step by step, with the remedy
    #[command(
        before_help = "  mesh-tracer explain --facts cluster.yaml --from shop/web-0 --to 10.244.1.7:9300 --send http --host 10.244.1.7"
    )]
    Explain(Box<ExplainArgs>),
    /// Why a pod, a workload or a Service is refused: its flows of the last minutes in trouble, by cause, each with its remedy
    #[command(before_help = "  mesh-tracer why shop/web-0")]
    Why(Box<WhyArgs>),
    /// The same inputs again, the same records out, byte for byte
    #[command(before_help = "  mesh-tracer replay incident.tape > flows.jsonl")]
    Replay(ReplayArgs),
    /// Can this node be traced? One line each, the fix beside it
    #[command(before_help = "  sudo mesh-tracer check")]
    Check(CheckArgs),
    /// What the running daemon knows of itself: hooks, loss, age of facts, memory
    #[command(before_help = "  mesh-tracer status")]
    Status(StatusArgs),
    /// Flows in a browser of this machine: serves the page on loopback and prints its address
    #[command(before_help = "  mesh-tracer page")]
    Page(PageArgs),
    /// The roles that `run --kube` needs, as YAML for kubectl apply
    #[command(before_help = "  mesh-tracer rbac --revisions default,canary | kubectl apply -f -")]
    Rbac(RbacArgs),
    /// One request on stdin, the daemon's answer on stdout: what `observe --all-nodes` runs in each pod
    #[command(hide = true)]
    Relay {
        /// Where the daemon listens
        #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
        socket: PathBuf,
    },
    /// Completions for bash, zsh, fish
    #[command(before_help = "  mesh-tracer completions bash > /etc/bash_completion.d/mesh-tracer")]
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Where the host's cgroup2 is mounted; found in /proc/self/mountinfo if left out
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,
    /// Name of this node in the facts; the host's name if left out
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    pub node_name: Option<String>,
    /// Are these readable facts? A file, a directory, or - for stdin; may be repeated
    #[arg(long, value_name = "FILE|DIR|-")]
    pub facts: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// What `run --tape` wrote, of this version or an older one; or - for stdin
    #[arg(value_name = "TAPE")]
    pub tape: PathBuf,
}

#[derive(Debug, Args)]
pub struct RbacArgs {
    /// Where mesh-tracer runs
    #[arg(short, long, value_name = "NAMESPACE", default_value = "mesh-tracer")]
    pub namespace: String,
    /// Where istiod and its ConfigMaps are
    #[arg(long, value_name = "NAMESPACE", default_value = "istio-system")]
    pub istio_namespace: String,
    /// Control plane revisions whose ConfigMap is read, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "default")]
    pub revisions: Vec<String>,
    /// For `run --events` too: Kubernetes Events may be written
    #[arg(long)]
    pub events: bool,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Where the daemon listens
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub socket: PathBuf,
    /// text or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: StatusFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum StatusFormat {
    Text,
    Json,
}

/// Why the command line (or `--config`) cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// Also `--help` and `--version`: clap knows where to print each and with which status.
    #[error(transparent)]
    Clap(#[from] clap::Error),
    #[error(transparent)]
    File(#[from] FileError),
}

impl Cli {
    pub fn parse_all(args: impl IntoIterator<Item = OsString>) -> Result<Self, UsageError> {
        let args: Vec<OsString> = args.into_iter().collect();
        let command = || called(args.first());
        let matches = command().try_get_matches_from(&args)?;
        let matches = match file::arguments(&matches)? {
            Some(more) => command().try_get_matches_from(args.iter().cloned().chain(more))?,
            None => matches,
        };
        let mut cli = Self::from_arg_matches(&matches)?;
        if let (Command::Observe(observe), Some(("observe", matches))) = (&mut cli.command, matches.subcommand()) {
            observe.filters = filters::read(matches)?;
        }
        Ok(cli)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the command line")]
    pub fn from_env() -> Result<Self, UsageError> {
        Self::parse_all(std::env::args_os())
    }

    pub fn completions(shell: clap_complete::Shell) -> Vec<u8> {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Self::command(), "mesh-tracer", &mut script);
        script
    }
}

impl GlobalArgs {
    pub fn color(&self) -> anstream::ColorChoice {
        let unwanted = self.no_color.as_ref().is_some_and(|value| !value.is_empty());
        match self.color {
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
            Color::Auto if unwanted => anstream::ColorChoice::Never,
            Color::Auto => anstream::ColorChoice::Auto,
        }
    }
}

/// By the name that it was called by: as a plugin of kubectl (`kubectl-mesh_tracer` on the PATH) it is two words.
fn called(program: Option<&OsString>) -> clap::Command {
    let is_plugin = |name: &OsStr| name.to_string_lossy().starts_with("kubectl-");
    let command = Cli::command();
    match program.and_then(|program| Path::new(program).file_name()) {
        Some(name) if is_plugin(name) => command.bin_name("kubectl mesh-tracer"),
        _ => command,
    }
}

fn usage(kind: clap::error::ErrorKind, message: impl std::fmt::Display) -> clap::Error {
    Cli::command().error(kind, message)
}

/// Of `run`, as its own matches see it.
fn run_matches(matches: &ArgMatches) -> Option<&ArgMatches> {
    match matches.subcommand() {
        Some(("run", run)) => Some(run),
        _ => None,
    }
}
