//! One change, as its source said it and as the engine is told it.

use super::IstioInstallation;
use super::listed::Listed;
use super::lower::{LowerError, kind, lower};
use super::object::{ClusterEvent, ObjectRef};
use tracer_engine::mesh::facts::Delta;
use tracer_engine::mesh::index::Index;

#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    pub event: ClusterEvent,
    pub delta: Delta,
}

impl Change {
    /// `None`: it means nothing to the engine.
    pub fn of(event: ClusterEvent, istio: &IstioInstallation) -> Result<Option<Self>, LowerError> {
        Ok(lower(&event, istio)?.map(|delta| Self { event, delta }))
    }

    /// What is known and was not listed: gone, though nobody said so.
    pub fn gone(listed: &Listed, index: &Index) -> Vec<Self> {
        let Listed { kind: of, node, keys } = listed;
        let kind = kind(*of);
        let mut known = index.keys(kind);
        known.retain(|key| !keys.contains(&key.namespace, &key.name));
        if let Some(node) = node {
            known.retain(|key| index.pod(key).is_some_and(|pod| *pod.node == **node));
        }
        let gone = known.into_iter().map(|key| {
            let object = ObjectRef { kind: *of, namespace: key.namespace.to_string(), name: key.name.to_string() };
            Self { event: ClusterEvent::Deleted(object), delta: Delta::Remove(kind, key) }
        });
        gone.collect()
    }
}
