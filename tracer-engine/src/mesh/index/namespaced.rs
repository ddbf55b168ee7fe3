//! Policies by namespace, the oldest first: where Istio says "the oldest wins" it sorts by creation time, then by name.

use super::keyed::Object;
use crate::mesh::facts::{
    AuthorizationPolicy, DestinationRule, ObjectKey, PeerAuthentication, Sidecar, Timestamp, VirtualService,
};
use crate::net::Name;
use rustc_hash::FxHashMap as HashMap;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Namespaced<T> {
    by_namespace: HashMap<Name, Vec<Arc<T>>>,
}

pub(crate) trait Policy: Object {
    fn created(&self) -> Timestamp;

    /// `model.sortConfigByCreationTime`
    fn seniority(&self) -> (Timestamp, &str, &str) {
        (self.created(), &self.key().name, &self.key().namespace)
    }
}

impl<T> Default for Namespaced<T> {
    fn default() -> Self {
        Self { by_namespace: HashMap::default() }
    }
}

impl<T: Policy + PartialEq + Clone> Namespaced<T> {
    /// The object as it is kept now, and the one it replaces; `None` where nothing changed.
    pub(super) fn upsert(&mut self, object: &T) -> Option<(Arc<T>, Option<Arc<T>>)> {
        let replaced = self.remove(object.key());
        let changed = replaced.as_deref() != Some(object);
        let object = replaced.clone().filter(|_| !changed).unwrap_or_else(|| Arc::new(object.clone()));
        let objects = self.by_namespace.entry(object.key().namespace.clone()).or_default();
        let at = objects.partition_point(|known| known.seniority() < object.seniority());
        objects.insert(at, Arc::clone(&object));
        changed.then_some((object, replaced))
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) -> Option<Arc<T>> {
        let objects = self.by_namespace.get_mut(&key.namespace)?;
        let at = objects.iter().position(|known| known.key() == key)?;
        let removed = objects.remove(at);
        if objects.is_empty() {
            self.by_namespace.remove(&key.namespace);
        }
        Some(removed)
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Arc<T>> {
        self.of(&key.namespace).iter().find(|known| known.key() == key)
    }

    pub(super) fn knows(&self, object: &T) -> bool {
        self.get(object.key()).is_some_and(|known| **known == *object)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.by_namespace.values().flatten().map(|object| object.key())
    }

    pub(super) fn of(&self, namespace: &str) -> &[Arc<T>] {
        self.by_namespace.get(namespace).map_or(&[], |objects| objects)
    }

    pub(super) fn len(&self) -> usize {
        self.by_namespace.values().map(Vec::len).sum()
    }
}

macro_rules! policy {
    ($($kind:ident),*) => { $(impl Policy for $kind {
        fn created(&self) -> Timestamp {
            self.created
        }
    })* };
}

policy!(PeerAuthentication, DestinationRule, Sidecar, VirtualService);

impl Policy for AuthorizationPolicy {
    /// Nothing depends on their order.
    fn created(&self) -> Timestamp {
        Timestamp::default()
    }
}
