//! All facts, indexed by what the walk asks. `apply` is synchronous and the order of deltas does not matter: whatever
//! joins two objects (a pod and its EndpointSlice, a policy and its namespace) is joined when it is asked for.

mod address;
mod apply;
mod by_ip;
mod cgroups;
mod endpoints;
pub(crate) mod host;
mod interner;
mod keyed;
mod known;
mod namespaced;
mod occupant;
mod routes;
mod services;
mod slices;
mod tenure;
mod trial;

pub(crate) use endpoints::{EndpointName, Labelled, ServiceEndpoint};
pub use occupant::Occupant;

use crate::mesh::attribution::{Attribution, UnknownReason};
use crate::mesh::facts::{
    AuthorizationPolicy, Delta, DestinationRule, ExportTo, Kind, MeshConfig, Namespace, Node, ObjectKey,
    OutboundPolicy, PeerAuthentication, Pod, Sidecar, VirtualService,
};
use crate::mesh::registry::{Registry, RegistryService};
use crate::net::{Ktime, Name};
use crate::socket::{CgroupOwner, Socket};
use address::Addresses;
use cgroups::{Cgroups, Whose};
use host::ByHost;
use interner::Interner;
use keyed::Keyed;
use namespaced::Namespaced;
use routes::Routes;
use rustc_hash::FxHashMap as HashMap;
use services::Services;
use slices::Slices;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub struct Index {
    generation: u64,
    synced: u16,
    interner: Interner,
    namespaces: HashMap<Name, Namespace>,
    nodes: HashMap<Name, Node>,
    pods: Pods,
    addresses: Addresses,
    services: Services,
    slices: Slices,
    cgroups: Cgroups,
    mesh_configs: HashMap<Name, MeshConfig>,
    default_mesh: MeshConfig,
    peer_authentications: Namespaced<PeerAuthentication>,
    destination_rules: Namespaced<DestinationRule>,
    rules_by_host: HashMap<Name, ByHost<DestinationRule>>,
    sidecars: Namespaced<Sidecar>,
    routes: Routes,
    authorization_policies: Namespaced<AuthorizationPolicy>,
}

/// By namespace.
type Pods = HashMap<Name, Keyed<Pod>>;

impl Index {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in one change that was learnt at `at`. Telling the same thing twice changes nothing.
    pub fn apply(&mut self, at: Ktime, delta: &Delta) {
        let changed = match delta {
            Delta::Upsert(fact) => self.upsert(at, fact),
            Delta::Remove(kind, key) => self.remove(at, *kind, key),
            Delta::Synced(kind) => {
                let before = self.synced;
                self.synced |= 1 << *kind as u16;
                self.synced != before
            }
        };
        self.generation += u64::from(changed);
    }

