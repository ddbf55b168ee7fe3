//! Which API server: the same words for every command that asks one.

use clap::Args;

#[derive(Clone, PartialEq, Eq, Default, Debug, Args)]
pub struct KubeArgs {
    /// The cluster as its API server tells it, by kubeconfig or, inside a pod, by its ServiceAccount: the default there
    #[arg(long, value_name = "CONTEXT", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub kube: Option<String>,
    /// Set in every pod of a cluster
    #[arg(long, hide = true, env = "KUBERNETES_SERVICE_HOST", value_name = "ADDR")]
    pub kubernetes_service_host: Option<String>,
    /// Which kubeconfig is read, as kubectl has it
    #[arg(long, hide = true, env = "KUBECONFIG", value_name = "FILES")]
    pub kubeconfig: Option<String>,
}
