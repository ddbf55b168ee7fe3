//! The cluster as it is now, for whoever asks once: watched until everything has been told, and no longer.

use super::connection::{ConnectError, Connection};
use super::state::State;
use super::told::{Told, Watched};
use super::{Watch, pulses};
use crate::source::cluster::change::Change;
use crate::source::cluster::lower::{LowerError, kind};
use crate::source::cluster::object::{ClusterEvent, ObjectKind, ObjectRef};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::channel;
use tracer_engine::mesh::facts::Delta;

/// All that the API server tells.
#[derive(Default, Debug)]
pub struct ClusterFacts {
    /// What is there, then which kinds are complete.
    pub deltas: Vec<Delta>,
    /// Objects with a value that cannot be read.
    pub skipped: Vec<LowerError>,
    /// Objects that are none of their kind at all, and why.
    pub malformed: BTreeMap<ObjectRef, String>,
    /// What is not told to us, and what to do: kinds that we are not allowed to watch.
    pub withheld: Vec<(Watched, String)>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the API server did not tell everything within {within:?}; of {missing}")]
    TooSlow { within: Duration, missing: String },
}

impl Watch {
    /// Reads everything, within a time.
    pub async fn read(&self, connection: &Arc<Connection>, within: Duration) -> Result<ClusterFacts, ReadError> {
        connection.greet().await?;
        let (to, mut told) = channel(256);
        let pulses = pulses();
        let mut reading = Reading { open: ObjectKind::ALL.into(), ..Reading::default() };
        let read = async {
            tokio::select! {
                () = self.run(connection, &pulses, to) => {}
                () = async {
                    while !reading.open.is_empty() && let Some(told) = told.recv().await {
                        reading.take(told, self);
                    }
                } => {}
            }
        };
        if tokio::time::timeout(within, read).await.is_err() {
            return Err(ReadError::TooSlow { within, missing: reading.missing() });
        }
        Ok(reading.facts())
    }
}

#[derive(Default)]
struct Reading {
    /// Not complete yet, and not given up.
    open: BTreeSet<ObjectKind>,
    synced: Vec<ObjectKind>,
    objects: BTreeMap<ObjectRef, Delta>,
    states: BTreeMap<Watched, State>,
    facts: ClusterFacts,
}

impl Reading {
    fn take(&mut self, told: Told, watch: &Watch) {
        match told {
            Told::State(watched, state) => {
                if matches!(state, State::Forbidden { .. }) {
                    self.open.remove(&watched.kind);
                }
                self.states.insert(watched, state);
            }
            Told::Malformed { object, why } => drop(self.facts.malformed.insert(object, why)),
            Told::Listed(listed) => {
                let gone = |of: &ObjectRef| of.kind == listed.kind && !listed.keys.contains(&of.namespace, &of.name);
                self.objects.retain(|of, _| !gone(of));
            }
            Told::Event(ClusterEvent::Synced(kind)) => {
                self.open.remove(&kind);
                self.synced.push(kind);
            }
            Told::Event(ClusterEvent::Deleted(object)) => drop(self.objects.remove(&object)),
            Told::Event(event @ ClusterEvent::Applied(_)) => match Change::of(event, &watch.istio) {
                Ok(Some(Change { event: ClusterEvent::Applied(object), delta })) => {
                    self.objects.insert(object.reference(), delta);
                }
                Ok(_) => {}
                Err(error) => self.facts.skipped.push(error),
            },
        }
    }

    fn facts(self) -> ClusterFacts {
        let Self { open: _, mut synced, objects, states, mut facts } = self;
        synced.sort_unstable();
        facts.deltas.extend(objects.into_values());
        facts.deltas.extend(synced.into_iter().map(|of| Delta::Synced(kind(of))));
        let forbidden = |(watched, state): (Watched, State)| match &state {
            State::Forbidden { .. } => Some((watched, state.to_string())),
            _ => None,
        };
        facts.withheld = states.into_iter().filter_map(forbidden).collect();
        facts
    }

    fn missing(&self) -> String {
        let of = |kind: &ObjectKind| {
            let state = self.states.iter().find(|(watched, _)| watched.kind == *kind);
            state.map_or_else(|| kind.to_string(), |(watched, state)| format!("{watched}: {state}"))
        };
        self.open.iter().map(of).collect::<Vec<_>>().join("; ")
    }
}
