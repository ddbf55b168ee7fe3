//! What would be if some objects were otherwise: applied, looked at, and taken back.

use super::Index;
use crate::mesh::facts::{Delta, Fact, Kind, ObjectKey};
use crate::net::Ktime;
use std::sync::Arc;

impl Index {
    /// Looks at the facts with these objects among them. Afterwards they are as they were, and so is what was cached of
    /// them. Pods must keep their uid and addresses: who had an address when cannot be taken back.
    pub(crate) fn trial<T>(&mut self, at: Ktime, objects: &[Fact], look: impl FnOnce(&Self) -> T) -> T {
        let generation = self.generation;
        let undo: Vec<Delta> = objects.iter().map(|fact| self.as_it_is(fact)).collect();
        for fact in objects {
            self.upsert(at, fact);
        }
        let seen = look(self);
        for delta in undo.iter().rev() {
            self.apply(at, delta);
        }
        self.generation = generation;
        seen
    }

    /// What brings the object back to what is known of it now.
    fn as_it_is(&self, fact: &Fact) -> Delta {
        let key = key(fact);
        let known = match fact.kind() {
            Kind::Namespace => self.namespaces.get(&key.name).cloned().map(Fact::Namespace),
            Kind::Node => self.nodes.get(&key.name).cloned().map(Fact::Node),
            Kind::Pod => self.pod(&key).map(|pod| Fact::Pod(owned(pod))),
            Kind::Service => self.service(&key).and_then(|service| service.to_service()).map(Fact::Service),
            Kind::EndpointSlice => self.slices.get(&key).map(|slice| Fact::EndpointSlice(owned(slice))),
            Kind::MeshConfig => self.mesh_configs.get(&key.name).cloned().map(Fact::MeshConfig),
            Kind::PeerAuthentication => {
                self.peer_authentications.get(&key).map(|policy| Fact::PeerAuthentication(owned(policy)))
            }
            Kind::DestinationRule => self.destination_rules.get(&key).map(|rule| Fact::DestinationRule(owned(rule))),
            Kind::Sidecar => self.sidecars.get(&key).map(|sidecar| Fact::Sidecar(owned(sidecar))),
            Kind::VirtualService => self.routes.get(&key).map(|service| Fact::VirtualService(owned(service))),
            Kind::AuthorizationPolicy => {
                self.authorization_policies.get(&key).map(|policy| Fact::AuthorizationPolicy(owned(policy)))
            }
            // Only its registry entries are kept: a trial adds new ones.
            Kind::ServiceEntry => None,
        };
        known.map_or_else(|| Delta::Remove(fact.kind(), key), |fact| Delta::Upsert(Box::new(fact)))
    }
}

fn owned<T: Clone>(shared: &Arc<T>) -> T {
    T::clone(shared)
}

fn key(fact: &Fact) -> ObjectKey {
    let unscoped = |name: &crate::net::Name| ObjectKey { namespace: "".into(), name: name.clone() };
    match fact {
        Fact::Namespace(namespace) => unscoped(&namespace.name),
        Fact::Node(node) => unscoped(&node.name),
        Fact::MeshConfig(config) => unscoped(&config.revision),
        Fact::Pod(pod) => pod.key.clone(),
        Fact::Service(service) => service.key.clone(),
        Fact::EndpointSlice(slice) => slice.key.clone(),
        Fact::PeerAuthentication(policy) => policy.key.clone(),
        Fact::DestinationRule(rule) => rule.key.clone(),
        Fact::ServiceEntry(entry) => entry.key.clone(),
        Fact::Sidecar(sidecar) => sidecar.key.clone(),
        Fact::VirtualService(service) => service.key.clone(),
        Fact::AuthorizationPolicy(policy) => policy.key.clone(),
    }
}
