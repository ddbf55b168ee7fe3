//! All facts, indexed by what the walk asks. `apply` is synchronous and the order of deltas does not matter: whatever
//! joins two objects (a pod and its EndpointSlice, a policy and its namespace) is joined when it is asked for.

mod address;

pub use address::Occupant;

use crate::mesh::facts::{Delta, Fact, Kind, ObjectKey, Pod};
use crate::net::Ktime;
use crate::record::Attribution;
use address::Addresses;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Default)]
pub struct Index {
    generation: u64,
    synced: u16,
    pods: HashMap<ObjectKey, Arc<Pod>>,
    addresses: Addresses,
}

impl Index {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in one change that was learnt at `at`. Telling the same thing twice changes nothing.
    pub fn apply(&mut self, at: Ktime, delta: &Delta) {
        match delta {
            Delta::Upsert(fact) => self.upsert(at, fact),
            Delta::Remove(kind, key) => self.remove(at, *kind, key),
            Delta::Synced(kind) => self.synced |= 1 << *kind as u16,
        }
        self.generation += 1;
    }

    /// Changes whenever the facts change: a cached walk is good as long as this stays.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether every object of this kind that existed at start has been told.
    pub fn synced(&self, kind: Kind) -> bool {
        self.synced & (1 << kind as u16) != 0
    }

    /// How many objects of this kind are known.
    pub fn objects(&self, kind: Kind) -> usize {
        match kind {
            Kind::Pod => self.pods.len(),
            _ => 0,
        }
    }

    pub fn pod(&self, key: &ObjectKey) -> Option<&Arc<Pod>> {
        self.pods.get(key)
    }

    /// Who has this address, as of `at`.
    pub fn occupant(&self, ip: IpAddr, at: Ktime) -> Occupant<'_> {
        self.addresses.occupant(ip, at)
    }

    /// Who has this address, as of `at`, as a record shows it.
    pub fn resolve(&self, ip: IpAddr, at: Ktime) -> Attribution {
        self.occupant(ip, at).attribution()
    }

    fn upsert(&mut self, at: Ktime, fact: &Fact) {
        if let Fact::Pod(pod) = fact {
            let pod = Arc::new(pod.clone());
            self.addresses.claim(at, &pod, self.synced(Kind::Pod));
            self.pods.insert(pod.key.clone(), pod);
        }
    }

    fn remove(&mut self, at: Ktime, kind: Kind, key: &ObjectKey) {
        if kind == Kind::Pod {
            if let Some(pod) = self.pods.remove(key) {
                self.addresses.release(at, &pod);
            }
        }
    }
}
