//! Services by everything that a listener, a virtual host or a cause asks for.

use super::by_ip::ByIp;
use super::host::{ByHost, Shared};
use super::interner::Interner;
use super::keyed::Keyed;
use crate::mesh::facts::{ObjectKey, Service, ServiceEntry};
use crate::mesh::protocol::Protocol;
use crate::mesh::registry::{Port, Registry, RegistryService, is_host};
use crate::net::Name;
use ipnet::IpNet;
use rustc_hash::FxHashMap as HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Default, Debug)]
pub(super) struct Services {
    kubernetes: Keyed<RegistryService>,
    entries: HashMap<ObjectKey, Shared<RegistryService>>,
    pub(super) hosts: ByHost<RegistryService>,
    addresses: ByIp<Shared<RegistryService>>,
    ports: HashMap<u16, OnPort>,
    /// ServiceEntries by the ips in their `endpoints`.
    entry_endpoints: ByIp<Shared<RegistryService>>,
    /// ServiceEntries with a `workloadSelector`, by namespace.
    selecting: HashMap<Name, Shared<RegistryService>>,
}

/// Services that have a port of one number, the oldest first.
#[derive(Default, Debug)]
pub(crate) struct OnPort {
    pub(crate) namespaces: HashMap<Name, Shared<RegistryService>>,
    /// Those whose port is plain HTTP.
    pub(crate) http: HashMap<Name, Shared<RegistryService>>,
    /// Those whose listener is `0.0.0.0:port` though they are not plain HTTP: no address, or a CIDR.
    pub(crate) wide: Shared<RegistryService>,
}

impl Services {
    pub(super) fn knows_service(&self, service: &Service) -> bool {
        self.kubernetes.get(&service.key).is_some_and(|known| **known == RegistryService::of_service(service))
    }

    pub(super) fn knows_entry(&self, entry: &ServiceEntry) -> bool {
        let known = self.entries.get(&entry.key);
        known.is_some_and(|known| {
            known.iter().map(|known| &**known).eq(&RegistryService::of_entry(entry).collect::<Vec<_>>())
        })
    }

    /// Whether anything changed.
    pub(super) fn upsert_service(&mut self, service: &Service, interner: &mut Interner) -> bool {
        if self.knows_service(service) {
            return false;
        }
        self.remove_service(&service.key);
        let mut service = service.clone();
        interner.service(&mut service);
        let mut registered = RegistryService::of_service(&service);
        interner.registered(&mut registered);
        let registered = Arc::new(registered);
        self.insert(&registered);
        self.kubernetes.insert(registered);
        true
    }

    /// Whether anything changed.
    pub(super) fn upsert_entry(&mut self, entry: &ServiceEntry) -> bool {
        let registered: Shared<_> = RegistryService::of_entry(entry).map(Arc::new).collect();
        if self.entries.get(&entry.key) == Some(&registered) {
            return false;
        }
        self.remove_entry(&entry.key);
        for service in &registered {
            self.insert(service);
        }
        self.entries.insert(entry.key.clone(), registered);
        true
    }

    pub(super) fn remove_service(&mut self, key: &ObjectKey) -> bool {
        self.kubernetes.remove(key).inspect(|service| self.forget(service)).is_some()
    }

    pub(super) fn remove_entry(&mut self, key: &ObjectKey) -> bool {
        self.entries.remove(key).inspect(|services| services.iter().for_each(|service| self.forget(service))).is_some()
    }

    pub(super) fn has_entry(&self, key: &ObjectKey) -> bool {
        self.entries.contains_key(key)
    }

