//! One copy of what many facts say: each comes with names of its own, and of 100,000 pods nearly all say the same few
//! thousand.

use crate::mesh::facts::{
    EndpointSlice, Enrolment, Labels, ObjectKey, Pod, Service, SidecarProxy, TargetPort, WorkloadKind,
};
use crate::net::Name;
use rustc_hash::FxHashSet as HashSet;
use std::hash::Hash;
use std::sync::Arc;

#[derive(Default, Debug)]
pub(super) struct Interner {
    names: Pool<Name>,
    labels: Pool<Labels>,
    /// A cluster has a handful: one for each way of injecting.
    sidecars: Vec<Arc<SidecarProxy>>,
}

/// Pods that differ from one another in their capture would be searched in vain.
const SIDECARS: usize = 32;

#[derive(Debug)]
struct Pool<T> {
    known: HashSet<T>,
    /// So many are there when it is looked which nobody holds any more.
    full: usize,
}

trait Counted: Clone + Eq + Hash {
    fn holders(&self) -> usize;
}

impl Interner {
    pub(super) fn pod(&mut self, pod: &mut Pod) {
        self.key(&mut pod.key);
        for name in [&mut pod.node, &mut pod.service_account, &mut pod.workload.name] {
            self.names.one(name);
        }
        if let WorkloadKind::Other(kind) = &mut pod.workload.kind {
            self.names.one(kind);
        }
        self.labels(&mut pod.labels);
        if let Enrolment::Sidecar(sidecar) = &mut pod.enrolment {
            self.sidecar(sidecar);
        }
    }

    pub(super) fn slice(&mut self, slice: &mut EndpointSlice) {
        self.names.one(&mut slice.key.namespace);
        slice.service.iter_mut().for_each(|service| self.names.one(service));
        for endpoint in &mut slice.endpoints {
            endpoint.pod.iter_mut().for_each(|pod| self.key(pod));
            endpoint.node.iter_mut().for_each(|node| self.names.one(node));
        }
        slice.ports.iter_mut().for_each(|port| self.names.one(&mut port.name));
    }

    pub(super) fn service(&mut self, service: &mut Service) {
        self.key(&mut service.key);
        self.labels(&mut service.selector);
        for port in &mut service.ports {
            self.names.one(&mut port.name);
            port.app_protocol.iter_mut().for_each(|protocol| self.names.one(protocol));
            if let TargetPort::Name(name) = &mut port.target {
                self.names.one(name);
            }
        }
    }

    fn key(&mut self, key: &mut ObjectKey) {
        self.names.one(&mut key.namespace);
        self.names.one(&mut key.name);
    }

    fn labels(&mut self, labels: &mut Labels) {
        if self.labels.is_known(labels) {
            return self.labels.one(labels);
        }
        *labels = Labels(labels.0.iter().map(|(key, value)| (self.names.of(key), self.names.of(value))).collect());
        self.labels.one(labels);
    }

    fn sidecar(&mut self, sidecar: &mut Arc<SidecarProxy>) {
        if let Some(known) = self.sidecars.iter().find(|known| *known == sidecar) {
            *sidecar = Arc::clone(known);
        } else if self.sidecars.len() < SIDECARS {
            self.sidecars.push(Arc::clone(sidecar));
        }
    }
}

impl<T: Counted> Pool<T> {
    fn is_known(&self, value: &T) -> bool {
        self.known.contains(value)
    }

    fn one(&mut self, value: &mut T) {
        *value = self.of(value);
    }

    fn of(&mut self, value: &T) -> T {
        if let Some(known) = self.known.get(value) {
            return known.clone();
        }
        if self.known.len() >= self.full {
            self.known.retain(|known| known.holders() > 1);
            self.full = 2 * self.known.len().max(512);
        }
        self.known.insert(value.clone());
        value.clone()
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { known: HashSet::default(), full: 1024 }
    }
}

impl Counted for Name {
    fn holders(&self) -> usize {
        Arc::strong_count(self)
    }
}

impl Counted for Labels {
    fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_one_and_those_that_nobody_holds_are_forgotten() {
        let mut names = Pool::default();
        let (first, again): (Name, Name) = (names.of(&"shop".into()), names.of(&"shop".into()));
        assert!(Arc::ptr_eq(&first, &again));
        for number in 0..100_000 {
            drop(names.of(&Name::from(number.to_string())));
        }
        assert!(names.known.len() <= 1024, "{}", names.known.len());
        assert!(Arc::ptr_eq(&first, &names.of(&"shop".into())), "held all the while");
    }
}
