//! Taking in one change: each kind of object into the maps that are asked about it.

use super::Index;
use super::host::resolve_short_name;
use crate::mesh::facts::{DestinationRule, ExportTo, Fact, Kind, ObjectKey, Pod};
use crate::mesh::index::namespaced::Policy;
use crate::net::{Ktime, Name};
use rustc_hash::FxHashMap as HashMap;
use std::hash::Hash;
use std::sync::Arc;

impl Index {
    /// Whether anything changed.
    pub(super) fn upsert(&mut self, at: Ktime, fact: &Fact) -> bool {
        match fact {
            Fact::Namespace(namespace) => put(&mut self.namespaces, &namespace.name, namespace),
            Fact::MeshConfig(config) => {
                put(&mut self.mesh_configs, &config.revision, config) && self.merge_routes_again()
            }
            Fact::Node(node) => {
                if self.nodes.get(&node.name) == Some(node) {
                    return false;
                }
                self.remove_node(&node.name);
                self.addresses.add_node(node);
                self.nodes.insert(node.name.clone(), node.clone());
                true
            }
            Fact::Pod(pod) => self.upsert_pod(at, pod),
            Fact::Service(service) => self.services.upsert_service(service, &mut self.interner),
            Fact::ServiceEntry(entry) => self.services.upsert_entry(entry),
            Fact::EndpointSlice(slice) => self.slices.upsert(slice, &mut self.interner, &self.pods),
            Fact::PeerAuthentication(policy) => self.peer_authentications.upsert(policy).is_some(),
            Fact::Sidecar(sidecar) => self.sidecars.upsert(sidecar).is_some(),
            Fact::AuthorizationPolicy(policy) => self.authorization_policies.upsert(policy).is_some(),
            Fact::DestinationRule(rule) => {
                let Some((rule, replaced)) = self.destination_rules.upsert(rule) else { return false };
                if let Some(replaced) = &replaced {
                    self.forget_rule(replaced);
                }
                let host = resolve_short_name(&rule.host, &rule.key.namespace);
                let hosts = self.rules_by_host.entry(rule.key.namespace.clone()).or_default();
                hosts.insert(&host, &rule, |a, b| a.seniority() < b.seniority());
                true
            }
            Fact::VirtualService(service) => self.routes.upsert(service, &self.virtual_services_shown_to()),
        }
    }

    /// Whether anything changed.
    pub(super) fn remove(&mut self, at: Ktime, kind: Kind, key: &ObjectKey) -> bool {
        match kind {
            Kind::Namespace => self.namespaces.remove(&key.name).is_some(),
            Kind::MeshConfig => self.mesh_configs.remove(&key.name).is_some() && self.merge_routes_again(),
            Kind::Node => self.remove_node(&key.name),
            Kind::Pod => {
                let Some(pods) = self.pods.get_mut(&key.namespace) else { return false };
                let Some(pod) = pods.remove(key) else { return false };
                if pods.is_empty() {
                    self.pods.remove(&key.namespace);
                }
                self.addresses.release(at, &pod, &[]);
                true
            }
            Kind::Service => self.services.remove_service(key),
            Kind::ServiceEntry => self.services.remove_entry(key),
            Kind::EndpointSlice => self.slices.remove(key),
            Kind::PeerAuthentication => self.peer_authentications.remove(key).is_some(),
            Kind::Sidecar => self.sidecars.remove(key).is_some(),
            Kind::AuthorizationPolicy => self.authorization_policies.remove(key).is_some(),
            Kind::DestinationRule => {
                self.destination_rules.remove(key).inspect(|rule| self.forget_rule(rule)).is_some()
            }
            Kind::VirtualService => self.routes.remove(key, &self.virtual_services_shown_to()),
        }
    }

    fn upsert_pod(&mut self, at: Ktime, pod: &Pod) -> bool {
        let known = self.pod(&pod.key).cloned();
        if known.as_deref() == Some(pod) {
            return false;
        }
        if let Some(known) = known {
            // A pod of the same name and another uid is another pod: the old one is gone.
            let kept = if known.uid == pod.uid { &pod.ips[..] } else { &[] };
            self.addresses.release(at, &known, kept);
        }
        let synced = self.synced(Kind::Pod);
        let mut pod = pod.clone();
        let name = pod.ips.iter().find_map(|ip| self.slices.pod_named(&pod.key.namespace, &pod.key.name, *ip));
        self.interner.pod(&mut pod, name.cloned());
        let pod = Arc::new(pod);
        self.addresses.claim(at, &pod, synced);
        self.pods.entry(pod.key.namespace.clone()).or_default().insert(pod);
        true
    }

    fn remove_node(&mut self, name: &Name) -> bool {
        self.nodes.remove(name).inspect(|node| self.addresses.remove_node(node)).is_some()
    }

    fn forget_rule(&mut self, rule: &Arc<DestinationRule>) {
        let namespace = &rule.key.namespace;
        if let Some(hosts) = self.rules_by_host.get_mut(namespace) {
            hosts.remove(&resolve_short_name(&rule.host, namespace), rule);
        }
    }

    /// Whether a delegate is seen depends on it.
    fn merge_routes_again(&mut self) -> bool {
        self.routes.merge_again(None, &self.virtual_services_shown_to());
        true
    }

    fn virtual_services_shown_to(&self) -> ExportTo {
        self.mesh_config(None).default_virtual_service_export_to.clone()
    }
}

fn put<K: Hash + Eq + Clone, V: PartialEq + Clone>(map: &mut HashMap<K, V>, key: &K, value: &V) -> bool {
    map.get(key) != Some(value) && {
        map.insert(key.clone(), value.clone());
        true
    }
}
