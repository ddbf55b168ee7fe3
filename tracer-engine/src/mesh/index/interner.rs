//! One copy of what many facts say: each comes with names of its own, and of 100,000 pods nearly all say the same few
//! thousand.

use crate::mesh::facts::{EndpointSlice, Enrolment, Labels, ObjectKey, Pairs, Pod, Service, SlicePort, TargetPort};
use crate::mesh::registry::{Port, RegistryService};
use crate::net::Name;
use rustc_hash::FxHashSet as HashSet;
use std::hash::Hash;
use std::sync::Arc;

#[derive(Default, Debug)]
pub(super) struct Interner {
    names: Pool<Name>,
    labels: Pool<Pairs>,
    ports: Pool<Arc<[Port]>>,
    slice_ports: Pool<Arc<[SlicePort]>>,
    /// A cluster has a handful: one for each way of injecting.
    enrolments: Pool<Arc<Enrolment>>,
}

#[derive(Debug)]
struct Pool<T> {
    known: HashSet<T>,
    /// So many are there when it is looked which nobody holds any more.
    full: usize,
}

trait Counted: Clone + Eq + Hash {
    fn holders(&self) -> usize;

    /// Its like, in memory of its own. Whoever decoded a fact allocated it between much that is thrown away right after,
    /// and what stays of it would keep all those pages. Not what it points at: names have a pool of their own.
    fn copied(&self) -> Self;
}

impl Interner {
    /// `name`: the copy of its name that others hold already.
    pub(super) fn pod(&mut self, pod: &mut Pod, name: Option<Name>) {
        self.names.one(&mut pod.key.namespace);
        pod.key.name = name.unwrap_or_else(|| pod.key.name.copied());
        for name in [&mut pod.node, &mut pod.service_account, &mut pod.workload.kind, &mut pod.workload.name] {
            self.names.one(name);
        }
        self.labels(&mut pod.labels);
        pod.labels.own = self.own(pod);
        self.enrolments.one(&mut pod.enrolment);
    }

    pub(super) fn slice(&mut self, slice: &mut EndpointSlice) {
        self.names.one(&mut slice.key.namespace);
        slice.key.name = slice.key.name.copied();
        slice.service.iter_mut().for_each(|service| self.names.one(service));
        for pod in slice.endpoints.iter_mut().filter_map(|endpoint| endpoint.pod.as_mut()) {
            *pod = pod.copied();
        }
        if !self.slice_ports.is_known(&slice.ports) {
            let named = |port: &SlicePort| SlicePort { name: self.names.of(&port.name), ..port.clone() };
            slice.ports = slice.ports.iter().map(named).collect();
        }
        self.slice_ports.one(&mut slice.ports);
    }

    pub(super) fn service(&mut self, service: &mut Service) {
        self.key(&mut service.key);
        // Each Service has its own.
        service.selector.shared = self.pairs(&service.selector.shared);
        service.selector.own = self.pairs(&service.selector.own);
        for port in &mut service.ports {
            self.names.one(&mut port.name);
            port.app_protocol.iter_mut().for_each(|protocol| self.names.one(protocol));
            if let TargetPort::Name(name) = &mut port.target {
                self.names.one(name);
            }
        }
    }

    /// The ports of one that is made of a Service which was seen here.
    pub(super) fn registered(&mut self, service: &mut RegistryService) {
        self.ports.one(&mut service.ports);
    }

    fn key(&mut self, key: &mut ObjectKey) {
        self.names.one(&mut key.namespace);
        self.names.one(&mut key.name);
    }

    fn labels(&mut self, labels: &mut Labels) {
        if !self.labels.is_known(&labels.shared) {
            labels.shared = self.pairs(&labels.shared);
        }
        self.labels.one(&mut labels.shared);
    }

    /// A StatefulSet's pod is told its own name.
    fn own(&mut self, pod: &Pod) -> Pairs {
        let name = &pod.key.name;
        let own = pod.labels.own.iter();
        own.map(|(key, value)| {
            let value = if value == name { name.clone() } else { self.names.of(value) };
            (self.names.of(key), value)
        })
        .collect()
    }

    fn pairs(&mut self, pairs: &Pairs) -> Pairs {
        pairs.iter().map(|(key, value)| (self.names.of(key), self.names.of(value))).collect()
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
        let kept = value.copied();
        self.known.insert(kept.clone());
        kept
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { known: HashSet::default(), full: 1024 }
    }
}

impl Counted for Name {
    fn holders(&self) -> usize {
        // One that lives for ever has no count: it is never forgotten.
        Name::strong_count(self).unwrap_or(usize::MAX)
    }

    fn copied(&self) -> Self {
        Name::from(&**self)
    }
}

impl<T: Clone + Eq + Hash> Counted for Arc<[T]> {
    fn holders(&self) -> usize {
        Arc::strong_count(self)
    }

    fn copied(&self) -> Self {
        Arc::from(&**self)
    }
}

impl Counted for Arc<Enrolment> {
    fn holders(&self) -> usize {
        Arc::strong_count(self)
    }

    fn copied(&self) -> Self {
        Arc::new(Enrolment::clone(self))
    }
}

impl Counted for Pairs {
    fn holders(&self) -> usize {
        Pairs::holders(self)
    }

    fn copied(&self) -> Self {
        self.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_one_and_those_that_nobody_holds_are_forgotten() {
        let mut names = Pool::default();
        let (first, again): (Name, Name) = (names.of(&"shop".into()), names.of(&"shop".into()));
        assert!(Name::ptr_eq(&first, &again));
        for number in 0..100_000 {
            drop(names.of(&Name::from(number.to_string())));
        }
        assert!(names.known.len() <= 1024, "{}", names.known.len());
        assert!(Name::ptr_eq(&first, &names.of(&"shop".into())), "held all the while");
    }
}
