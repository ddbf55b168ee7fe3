//! EndpointSlices by Service and by address. Several may share either, so both tables hold every slice by itself: what
//! they share is read from the slice, and an entry is as small as it can be.

use super::Pods;
use super::interner::Interner;
use super::keyed::Keyed;
use crate::mesh::facts::{EndpointSlice, ObjectKey, SliceEndpoint};
use crate::net::Name;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Default, Debug)]
pub(super) struct Slices {
    objects: Keyed<EndpointSlice>,
    services: HashTable<Arc<EndpointSlice>>,
    addresses: HashTable<Place>,
}

/// In the order of their keys.
pub(super) type Found<'a> = SmallVec<[&'a Arc<EndpointSlice>; 2]>;

/// One endpoint of a slice.
#[derive(Debug)]
struct Place {
    slice: Arc<EndpointSlice>,
    endpoint: u32,
}

impl Slices {
    /// Whether anything changed. `pods` and other slices may hold the names of its pods already.
    pub(super) fn upsert(&mut self, slice: &EndpointSlice, interner: &mut Interner, pods: &Pods) -> bool {
        if self.objects.get(&slice.key).is_some_and(|known| **known == *slice) {
            return false;
        }
        self.remove(&slice.key);
        let names = slice.endpoints.iter().map(|endpoint| self.name_held(slice, endpoint, pods)).collect();
        let mut slice = slice.clone();
        interner.slice(&mut slice, names);
        let slice = Arc::new(slice);
        if let Some(service) = &slice.service {
            let hash = hash_service(&slice.key.namespace, service);
            self.services.insert_unique(hash, Arc::clone(&slice), |known| hash_own_service(known));
        }
        for (hash, place) in Place::all(&slice) {
            self.addresses.insert_unique(hash, place, Place::hash);
        }
        self.objects.insert(slice);
        true
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) -> bool {
        let Some(slice) = self.objects.remove(key) else { return false };
        let is_it = |known: &Arc<EndpointSlice>| Arc::ptr_eq(known, &slice);
        if let Ok(entry) = self.services.find_entry(hash_own_service(&slice), is_it) {
            entry.remove();
        }
        for (hash, place) in Place::all(&slice) {
            let is_it = |known: &Place| known.endpoint == place.endpoint && Arc::ptr_eq(&known.slice, &slice);
            if let Ok(entry) = self.addresses.find_entry(hash, is_it) {
                entry.remove();
            }
        }
        true
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.objects.iter().map(|slice| &slice.key)
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Arc<EndpointSlice>> {
        self.objects.get(key)
    }

    pub(super) fn of_service(&self, service: &ObjectKey) -> Found<'_> {
        let filed = self.services.iter_hash(hash_service(&service.namespace, &service.name));
        in_order(
            filed.filter(|slice| {
                slice.service.as_ref() == Some(&service.name) && slice.key.namespace == service.namespace
            }),
        )
    }

    pub(super) fn with_address(&self, ip: IpAddr) -> Found<'_> {
        let ip = ip.to_canonical();
        let filed = self.addresses.iter_hash(hash_address(ip)).filter(|place| place.address() == ip);
        in_order(filed.map(|place| &place.slice))
    }

    /// A copy of this pod's name that a slice holds which lists it: one copy serves it and all of them.
    pub(super) fn pod_named(&self, namespace: &Name, name: &Name, ip: IpAddr) -> Option<&Name> {
        let filed = self.addresses.iter_hash(hash_address(ip.to_canonical()));
        let mut own = filed.filter(|place| place.slice.key.namespace == *namespace);
        own.find_map(|place| place.endpoint().pod.as_ref().filter(|known| *known == name))
    }

    fn name_held(&self, slice: &EndpointSlice, endpoint: &SliceEndpoint, pods: &Pods) -> Option<Name> {
        // Not where it names a namespace: a fact stays as it was told.
        let key = slice.pod_of(endpoint).filter(|key| endpoint.pod.as_ref() == Some(&key.name))?;
        let pod = pods.get(&key.namespace).and_then(|pods| pods.get(&key));
        let name = pod.map(|pod| &pod.key.name);
        name.or_else(|| self.pod_named(&key.namespace, &key.name, endpoint.address)).cloned()
    }

    /// Whether a pod is said to have this address. An endpoint that somebody wrote by hand may be anything.
    pub(super) fn is_pods(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let mut filed = self.addresses.iter_hash(hash_address(ip)).filter(|place| place.address() == ip);
        filed.any(|place| place.endpoint().pod.is_some())
    }
}

