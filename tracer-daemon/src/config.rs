//! What the daemon shall do: checked once, here, before anything is opened. The command line and the file are `cli`'s.

use crate::cli::{RunArgs, Switch};
use crate::sink::journal::Target;
use crate::source::cluster::IstioInstallation;
use crate::source::kernel::KernelConfig;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracer_engine::net::Name;

#[derive(Clone, Debug)]
pub struct Config {
    pub node: Name,
    pub facts: Vec<PathBuf>,
    pub istio: IstioInstallation,
    pub kernel: KernelConfig,
    pub engine: tracer_engine::Config,
    pub scope: ScopeConfig,
    pub journal: Option<JournalConfig>,
    pub tape: Option<PathBuf>,
    pub listen: SocketAddr,
    pub socket: PathBuf,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalConfig {
    pub target: Target,
    pub size: u64,
}

/// Which connections are traced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ScopeConfig {
    All,
    /// Those with a pod at either end. Empty: the Node object's podCIDRs and every pod ip of the node.
    Pods(Vec<IpNet>),
}

#[derive(PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "no facts are given: name what `kubectl get pods,services,... -o yaml` printed with --facts FILE, or a folder of such files"
    )]
    NoFacts,
    #[error("--pod-cidr is given together with --scope all, which traces every address: leave one of them out")]
    CidrWithoutScope,
    #[error(
        "--verdict-deadline {verdict:?} is longer than --stall-deadline {stall:?}: a verdict would come after the stall that it waits for"
    )]
    Deadlines { verdict: Duration, stall: Duration },
    #[error("--node-name is empty: give the node's name, or leave the flag out for the host's name")]
    EmptyNodeName,
}

impl TryFrom<RunArgs> for Config {
    type Error = ConfigError;

    fn try_from(args: RunArgs) -> Result<Self, ConfigError> {
        let RunArgs {
            facts,
            journal,
            journal_size,
            tape,
            listen,
            socket,
            node_name,
            pod_cidr,
            scope,
            first_bytes,
            idle_probes,
            verdict_deadline,
            stall_deadline,
            istio_namespace,
            revisions,
            config: _,
        } = args;
        if facts.is_empty() {
            return Err(ConfigError::NoFacts);
        }
        if verdict_deadline > stall_deadline {
            return Err(ConfigError::Deadlines { verdict: verdict_deadline, stall: stall_deadline });
        }
        let scope = match scope {
            crate::cli::Scope::All if !pod_cidr.is_empty() => return Err(ConfigError::CidrWithoutScope),
            crate::cli::Scope::All => ScopeConfig::All,
            crate::cli::Scope::Pods => ScopeConfig::Pods(pod_cidr),
        };
        let first_bytes = first_bytes == Switch::On;
        let node = match node_name {
            Some(name) if name.trim().is_empty() => return Err(ConfigError::EmptyNodeName),
            Some(name) => name,
            None => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        };
        Ok(Self {
            node: node.into(),
            facts,
            istio: IstioInstallation { namespace: istio_namespace, revisions },
            kernel: KernelConfig { first_bytes, idle: idle_probes, ..KernelConfig::default() },
            engine: tracer_engine::Config {
                verdict_deadline,
                stall_deadline,
                first_bytes,
                ..tracer_engine::Config::default()
            },
            scope,
            journal: journal.map(|path| JournalConfig { target: target(&path), size: journal_size.0 }),
            tape,
            listen,
            socket,
        })
    }
}

fn target(path: &Path) -> Target {
    if path.as_os_str() == "-" { Target::Stdout } else { Target::File(path.to_owned()) }
}
