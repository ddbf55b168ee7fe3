//! What the daemon shall do: checked once, here, before anything is opened. The command line and the file are `cli`'s.

use crate::cli::{KubeArgs, Pods, RunArgs, Switch};
use crate::process;
use crate::sink::journal;
use crate::source::cluster::IstioInstallation;
use crate::source::cluster::watch::{Pace, PodScope, Target, Watch};
use crate::source::kernel::KernelConfig;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracer_engine::net::Name;

#[derive(Clone, Debug)]
pub struct Config {
    pub node: Name,
    pub facts: FactsConfig,
    pub istio: IstioInstallation,
    pub kernel: KernelConfig,
    pub engine: tracer_engine::Config,
    pub scope: ScopeConfig,
    pub journal: Option<JournalConfig>,
    pub tape: Option<PathBuf>,
    pub listen: SocketAddr,
    pub socket: PathBuf,
    /// Whether Kubernetes Events are written, to the API server that tells the facts.
    pub events: bool,
}

/// Who tells what the cluster is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FactsSource {
    Files(Vec<PathBuf>),
    Cluster(Target),
}

/// Where the daemon's facts come from.
#[derive(Clone, Debug)]
pub enum FactsConfig {
    Files(Vec<PathBuf>),
    Cluster { target: Target, watch: Watch },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalConfig {
    pub target: journal::Target,
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
        "no facts are given: ask the cluster with --kube, or name what `kubectl get pods,services,... -o yaml` printed \
         with --facts FILE"
    )]
    NoFacts,
    #[error("--facts and --kube are given together: the cluster is told by one or by the other, leave one of them out")]
    FactsTwice,
    #[error("--pods node is given without --kube: files are read whole, leave it out")]
    PodsOfFiles,
    #[error("--events is given without --kube: there is no API server to write Events to, leave it out")]
    EventsOfFiles,
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
            kube,
            pods,
            journal,
            journal_size,
            tape,
            listen,
            socket,
            node_name,
            pod_cidr,
            scope,
            cgroup,
            first_bytes,
            events,
            idle_probes,
            verdict_deadline,
            stall_deadline,
            istio_namespace,
            revisions,
            config: _,
        } = args;
        if verdict_deadline > stall_deadline {
            return Err(ConfigError::Deadlines { verdict: verdict_deadline, stall: stall_deadline });
        }
        let scope = match scope {
            crate::cli::Scope::All if !pod_cidr.is_empty() => return Err(ConfigError::CidrWithoutScope),
            crate::cli::Scope::All => ScopeConfig::All,
            crate::cli::Scope::Pods => ScopeConfig::Pods(pod_cidr),
        };
        let first_bytes = first_bytes == Switch::On;
        let events = events == Switch::On;
        let node = match node_name {
            Some(name) if name.trim().is_empty() => return Err(ConfigError::EmptyNodeName),
            Some(name) => name,
            None => process::host_name(),
        };
        let istio = IstioInstallation { namespace: istio_namespace, revisions };
        let facts = match FactsSource::new(facts, kube)? {
            FactsSource::Files(_) if pods == Pods::Node => return Err(ConfigError::PodsOfFiles),
            FactsSource::Files(_) if events => return Err(ConfigError::EventsOfFiles),
            FactsSource::Files(paths) => FactsConfig::Files(paths),
            FactsSource::Cluster(target) => {
                let pods = match pods {
                    Pods::All => PodScope::All,
                    Pods::Node => PodScope::Node(node.clone()),
                };
                let watch = Watch { istio: istio.clone(), pods, pace: Pace::default(), streaming: true };
                FactsConfig::Cluster { target, watch }
            }
        };
        Ok(Self {
            node: node.into(),
            facts,
            istio,
            kernel: KernelConfig { first_bytes, cgroup2: cgroup, idle: idle_probes, ..KernelConfig::default() },
            engine: tracer_engine::Config {
                verdict_deadline,
                stall_deadline,
                first_bytes,
                pods_of_all_nodes: pods == Pods::All,
                ..tracer_engine::Config::default()
            },
            scope,
            journal: journal.map(|path| JournalConfig { target: journal_target(&path), size: journal_size.0 }),
            tape,
            listen,
            socket,
            events,
        })
    }
}

impl FactsSource {
    /// From `--facts` and `--kube`.
    pub fn new(facts: Vec<PathBuf>, kube: KubeArgs) -> Result<Self, ConfigError> {
        match target(kube, facts.is_empty()) {
            Some(_) if !facts.is_empty() => Err(ConfigError::FactsTwice),
            None if facts.is_empty() => Err(ConfigError::NoFacts),
            None => Ok(Self::Files(facts)),
            Some(target) => Ok(Self::Cluster(target)),
        }
    }
}

/// The API server of a command that needs one, whether or not it is named.
pub fn api_server(mut kube: KubeArgs) -> Target {
    kube.kube.get_or_insert_default();
    target(kube, true).unwrap_or(Target::InCluster)
}

/// Which API server, if any. A context is one of a kubeconfig's; without one a pod's own ServiceAccount comes first, unless
/// somebody set KUBECONFIG in that pod.
fn target(kube: KubeArgs, no_files: bool) -> Option<Target> {
    let KubeArgs { kube, kubernetes_service_host, kubeconfig } = kube;
    let in_pod = kubernetes_service_host.is_some();
    match kube {
        Some(context) if !context.is_empty() => Some(Target::Kubeconfig { file: None, context: Some(context) }),
        Some(_) if !in_pod || kubeconfig.is_some() => Some(Target::Kubeconfig { file: None, context: None }),
        Some(_) => Some(Target::InCluster),
        None => (in_pod && no_files).then_some(Target::InCluster),
    }
}

fn journal_target(path: &Path) -> journal::Target {
    if path.as_os_str() == "-" { journal::Target::Stdout } else { journal::Target::File(path.to_owned()) }
}
