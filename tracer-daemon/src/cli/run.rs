//! Arguments of `run`. Every one but `--config` is a key of the configuration file too, under the same name.

use super::DEFAULT_SOCKET;
use super::kube::KubeArgs;
use super::value::{self, JournalSize};
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct RunArgs {
    /// What the cluster is: YAML or JSON as kubectl prints it; a file, a directory, or - for stdin; may be repeated
    #[arg(long, value_name = "FILE|DIR|-")]
    pub facts: Vec<PathBuf>,
    #[command(flatten)]
    pub kube: KubeArgs,
    /// Which pods are watched. `node`: those of --node-name; of others is known what EndpointSlices say
    #[arg(long, value_name = "PODS", default_value = "all")]
    pub pods: Pods,
    /// Records as JSON lines: a file, or - for stdout
    #[arg(long, value_name = "FILE|-")]
    pub journal: Option<PathBuf>,
    /// What the journal and its predecessor (FILE.1) may take together
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    pub journal_size: JournalSize,
    /// Every input, compressed, for `replay` to give the same records anywhere: what a bug report needs. It holds no
    /// payload, and grows without bound
    #[arg(long, value_name = "FILE")]
    pub tape: Option<PathBuf>,
    /// Where /metrics, /livez and /readyz are served
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9464")]
    pub listen: SocketAddr,
    /// Where `observe` and `status` find this daemon
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub socket: PathBuf,
    /// Name of this node in records; the host's name if left out
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    pub node_name: Option<String>,
    /// Addresses of pods; may be repeated. Left out: the Node object's podCIDRs and every known pod ip
    #[arg(long, value_name = "CIDR")]
    pub pod_cidr: Vec<IpNet>,
    /// Which connections are traced: those of pods, or all
    #[arg(long, value_name = "SCOPE", default_value = "pods")]
    pub scope: Scope,
    /// Where the host's cgroup2 is mounted; found in /proc/self/mountinfo if left out
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,
    /// Whether the first payload bytes are looked at. Off: more verdicts are undetermined
    #[arg(long, value_name = "ON|OFF", default_value = "on")]
    pub first_bytes: Switch,
    /// How long evidence is waited for once a flow is established
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = value::duration)]
    pub verdict_deadline: Duration,
    /// Silence on both ends after which a connection counts as stalled
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = value::duration)]
    pub stall_deadline: Duration,
    /// Where istiod and its ConfigMaps are
    #[arg(long, value_name = "NAMESPACE", default_value = "istio-system")]
    pub istio_namespace: String,
    /// Control plane revisions whose ConfigMap counts, separated by commas. Left out: all that --facts has; of an API
    /// server the default one
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub revisions: Vec<String>,
    /// Tells of rejections that keep happening by Kubernetes Events on the pod or the Service that is called. Needs the
    /// role that `rbac --events` prints
    #[arg(long, value_name = "ON|OFF", num_args = 0..=1, default_value = "off", default_missing_value = "on")]
    pub events: Switch,
    /// Attaches probes that do nothing: what attaching alone costs is measured by that
    #[arg(long, hide = true)]
    pub idle_probes: bool,
    /// TOML with these same names as keys; a flag wins
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Scope {
    Pods,
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Pods {
    All,
    Node,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Switch {
    On,
    Off,
}
