//! One copy of what many facts say: each comes with names of its own, and of 100,000 pods nearly all say the same few
//! thousand.

use crate::mesh::facts::{EndpointSlice, Enrolment, Pairs, Pod, Service, SlicePort, TargetPort};
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
}

/// In memory of its own. Whoever decoded a fact allocated its names between much that is thrown away right after, and what
/// stays of it would keep all those pages.
fn copied(name: &Name) -> Name {
    Name::from(&**name)
}

impl Interner {
    /// `name`: the copy of its name that others hold already.
    pub(super) fn pod(&mut self, pod: &mut Pod, name: Option<Name>) {
        self.names.one(&mut pod.key.namespace);
        pod.key.name = name.unwrap_or_else(|| copied(&pod.key.name));
        for name in [&mut pod.node, &mut pod.service_account, &mut pod.workload.kind, &mut pod.workload.name] {
            self.names.one(name);
        }
        let names = &mut self.names;
        pod.labels.shared = self.labels.of(&pod.labels.shared, |pairs| names.pairs(pairs));
        pod.labels.own = self.own(pod);
        pod.enrolment = self.enrolments.of(&pod.enrolment, Arc::clone);
    }

    /// `names`: the copies of its pods' names that others hold already.
    pub(super) fn slice(&mut self, slice: &mut EndpointSlice, names: Vec<Option<Name>>) {
        self.names.one(&mut slice.key.namespace);
        slice.key.name = copied(&slice.key.name);
        slice.service.iter_mut().for_each(|service| self.names.one(service));
        for (endpoint, name) in slice.endpoints.iter_mut().zip(names) {
            endpoint.pod = name.or_else(|| endpoint.pod.as_ref().map(copied));
        }
        let names = &mut self.names;
        let mut named = |port: &SlicePort| SlicePort { name: names.name(&port.name), ..port.clone() };
        slice.ports = self.slice_ports.of(&slice.ports, |ports| ports.iter().map(&mut named).collect());
    }

    pub(super) fn service(&mut self, service: &mut Service) {
        for name in [&mut service.key.namespace, &mut service.key.name] {
            self.names.one(name);
        }
        // Each Service has its own.
        service.selector.shared = self.names.pairs(&service.selector.shared);
        service.selector.own = self.names.pairs(&service.selector.own);
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
        service.ports = self.ports.of(&service.ports, Arc::clone);
    }

    /// A StatefulSet's pod is told its own name.
    fn own(&mut self, pod: &Pod) -> Pairs {
        let name = &pod.key.name;
        let own = pod.labels.own.iter();
        own.map(|(key, value)| {
            let value = if value == name { name.clone() } else { self.names.name(value) };
            (self.names.name(key), value)
        })
        .collect()
    }
}

impl<T: Counted> Pool<T> {
    /// The one that is known and equal to this; `keep` makes it where there is none.
    fn of(&mut self, value: &T, keep: impl FnOnce(&T) -> T) -> T {
        if let Some(known) = self.known.get(value) {
            return known.clone();
        }
        if self.known.len() >= self.full {
            self.known.retain(|known| known.holders() > 1);
            self.full = 2 * self.known.len().max(512);
        }
        let kept = keep(value);
        self.known.insert(kept.clone());
        kept
    }
}

impl Pool<Name> {
    fn name(&mut self, name: &Name) -> Name {
        self.of(name, copied)
    }

    fn one(&mut self, name: &mut Name) {
        *name = self.name(name);
    }

    fn pairs(&mut self, pairs: &Pairs) -> Pairs {
        pairs.iter().map(|(key, value)| (self.name(key), self.name(value))).collect()
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
}

impl<T: Eq + Hash> Counted for Arc<[T]> {
    fn holders(&self) -> usize {
        Arc::strong_count(self)
    }
}

impl Counted for Arc<Enrolment> {
    fn holders(&self) -> usize {
        Arc::strong_count(self)
    }
}

impl Counted for Pairs {
    fn holders(&self) -> usize {
        Pairs::holders(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_one_and_those_that_nobody_holds_are_forgotten() {
        let mut names = Pool::default();
        let (first, again): (Name, Name) = (names.name(&"shop".into()), names.name(&"shop".into()));
        assert!(Name::ptr_eq(&first, &again));
        for number in 0..100_000 {
            drop(names.name(&Name::from(number.to_string())));
        }
        assert!(names.known.len() <= 1024, "{}", names.known.len());
        assert!(Name::ptr_eq(&first, &names.name(&"shop".into())), "held all the while");
    }
}
