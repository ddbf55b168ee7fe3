//! Facts from a Kubernetes API, as they change: one watch a kind, each with a life of its own, so that one that is refused
//! or not there leaves the others in peace. Facts that were told stay told until the API says otherwise: an outage makes
//! them old and never wrong.
//!
//! The loop around lists and watches is ours and not kube-runtime's, which keeps bookmarks to itself (a quiet kind's only
//! sign of life), opens a stream that is closed at once again at once, and wants objects with all of their metadata.

mod collection;
mod connection;
mod discovery;
mod kind;
mod once;
mod pace;
mod pulse;
mod raw;
mod resource;
mod rules;
mod state;
mod target;
mod told;
mod trouble;

pub(super) use connection::client_of;
pub use connection::{ConnectError, Connection};
pub use once::{ClusterFacts, ReadError};
pub use pace::Pace;
pub use pulse::Pulse;
pub use resource::PodScope;
pub use rules::Rbac;
pub(super) use rules::Rule;
pub use state::State;
pub use target::{Target, TargetError};
pub use told::{Told, Watched};
pub(super) use trouble::{Trouble, TroubleKind, why};

use super::IstioInstallation;
use super::object::ObjectKind;
use kind::Kind;
use resource::Resource;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

/// What is watched, and how.
#[derive(Clone, Debug)]
pub struct Watch {
    pub istio: IstioInstallation,
    pub pods: PodScope,
    pub pace: Pace,
    /// Ask for streaming lists where the server has them. Without: pages.
    pub streaming: bool,
}

/// Signs of life of each kind, shared with whoever shows them.
pub type Pulses = BTreeMap<ObjectKind, Arc<Pulse>>;

impl Watch {
    /// Watches until the receiver is gone. What each kind says first is all that there is, then that this was all
    /// (`ClusterEvent::Synced`), then what changes.
    pub async fn run(&self, connection: &Arc<Connection>, pulses: &Pulses, to: Sender<Told>) {
        let mut kinds = JoinSet::new();
        let groups = discovery::Groups::new(connection, &self.pace);
        let resources = Resource::all(&self.istio, &self.pods);
        let mut unsynced: BTreeMap<ObjectKind, Arc<AtomicUsize>> = BTreeMap::new();
        for Resource { kind, .. } in &resources {
            unsynced.entry(*kind).or_default().fetch_add(1, Relaxed);
        }
        for resource in resources {
            let unsynced = unsynced.get(&resource.kind).map(Arc::clone).unwrap_or_default();
            let pulse = pulses.get(&resource.kind).map(Arc::clone).unwrap_or_default();
            let client = connection.client(pulse);
            let kind =
                Kind::new(resource, client, groups.clone(), self.pace.clone(), self.streaming, to.clone(), unsynced);
            kinds.spawn(kind.run());
        }
        drop(to);
        while kinds.join_next().await.is_some() {}
    }
}

/// A pulse for each kind.
pub fn pulses() -> Pulses {
    ObjectKind::ALL.into_iter().map(|kind| (kind, Arc::default())).collect()
}
