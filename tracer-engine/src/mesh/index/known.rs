//! What is known already: so that a list that is told anew says only what differs.

use super::Index;
use super::keyed::Keyed;
use crate::mesh::facts::{Delta, Fact, Kind, ObjectKey};
use crate::net::Name;

impl Index {
    /// Whether taking this in would change nothing.
    pub fn knows(&self, delta: &Delta) -> bool {
        match delta {
            Delta::Upsert(fact) => self.knows_fact(fact),
            Delta::Remove(kind, key) => !self.has(*kind, key),
            Delta::Synced(kind) => self.synced(*kind),
        }
    }

    fn knows_fact(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Namespace(namespace) => self.namespaces.get(&namespace.name) == Some(namespace),
            Fact::MeshConfig(config) => self.mesh_configs.get(&config.revision) == Some(config),
            Fact::Node(node) => self.nodes.get(&node.name) == Some(node),
            Fact::Pod(pod) => self.pod(&pod.key).is_some_and(|known| **known == *pod),
            Fact::Service(service) => self.services.knows_service(service),
            Fact::ServiceEntry(entry) => self.services.knows_entry(entry),
            Fact::EndpointSlice(slice) => self.slices.get(&slice.key).is_some_and(|known| **known == *slice),
            Fact::PeerAuthentication(policy) => self.peer_authentications.knows(policy),
            Fact::Sidecar(sidecar) => self.sidecars.knows(sidecar),
            Fact::AuthorizationPolicy(policy) => self.authorization_policies.knows(policy),
            Fact::DestinationRule(rule) => self.destination_rules.knows(rule),
            Fact::VirtualService(service) => self.routes.knows(service),
        }
    }

    fn has(&self, kind: Kind, key: &ObjectKey) -> bool {
        match kind {
            Kind::Namespace => self.namespaces.contains_key(&key.name),
            Kind::MeshConfig => self.mesh_configs.contains_key(&key.name),
            Kind::Node => self.nodes.contains_key(&key.name),
            Kind::Pod => self.pod(key).is_some(),
            Kind::Service => self.services.service(key).is_some(),
            Kind::ServiceEntry => self.services.has_entry(key),
            Kind::EndpointSlice => self.slices.get(key).is_some(),
            Kind::PeerAuthentication => self.peer_authentications.get(key).is_some(),
            Kind::Sidecar => self.sidecars.get(key).is_some(),
            Kind::AuthorizationPolicy => self.authorization_policies.get(key).is_some(),
            Kind::DestinationRule => self.destination_rules.get(key).is_some(),
            Kind::VirtualService => self.routes.get(key).is_some(),
        }
    }

    /// The objects of this kind, as a `Delta::Remove` names them.
    pub fn keys(&self, kind: Kind) -> Vec<ObjectKey> {
        let named = |name: &Name| ObjectKey { namespace: "".into(), name: name.clone() };
        match kind {
            Kind::Namespace => self.namespaces.keys().map(named).collect(),
            Kind::MeshConfig => self.mesh_configs.keys().map(named).collect(),
            Kind::Node => self.nodes.keys().map(named).collect(),
            Kind::Pod => self.pods.values().flat_map(Keyed::iter).map(|pod| pod.key.clone()).collect(),
            Kind::Service => self.services.service_keys().cloned().collect(),
            Kind::ServiceEntry => self.services.entry_keys().cloned().collect(),
            Kind::EndpointSlice => self.slices.keys().cloned().collect(),
            Kind::PeerAuthentication => self.peer_authentications.keys().cloned().collect(),
            Kind::Sidecar => self.sidecars.keys().cloned().collect(),
            Kind::AuthorizationPolicy => self.authorization_policies.keys().cloned().collect(),
            Kind::DestinationRule => self.destination_rules.keys().cloned().collect(),
            Kind::VirtualService => self.routes.keys().cloned().collect(),
        }
    }
}