    pub(super) fn service_keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.kubernetes.iter().map(|service| &service.key)
    }

    pub(super) fn entry_keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.entries.keys()
    }

    pub(super) fn service_count(&self) -> usize {
        self.kubernetes.len()
    }

    pub(super) fn entry_count(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn service(&self, key: &ObjectKey) -> Option<&Arc<RegistryService>> {
        self.kubernetes.get(key)
    }

    pub(super) fn at_address(&self, ip: IpAddr) -> &[Arc<RegistryService>] {
        self.addresses.get(ip).map_or(&[], |services| services)
    }

    pub(super) fn on_port(&self, port: u16) -> Option<&OnPort> {
        self.ports.get(&port)
    }

    pub(super) fn entries_with_endpoint(&self, ip: IpAddr) -> &[Arc<RegistryService>] {
        self.entry_endpoints.get(ip).map_or(&[], |services| services)
    }

    pub(super) fn selecting_entries(&self, namespace: &str) -> &[Arc<RegistryService>] {
        self.selecting.get(namespace).map_or(&[], |services| services)
    }

    fn forget(&mut self, service: &Arc<RegistryService>) {
        self.hosts.remove(&service.hostname, service);
        for ip in vips(service) {
            take_at(&mut self.addresses, ip, service);
        }
        for ip in entry_ips(service) {
            take_at(&mut self.entry_endpoints, ip, service);
        }
        take(&mut self.selecting, &service.key.namespace, service);
        for port in &*service.ports {
            if let Some(on_port) = self.ports.get_mut(&port.number) {
                take(&mut on_port.namespaces, &service.key.namespace, service);
                take(&mut on_port.http, &service.key.namespace, service);
                on_port.wide.retain(|known| !Arc::ptr_eq(known, service));
            }
        }
    }

    fn insert(&mut self, service: &Arc<RegistryService>) {
        self.hosts.insert(&service.hostname, service, |a, b| a.seniority() < b.seniority());
        for ip in vips(service) {
            push_sorted(self.addresses.or_default(ip), service);
        }
        for ip in entry_ips(service) {
            push_sorted(self.entry_endpoints.or_default(ip), service);
        }
        if service.registry == Registry::ServiceEntry && !service.selector.is_empty() {
            push(&mut self.selecting, service.key.namespace.clone(), service);
        }
        for port in &*service.ports {
            let on_port = self.ports.entry(port.number).or_default();
            push(&mut on_port.namespaces, service.key.namespace.clone(), service);
            if service.alias_of.is_some() {
                continue;
            }
            if matches!(port.protocol, Protocol::Http | Protocol::Http2) {
                push(&mut on_port.http, service.key.namespace.clone(), service);
            }
            if is_wide(service, port) {
                push_sorted(&mut on_port.wide, service);
            }
        }
    }
}

fn is_wide(service: &RegistryService, port: &Port) -> bool {
    match port.protocol {
        Protocol::HttpProxy => true,
        Protocol::Http | Protocol::Http2 | Protocol::Udp => false,
        _ => {
            let elsewhere_too = service.addresses.iter().any(|address| !is_host(address));
            (service.addresses.is_empty() || elsewhere_too)
                && !service.listens_at_endpoints(port)
                && !service.is_headless()
        }
    }
}

fn vips(service: &RegistryService) -> impl Iterator<Item = IpAddr> {
    service.addresses.iter().filter(|net| is_host(net)).map(IpNet::addr)
}

fn entry_ips(service: &RegistryService) -> impl Iterator<Item = IpAddr> {
    service.endpoints().iter().filter_map(|endpoint| endpoint.address.parse().ok())
}

fn push<K: Hash + Eq>(map: &mut HashMap<K, Shared<RegistryService>>, key: K, service: &Arc<RegistryService>) {
    push_sorted(map.entry(key).or_default(), service);
}

fn push_sorted(services: &mut Shared<RegistryService>, service: &Arc<RegistryService>) {
    if !services.iter().any(|known| Arc::ptr_eq(known, service)) {
        let at = services.partition_point(|known| known.seniority() < service.seniority());
        services.insert(at, Arc::clone(service));
    }
}

fn take<K: Hash + Eq>(map: &mut HashMap<K, Shared<RegistryService>>, key: &K, service: &Arc<RegistryService>) {
    if let Some(services) = map.get_mut(key) {
        services.retain(|known| !Arc::ptr_eq(known, service));
        if services.is_empty() {
            map.remove(key);
        }
    }
}

fn take_at(map: &mut ByIp<Shared<RegistryService>>, ip: IpAddr, service: &Arc<RegistryService>) {
    if let Some(services) = map.get_mut(ip) {
        services.retain(|known| !Arc::ptr_eq(known, service));
        if services.is_empty() {
            map.remove(ip);
        }
    }
}
