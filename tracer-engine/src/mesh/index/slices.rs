//! EndpointSlices by Service and by address.

use super::interner::Interner;
use crate::mesh::facts::{EndpointSlice, ObjectKey};
use rustc_hash::FxHashMap as HashMap;
use smallvec::SmallVec;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Default, Debug)]
pub(super) struct Slices {
    objects: HashMap<ObjectKey, Arc<EndpointSlice>>,
    services: HashMap<ObjectKey, SmallVec<[Arc<EndpointSlice>; 1]>>,
    addresses: HashMap<IpAddr, SmallVec<[Arc<EndpointSlice>; 1]>>,
}

impl Slices {
    /// Whether anything changed.
    pub(super) fn upsert(&mut self, slice: &EndpointSlice, interner: &mut Interner) -> bool {
        if self.objects.get(&slice.key).is_some_and(|known| **known == *slice) {
            return false;
        }
        self.remove(&slice.key);
        let mut slice = slice.clone();
        interner.slice(&mut slice);
        let slice = Arc::new(slice);
        if let Some(service) = service_of(&slice) {
            let slices = self.services.entry(service).or_default();
            let at = slices.partition_point(|known| known.key < slice.key);
            slices.insert(at, Arc::clone(&slice));
        }
        for ip in addresses_of(&slice) {
            let slices = self.addresses.entry(ip).or_default();
            if !slices.iter().any(|known| Arc::ptr_eq(known, &slice)) {
                let at = slices.partition_point(|known| known.key < slice.key);
                slices.insert(at, Arc::clone(&slice));
            }
        }
        self.objects.insert(slice.key.clone(), slice);
        true
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) -> bool {
        let Some(slice) = self.objects.remove(key) else { return false };
        if let Some(service) = service_of(&slice) {
            take(&mut self.services, &service, &slice);
        }
        for ip in addresses_of(&slice) {
            take(&mut self.addresses, &ip, &slice);
        }
        true
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.objects.keys()
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Arc<EndpointSlice>> {
        self.objects.get(key)
    }

    pub(super) fn of_service(&self, service: &ObjectKey) -> &[Arc<EndpointSlice>] {
        self.services.get(service).map_or(&[], |slices| slices)
    }

    pub(super) fn with_address(&self, ip: IpAddr) -> &[Arc<EndpointSlice>] {
        self.addresses.get(&ip).map_or(&[], |slices| slices)
    }

    /// Whether a pod is said to have this address. An endpoint that somebody wrote by hand may be anything.
    pub(super) fn is_pods(&self, ip: IpAddr) -> bool {
        let has = |addresses: &[IpAddr]| addresses.iter().any(|address| address.to_canonical() == ip);
        let mut endpoints = self.with_address(ip).iter().flat_map(|slice| &slice.endpoints);
        endpoints.any(|endpoint| endpoint.pod.is_some() && has(&endpoint.addresses))
    }
}

fn take<K: Hash + Eq>(map: &mut HashMap<K, SmallVec<[Arc<EndpointSlice>; 1]>>, key: &K, slice: &Arc<EndpointSlice>) {
    if let Some(slices) = map.get_mut(key) {
        slices.retain(|known| !Arc::ptr_eq(known, slice));
        if slices.is_empty() {
            map.remove(key);
        }
    }
}

fn service_of(slice: &EndpointSlice) -> Option<ObjectKey> {
    Some(ObjectKey { namespace: slice.key.namespace.clone(), name: slice.service.clone()? })
}

fn addresses_of(slice: &EndpointSlice) -> impl Iterator<Item = IpAddr> {
    slice.endpoints.iter().flat_map(|endpoint| endpoint.addresses.iter().map(IpAddr::to_canonical))
}
