//! Which API server, and as whom: a kubeconfig as `kubectl` reads it, or the pod's own ServiceAccount.

use kube::Config;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use std::path::PathBuf;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// The ServiceAccount of the pod that this runs in.
    InCluster,
    /// A context of a kubeconfig: of the file that is named, else of those that `KUBECONFIG` names, else of `~/.kube/config`.
    Kubeconfig { file: Option<PathBuf>, context: Option<String> },
}

#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error("cannot read kubeconfig {}: {error}; name another with KUBECONFIG, or give facts with --facts", .path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("kubeconfig {place} is no kubeconfig: {why}")]
    Malformed { place: String, why: String },
    #[error("kubeconfig {place} has no context {wanted:?}; it has {}", if .known.is_empty() { "none" } else { .known })]
    NoContext { place: String, wanted: String, known: String },
    #[error("kubeconfig {place} says no current context: name one of {known} with --kube=CONTEXT")]
    NoCurrentContext { place: String, known: String },
    #[error("kubeconfig {place}: {error}")]
    Incomplete { place: String, error: KubeconfigError },
    #[error("this is no pod of a cluster ({0}): name a context with --kube=CONTEXT")]
    NoPod(InClusterError),
}

impl Target {
    /// Reads anew what it names: tokens and certificates may have changed.
    pub(super) async fn config(&self) -> Result<Config, TargetError> {
        let mut config = match self {
            Target::InCluster => Config::incluster().map_err(TargetError::NoPod)?,
            Target::Kubeconfig { file, context } => from_kubeconfig(file.as_ref(), context.as_ref()).await?,
        };
        // Whoever watches sees each failure and waits by itself.
        config.default_retry = false;
        Ok(config)
    }
}

async fn from_kubeconfig(file: Option<&PathBuf>, context: Option<&String>) -> Result<Config, TargetError> {
    let read = match file {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let place = file.map_or_else(|| "of KUBECONFIG or ~/.kube/config".to_owned(), |file| file.display().to_string());
    let kubeconfig = read.map_err(|error| unreadable(error, &place))?;
    let known = || {
        let names: Vec<_> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
        names.join(", ")
    };
    match context {
        Some(wanted) if !kubeconfig.contexts.iter().any(|known| known.name == *wanted) => {
            return Err(TargetError::NoContext { place, wanted: wanted.clone(), known: known() });
        }
        None if kubeconfig.current_context.as_ref().is_none_or(String::is_empty) => {
            return Err(TargetError::NoCurrentContext { place, known: known() });
        }
        _ => {}
    }
    let options = KubeConfigOptions { context: context.cloned(), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    config.map_err(|error| TargetError::Incomplete { place, error })
}

fn unreadable(error: KubeconfigError, place: &str) -> TargetError {
    match error {
        KubeconfigError::ReadConfig(error, path) => TargetError::Unreadable { path, error },
        other => TargetError::Malformed { place: place.to_owned(), why: other.to_string() },
    }
}
