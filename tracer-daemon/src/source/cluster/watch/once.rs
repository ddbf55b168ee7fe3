//! The cluster as it is now, for whoever asks once: watched until everything has been told, and no longer.

use super::connection::{ConnectError, Connection};
use super::state::State;
use super::told::{Told, Watched};
use super::{Watch, pulses};
use crate::source::cluster::change::Change;
use crate::source::cluster::lower::kind;
use crate::source::cluster::object::{ClusterEvent, ObjectKind, ObjectRef};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::channel;
use tracer_engine::mesh::facts::Delta;
use tracing::info;

/// How often within one's patience it is looked at how far it has come.
const LOOKS: u32 = 15;

/// All that the API server tells.
#[derive(Default, Debug)]
pub struct ClusterFacts {
    /// What is there, then which kinds are complete.
    pub deltas: Vec<Delta>,
    /// Objects that cannot be read, and why.
    pub unreadable: BTreeMap<ObjectRef, String>,
    /// What is not told to us, and what to do: kinds that we are not allowed to watch.
    pub withheld: Vec<(Watched, String)>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(
        "the API server has told nothing new for {patience:?}, and not everything ({missing}): mend that, or give facts \
         with --facts"
    )]
    Stalled { patience: Duration, missing: String },
}

impl Watch {
    /// Reads everything, for as long as there is something new within one's patience.
    pub async fn read(&self, connection: &Arc<Connection>, patience: Duration) -> Result<ClusterFacts, ReadError> {
        connection.greet().await?;
        let (to, mut told) = channel(256);
        let pulses = pulses();
        let mut reading = Reading { open: ObjectKind::ALL.into(), ..Reading::default() };
        let watching = self.run(connection, &pulses, to);
        tokio::pin!(watching);
        let mut look = tokio::time::interval(patience / LOOKS);
        let (mut progress, mut in_vain) = (reading.progress(), 0);
        while !reading.open.is_empty() {
            tokio::select! {
                () = &mut watching => {}
                told = told.recv() => told.into_iter().for_each(|told| reading.take(told, self)),
                _ = look.tick() => {
                    let before = std::mem::replace(&mut progress, reading.progress());
                    in_vain = if progress == before { in_vain + 1 } else { 0 };
                    if in_vain > LOOKS {
                        return Err(ReadError::Stalled { patience, missing: reading.missing() });
                    }
                    if progress != before {
                        info!("reading the cluster: {} objects, and not all yet of {}", reading.known(), reading.kinds());
                    }
                }
            }
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
            Told::Malformed { object, why } => {
                let why = format!("{object} cannot be read: {why}");
                self.facts.unreadable.insert(object, why);
            }
            Told::Listed(listed) => {
                let gone = |of: &ObjectRef| of.kind == listed.kind && !listed.keys.contains(&of.namespace, &of.name);
                self.objects.retain(|of, _| !gone(of));
                self.facts.unreadable.retain(|of, _| !gone(of));
            }
            Told::Event(ClusterEvent::Synced(kind)) => {
                self.open.remove(&kind);
                self.synced.push(kind);
            }
            Told::Event(ClusterEvent::Deleted(object)) => {
                self.facts.unreadable.remove(&object);
                self.objects.remove(&object);
            }
            Told::Event(event @ ClusterEvent::Applied(_)) => match Change::of(event, &watch.istio) {
                Ok(Some(Change { event: ClusterEvent::Applied(object), delta })) => {
                    let object = object.reference();
                    self.facts.unreadable.remove(&object);
                    self.objects.insert(object, delta);
                }
                Ok(_) => {}
                Err(error) => drop(self.facts.unreadable.insert(error.object.clone(), error.to_string())),
            },
        }
    }

    fn known(&self) -> usize {
        self.objects.len() + self.facts.unreadable.len()
    }

    /// Grows with what is known; telling the same again does not count.
    fn progress(&self) -> (usize, usize) {
        (self.known(), ObjectKind::ALL.len() - self.open.len())
    }

    fn kinds(&self) -> String {
        let kinds: Vec<_> = self.open.iter().map(ToString::to_string).collect();
        kinds.join(", ")
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
