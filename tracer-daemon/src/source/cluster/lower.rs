//! Kubernetes and Istio objects -> the engine's small owned values (`classification.md` section 4). Total: whatever
//! an object holds, there is a fact, or an error that names each value that cannot be read. Such an object is not
//! half known: it is skipped whole, and the facts told before stay.

mod capture;
mod endpoint_slice;
mod node;
mod pod;
mod service;
mod workload;

use super::object::{ClusterEvent, Metadata, Object, ObjectKind, ObjectRef};
use super::values::{BadValue, Values, labels, name};
use super::{IstioInstallation, istio};
use std::fmt;
use tracer_engine::mesh::facts::{Delta, Fact, Kind, Namespace, ObjectKey};

/// An object that cannot be read, and every reason why.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct LowerError {
    pub object: ObjectRef,
    pub bad: Vec<BadValue>,
}

/// What the event means to the engine; `None` where it means nothing (a ConfigMap that is not Istio's).
pub fn lower(event: &ClusterEvent, istio: &IstioInstallation) -> Result<Option<Delta>, LowerError> {
    match event {
        ClusterEvent::Applied(object) => lower_object(object, istio),
        ClusterEvent::Deleted(object) => Ok(key(object, istio).map(|key| Delta::Remove(kind(object.kind), key))),
        ClusterEvent::Synced(synced) => Ok(Some(Delta::Synced(kind(*synced)))),
    }
}

fn lower_object(object: &Object, installation: &IstioInstallation) -> Result<Option<Delta>, LowerError> {
    let reference = object.reference();
    let Some(key) = key(&reference, installation) else { return Ok(None) };
    let mut values = Values::default();
    named(object.metadata(), object.kind(), &mut values);
    let to = &mut values;
    let fact = match object {
        Object::Namespace(o) => Some(Fact::Namespace(lower_namespace(o))),
        Object::Node(o) => Some(Fact::Node(node::lower(o, to))),
        Object::Pod(o) => Some(Fact::Pod(pod::lower(o, to))),
        Object::Service(o) => Some(Fact::Service(service::lower(o, to))),
        Object::EndpointSlice(o) => Some(Fact::EndpointSlice(endpoint_slice::lower(o, to))),
        Object::ConfigMap(o) => istio::mesh_config::lower(o, &key.name, to).map(Fact::MeshConfig),
        Object::PeerAuthentication(o) => Some(Fact::PeerAuthentication(istio::security::peer_authentication(o, to))),
        Object::AuthorizationPolicy(o) => istio::security::authorization_policy(o).map(Fact::AuthorizationPolicy),
        Object::DestinationRule(o) => Some(Fact::DestinationRule(istio::destination_rule::lower(o, to))),
        Object::ServiceEntry(o) => Some(Fact::ServiceEntry(istio::service_entry::lower(o, to))),
        Object::Sidecar(o) => Some(Fact::Sidecar(istio::sidecar::lower(o, to))),
        Object::VirtualService(o) => Some(Fact::VirtualService(istio::virtual_service::lower(o, to))),
    };
    let bad = values.into_bad();
    if !bad.is_empty() {
        return Err(LowerError { object: reference, bad });
    }
    // An object that says nothing may have said something before.
    Ok(Some(match fact {
        Some(fact) => Delta::Upsert(Box::new(fact)),
        None => Delta::Remove(kind(reference.kind), key),
    }))
}

fn lower_namespace(object: &super::object::Namespace) -> Namespace {
    let super::object::Namespace { metadata } = object;
    Namespace { name: name(&metadata.name), labels: labels(&metadata.labels) }
}

/// By what the engine knows the object; `None` where it never does.
fn key(object: &ObjectRef, istio: &IstioInstallation) -> Option<ObjectKey> {
    let ObjectRef { kind, namespace, name: object_name } = object;
    Some(match kind {
        ObjectKind::ConfigMap => ObjectKey { namespace: name(""), name: name(istio.revision(namespace, object_name)?) },
        _ => ObjectKey { namespace: name(namespace), name: name(object_name) },
    })
}

/// What the engine calls it.
pub fn kind(of: ObjectKind) -> Kind {
    match of {
        ObjectKind::Namespace => Kind::Namespace,
        ObjectKind::Node => Kind::Node,
        ObjectKind::ConfigMap => Kind::MeshConfig,
        ObjectKind::Service => Kind::Service,
        ObjectKind::EndpointSlice => Kind::EndpointSlice,
        ObjectKind::PeerAuthentication => Kind::PeerAuthentication,
        ObjectKind::DestinationRule => Kind::DestinationRule,
        ObjectKind::ServiceEntry => Kind::ServiceEntry,
        ObjectKind::Sidecar => Kind::Sidecar,
        ObjectKind::VirtualService => Kind::VirtualService,
        ObjectKind::AuthorizationPolicy => Kind::AuthorizationPolicy,
        ObjectKind::Pod => Kind::Pod,
    }
}

fn named(metadata: &Metadata, kind: ObjectKind, to: &mut Values) {
    if metadata.name.is_empty() {
        to.bad("metadata.name", "", "is missing");
    }
    if kind.namespaced() && metadata.namespace.is_empty() {
        to.bad("metadata.namespace", "", "is missing");
    }
}

impl fmt::Display for LowerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is skipped: ", self.object)?;
        for (at, bad) in self.bad.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{bad}")?;
        }
        Ok(())
    }
}