    /// Forgets pods that were gone for long by `now`. Memory is all that this is about: answers go by `as of`.
    pub fn expire(&mut self, now: Ktime) {
        self.addresses.expire(now);
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
            Kind::Namespace => self.namespaces.len(),
            Kind::Node => self.nodes.len(),
            Kind::Pod => self.pods.values().map(Keyed::len).sum(),
            Kind::Service => self.services.service_count(),
            Kind::EndpointSlice => self.slices.len(),
            Kind::MeshConfig => self.mesh_configs.len(),
            Kind::PeerAuthentication => self.peer_authentications.len(),
            Kind::DestinationRule => self.destination_rules.len(),
            Kind::ServiceEntry => self.services.entry_count(),
            Kind::Sidecar => self.sidecars.len(),
            Kind::VirtualService => self.routes.len(),
            Kind::AuthorizationPolicy => self.authorization_policies.len(),
        }
    }

    pub fn pod(&self, key: &ObjectKey) -> Option<&Arc<Pod>> {
        self.pods.get(&key.namespace)?.get(key)
    }

    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.get(name)
    }

    /// The Kubernetes Service of this name.
    pub fn service(&self, key: &ObjectKey) -> Option<&Arc<RegistryService>> {
        self.services.service(key)
    }

    pub(crate) fn slices_of(&self, service: &ObjectKey) -> slices::Found<'_> {
        self.slices.of_service(service)
    }

    pub(crate) fn pods_in(&self, namespace: &str) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.get(namespace).into_iter().flat_map(Keyed::iter)
    }

    /// Who has this address, as of `at`.
    pub fn occupant(&self, ip: IpAddr, at: Ktime) -> Occupant<'_> {
        match self.addresses.tenant(ip, at) {
            Some(live @ (Occupant::Pod(_) | Occupant::Unknown(_))) => return live,
            gone => {
                let mut services = self.services.at_address(ip).iter();
                if let Some(service) = services.find(|service| service.registry == Registry::Kubernetes) {
                    return Occupant::Service(service);
                }
                if let Some(node) = self.addresses.node(ip) {
                    return Occupant::Node(node);
                }
                if let Some(gone) = gone {
                    return gone;
                }
            }
        }
        if self.slices.is_pods(ip) || self.addresses.in_pod_cidr(ip) {
            Occupant::Unknown(UnknownReason::PodNotSeenYet)
        } else if self.synced(Kind::Pod) && self.synced(Kind::Service) && self.synced(Kind::Node) {
            Occupant::External
        } else {
            Occupant::Unknown(UnknownReason::FactsNotSynced)
        }
    }

    /// Whose cgroup it is, from now on.
    pub fn introduce(&mut self, owner: &CgroupOwner) {
        self.cgroups.insert(owner);
    }

    /// Who owns a socket of this node, as of `at`. Its cgroup tells apart what shares an address (trap 16), and proves
    /// that the pod is the one that facts say has it; where it is nobody's or unknown, the address decides.
    pub fn owner(&self, socket: &Socket, at: Ktime) -> Occupant<'_> {
        let by_address = self.occupant(socket.local.ip, at);
        let uid = match self.cgroups.whose(socket.owner.cgroup) {
            Whose::Pod(uid) => uid,
            // A bridge has an address among the pods', and kubelet's probes come from there.
            Whose::Node if matches!(by_address, Occupant::Unknown(UnknownReason::PodNotSeenYet)) => {
                let node = self.addresses.node_of_pod_cidr(socket.local.ip.to_canonical());
                return node.map_or(by_address, Occupant::Node);
            }
            Whose::Node | Whose::Unknown => return by_address,
        };
        match self.addresses.pod_with_uid(socket.local.ip, uid) {
            Some(pod) => Occupant::Pod(pod),
            // Another pod than the one that facts know.
            None if matches!(by_address, Occupant::Pod(_) | Occupant::Tombstone(_)) => {
                Occupant::Unknown(UnknownReason::PodNotSeenYet)
            }
            None => by_address,
        }
    }

    /// Who has this address, as of `at`, as a record shows it.
    pub fn resolve(&self, ip: IpAddr, at: Ktime) -> Attribution {
        self.occupant(ip, at).attribution()
    }

    /// The live pod that has this address; hostNetwork pods have none of their own.
    pub fn pod_at(&self, ip: IpAddr, at: Ktime) -> Option<&Arc<Pod>> {
        match self.addresses.tenant(ip, at) {
            Some(Occupant::Pod(pod)) => Some(pod),
            _ => None,
        }
    }

    /// Of an address that nobody was told to have at `at`: when the next pod was told to have it.
    pub(crate) fn told_after(&self, ip: IpAddr, at: Ktime) -> Option<Ktime> {
        self.addresses.told_after(ip, at)
    }

    /// Whether proxies may not have been told yet, at `at`, of the pod that has this address.
    pub(crate) fn is_new(&self, ip: IpAddr, at: Ktime) -> bool {
        self.addresses.is_new(ip, at)
    }

    /// The mesh configuration of a proxy's revision; the default one where it has none.
    pub fn mesh_config(&self, revision: Option<&str>) -> &MeshConfig {
        let own = revision.and_then(|revision| self.mesh_configs.get(revision));
        own.or_else(|| self.mesh_configs.get("default")).unwrap_or(&self.default_mesh)
    }

    pub(crate) fn services_at(&self, ip: IpAddr) -> &[Arc<RegistryService>] {
        self.services.at_address(ip)
    }

    pub(crate) fn services_on(&self, port: u16) -> Option<&services::OnPort> {
        self.services.on_port(port)
    }

    pub(crate) fn services_named(&self, host: &str) -> &[Arc<RegistryService>] {
        self.services.hosts.exact(host)
    }

    pub(crate) fn services_with_host(&self) -> &ByHost<RegistryService> {
        &self.services.hosts
    }

    /// ServiceEntries that name `ip` or select `pod`.
    pub(crate) fn entries_over<'a>(
        &'a self,
        ip: IpAddr,
        pod: Option<&'a Pod>,
    ) -> impl Iterator<Item = &'a Arc<RegistryService>> {
        let selecting = pod.into_iter().flat_map(|pod| {
            let entries = self.services.selecting_entries(&pod.key.namespace);
            entries.iter().filter(|entry| entry.selector.selects(&pod.labels))
        });
        self.services.entries_with_endpoint(ip).iter().chain(selecting)
    }

    pub(crate) fn peer_authentications(&self, namespace: &str) -> &[Arc<PeerAuthentication>] {
        self.peer_authentications.of(namespace)
    }

    pub(crate) fn destination_rules(&self, namespace: &str) -> Option<&ByHost<DestinationRule>> {
        self.rules_by_host.get(namespace)
    }

    pub(crate) fn sidecars(&self, namespace: &str) -> &[Arc<Sidecar>] {
        self.sidecars.of(namespace)
    }

    pub(crate) fn virtual_hosts(&self) -> &ByHost<VirtualService> {
        &self.routes.by_host
    }

    /// VirtualServices with a route to this host.
    pub(crate) fn virtual_services_to(&self, host: &str) -> &[Arc<VirtualService>] {
        self.routes.leading_to.exact(host)
    }

    pub(crate) fn authorization_policies(&self, namespace: &str) -> &[Arc<AuthorizationPolicy>] {
        self.authorization_policies.of(namespace)
    }
}

impl Default for Index {
    fn default() -> Self {
        Self {
            generation: 0,
            synced: 0,
            interner: Interner::default(),
            namespaces: HashMap::default(),
            nodes: HashMap::default(),
            pods: HashMap::default(),
            addresses: Addresses::default(),
            services: Services::default(),
            slices: Slices::default(),
            cgroups: Cgroups::default(),
            mesh_configs: HashMap::default(),
            default_mesh: istio_defaults(),
            peer_authentications: Namespaced::default(),
            destination_rules: Namespaced::default(),
            rules_by_host: HashMap::default(),
            sidecars: Namespaced::default(),
            routes: Routes::default(),
            authorization_policies: Namespaced::default(),
        }
    }
}

/// `pkg/config/mesh DefaultMeshConfig`: what holds where no ConfigMap was told.
fn istio_defaults() -> MeshConfig {
    MeshConfig {
        revision: "default".into(),
        root_namespace: "istio-system".into(),
        outbound: OutboundPolicy::AllowAny,
        auto_mtls: true,
        trust_domain: "cluster.local".into(),
        trust_domain_aliases: Vec::new(),
        default_service_export_to: ExportTo::All,
        default_virtual_service_export_to: ExportTo::All,
        default_destination_rule_export_to: ExportTo::All,
        discovery_selectors: Vec::new(),
        protocol_detection_timeout: Duration::ZERO,
    }
}
