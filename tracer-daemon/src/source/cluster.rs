//! The cluster's configuration as a source of facts: objects come from YAML files (`file`) or the API server, and
//! `lower` turns each into the engine's small owned values.
//!
//! Objects are reduced where they are decoded: what no rule needs (environment, arguments of the application, all
//! annotations but the listed ones) is never kept, so neither a tape nor a memory dump can hold it.

pub mod event;
pub mod file;
pub mod fleet;
pub mod lower;
pub mod object;
pub mod watch;

mod change;
mod istio;
mod listed;
mod values;

pub use change::Change;
pub use file::{Facts, FactsError, FactsReport, FileFacts, Place, Remark, read_facts};
pub use listed::{Keys, Listed};
pub use lower::{LowerError, lower};
pub use object::{ClusterEvent, Object, ObjectKind, ObjectRef};
pub use values::BadValue;

/// Where Istio's own configuration stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IstioInstallation {
    /// Namespace of istiod and of its ConfigMaps.
    pub namespace: String,
    /// Revisions whose ConfigMap counts; empty: every one that is found.
    pub revisions: Vec<String>,
}

impl Default for IstioInstallation {
    fn default() -> Self {
        Self { namespace: "istio-system".to_owned(), revisions: Vec::new() }
    }
}

impl IstioInstallation {
    /// The revision whose mesh configuration a ConfigMap of this name may hold.
    pub fn revision<'n>(&self, namespace: &str, config_map: &'n str) -> Option<&'n str> {
        if namespace != self.namespace {
            return None;
        }
        let revision = match config_map.strip_prefix("istio") {
            Some("") => "default",
            Some(rest) => rest.strip_prefix('-').filter(|revision| !revision.is_empty())?,
            None => return None,
        };
        let wanted = self.revisions.is_empty() || self.revisions.iter().any(|r| r == revision);
        wanted.then_some(revision)
    }
}