impl Place {
    /// Each with its hash.
    fn all(slice: &Arc<EndpointSlice>) -> impl Iterator<Item = (u64, Self)> {
        (0..).zip(&slice.endpoints).map(|(endpoint, of)| {
            (hash_address(of.address.to_canonical()), Self { slice: Arc::clone(slice), endpoint })
        })
    }

    fn endpoint(&self) -> &SliceEndpoint {
        &self.slice.endpoints[self.endpoint as usize]
    }

    fn address(&self) -> IpAddr {
        self.endpoint().address.to_canonical()
    }

    fn hash(&self) -> u64 {
        hash_address(self.address())
    }
}

fn in_order<'a>(slices: impl Iterator<Item = &'a Arc<EndpointSlice>>) -> Found<'a> {
    let mut slices: Found<'a> = slices.collect();
    slices.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    // One that names an address twice.
    slices.dedup_by(|a, b| Arc::ptr_eq(a, b));
    slices
}

fn hash_address(ip: IpAddr) -> u64 {
    FxBuildHasher.hash_one(ip)
}

fn hash_service(namespace: &Name, service: &Name) -> u64 {
    FxBuildHasher.hash_one((namespace, service))
}

/// Only slices that have one are filed by it.
fn hash_own_service(slice: &EndpointSlice) -> u64 {
    slice.service.as_ref().map_or(0, |service| hash_service(&slice.key.namespace, service))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(name: &str, addresses: &[&str]) -> EndpointSlice {
        let endpoint = |ip: &&str| SliceEndpoint { address: ip.parse().expect("an address"), ready: true, pod: None };
        EndpointSlice {
            key: ObjectKey { namespace: "shop".into(), name: name.into() },
            service: Some("web".into()),
            endpoints: addresses.iter().map(endpoint).collect(),
            ports: [].into(),
        }
    }

    #[test]
    fn slices_that_share_a_service_and_an_address_come_in_the_order_of_their_keys() {
        let mut slices = Slices::default();
        let mut interner = Interner::default();
        let named = |found: Found<'_>| found.iter().map(|slice| slice.key.name.to_string()).collect::<Vec<_>>();
        let (ip, web) =
            ("10.0.0.1".parse().expect("an address"), ObjectKey { namespace: "shop".into(), name: "web".into() });
        for name in ["c", "a", "b"] {
            assert!(slices.upsert(&slice(name, &["10.0.0.1", "::ffff:10.0.0.1"]), &mut interner, &Pods::default()));
        }
        assert!(
            !slices.upsert(&slice("a", &["10.0.0.1", "::ffff:10.0.0.1"]), &mut interner, &Pods::default()),
            "nothing new"
        );
        assert_eq!(
            (named(slices.with_address(ip)), named(slices.of_service(&web))),
            (
                vec!["a", "b", "c"].into_iter().map(String::from).collect(),
                vec!["a", "b", "c"].into_iter().map(String::from).collect()
            )
        );
        assert!(slices.upsert(&slice("a", &["10.0.0.2"]), &mut interner, &Pods::default()), "moved");
        assert!(slices.remove(&slice("b", &[]).key));
        assert_eq!(
            (named(slices.with_address(ip)), named(slices.of_service(&web))),
            (vec!["c".to_owned()], vec!["a".to_owned(), "c".to_owned()])
        );
        assert_eq!((slices.addresses.len(), slices.services.len(), slices.len()), (3, 2, 2));
    }

    #[test]
    fn one_copy_of_a_name_serves_every_slice_that_lists_the_pod_and_no_other() {
        let listing = |name: &str, pod: &str| {
            let mut slice = slice(name, &["10.0.0.1"]);
            slice.endpoints[0].pod = Some(pod.into());
            slice
        };
        let (mut slices, mut interner) = (Slices::default(), Interner::default());
        for (name, pod) in [("a", "db-0"), ("b", "data/db-0"), ("c", "db-0"), ("d", "shop/db-0")] {
            slices.upsert(&listing(name, pod), &mut interner, &Pods::default());
        }
        let held = |name: &str| slices.get(&slice(name, &[]).key).and_then(|slice| slice.endpoints[0].pod.clone());
        let [first, foreign, second, spelled] = ["a", "b", "c", "d"].map(|name| held(name).expect("a name"));
        assert!(Name::ptr_eq(&first, &second));
        assert_eq!((&*foreign, &*spelled), ("data/db-0", "shop/db-0"), "as they were told");
        let ip = "10.0.0.1".parse().expect("an address");
        let shared = slices.pod_named(&"shop".into(), &"db-0".into(), ip).expect("the same");
        assert!(Name::ptr_eq(shared, &first));
        assert!(slices.pod_named(&"data".into(), &"db-0".into(), ip).is_none());
        assert!(!slices.upsert(&listing("d", "shop/db-0"), &mut interner, &Pods::default()), "nothing new");
    }
}
