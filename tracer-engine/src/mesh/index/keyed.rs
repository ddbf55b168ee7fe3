//! Objects by their keys. The key is read from the object itself, so that an entry is one pointer.

use crate::mesh::facts::{
    AuthorizationPolicy, DestinationRule, EndpointSlice, ObjectKey, PeerAuthentication, Pod, Sidecar, VirtualService,
};
use crate::mesh::registry::RegistryService;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;
use std::mem;
use std::sync::Arc;

pub(crate) trait Object {
    fn key(&self) -> &ObjectKey;
}

#[derive(Debug)]
pub(super) struct Keyed<T> {
    objects: HashTable<Arc<T>>,
}

impl<T: Object> Keyed<T> {
    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Arc<T>> {
        self.objects.find(hash(key), |known| known.key() == key)
    }

    /// The object that this one replaces.
    pub(super) fn insert(&mut self, object: Arc<T>) -> Option<Arc<T>> {
        let key = object.key();
        match self.objects.entry(hash(key), |known| known.key() == key, |known| hash(known.key())) {
            Entry::Occupied(mut known) => Some(mem::replace(known.get_mut(), object)),
            Entry::Vacant(room) => {
                room.insert(object);
                None
            }
        }
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) -> Option<Arc<T>> {
        let known = self.objects.find_entry(hash(key), |known| known.key() == key).ok()?;
        Some(known.remove().0)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.objects.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

impl<T> Default for Keyed<T> {
    fn default() -> Self {
        Self { objects: HashTable::new() }
    }
}

fn hash(key: &ObjectKey) -> u64 {
    FxBuildHasher.hash_one(key)
}

macro_rules! objects {
    ($($kind:ident),*) => { $(impl Object for $kind {
        fn key(&self) -> &ObjectKey {
            &self.key
        }
    })* };
}

objects!(
    AuthorizationPolicy,
    DestinationRule,
    EndpointSlice,
    PeerAuthentication,
    Pod,
    RegistryService,
    Sidecar,
    VirtualService
);

#[cfg(test)]
mod tests {
    use super::*;

    impl Object for (ObjectKey, u32) {
        fn key(&self) -> &ObjectKey {
            &self.0
        }
    }

    #[test]
    fn one_object_for_each_key() {
        let key = |name: u32| ObjectKey { namespace: "shop".into(), name: name.to_string().into() };
        let mut objects = Keyed::default();
        for name in 0..1000 {
            assert!(objects.insert(Arc::new((key(name), 1))).is_none());
        }
        assert_eq!(objects.insert(Arc::new((key(7), 2))).map(|replaced| replaced.1), Some(1));
        assert_eq!(objects.get(&key(7)).map(|known| known.1), Some(2));
        assert_eq!(objects.remove(&key(7)).map(|removed| removed.1), Some(2));
        assert!(objects.get(&key(7)).is_none() && objects.remove(&key(7)).is_none());
        assert_eq!((objects.len(), objects.iter().count()), (999, 999));
    }
}
