//! The Kubernetes and Istio objects that some rule needs, reduced to the fields that some rule needs.

mod core;
mod mesh_config;
mod networking;
mod security;
mod shape;
mod virtual_service;

pub use self::core::*;
pub use mesh_config::*;
pub use networking::*;
pub use security::*;
pub use shape::{Annotations, IntOrString, LabelSelector, LabelSelectorRequirement, Metadata, OwnerReference};
pub use virtual_service::*;

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// One change of the cluster as a source tells it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterEvent {
    /// The object exists now, and like this.
    Applied(Box<Object>),
    Deleted(ObjectRef),
    /// Every object of this kind that existed at start has been told.
    Synced(ObjectKind),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Object {
    Namespace(Namespace),
    Node(Node),
    ConfigMap(ConfigMap),
    Service(Service),
    EndpointSlice(EndpointSlice),
    PeerAuthentication(PeerAuthentication),
    DestinationRule(DestinationRule),
    ServiceEntry(ServiceEntry),
    Sidecar(Sidecar),
    VirtualService(VirtualService),
    AuthorizationPolicy(AuthorizationPolicy),
    Pod(Pod),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum ObjectKind {
    Namespace,
    Node,
    ConfigMap,
    Service,
    EndpointSlice,
    PeerAuthentication,
    DestinationRule,
    ServiceEntry,
    Sidecar,
    VirtualService,
    AuthorizationPolicy,
    Pod,
}

/// Names one object. `namespace` is empty for cluster-scoped kinds.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ObjectRef {
    pub kind: ObjectKind,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
}

impl ObjectKind {
    pub const ALL: [ObjectKind; 12] = [
        ObjectKind::Namespace,
        ObjectKind::Node,
        ObjectKind::ConfigMap,
        ObjectKind::Service,
        ObjectKind::EndpointSlice,
        ObjectKind::PeerAuthentication,
        ObjectKind::DestinationRule,
        ObjectKind::ServiceEntry,
        ObjectKind::Sidecar,
        ObjectKind::VirtualService,
        ObjectKind::AuthorizationPolicy,
        ObjectKind::Pod,
    ];

    pub fn name(self) -> &'static str {
        match self {
            ObjectKind::Namespace => "Namespace",
            ObjectKind::Node => "Node",
            ObjectKind::ConfigMap => "ConfigMap",
            ObjectKind::Service => "Service",
            ObjectKind::EndpointSlice => "EndpointSlice",
            ObjectKind::PeerAuthentication => "PeerAuthentication",
            ObjectKind::DestinationRule => "DestinationRule",
            ObjectKind::ServiceEntry => "ServiceEntry",
            ObjectKind::Sidecar => "Sidecar",
            ObjectKind::VirtualService => "VirtualService",
            ObjectKind::AuthorizationPolicy => "AuthorizationPolicy",
            ObjectKind::Pod => "Pod",
        }
    }

    /// API group; versions (v1, v1beta1, v1alpha3) of one group differ in nothing that is read here.
    pub fn group(self) -> &'static str {
        match self {
            ObjectKind::Namespace
            | ObjectKind::Node
            | ObjectKind::ConfigMap
            | ObjectKind::Service
            | ObjectKind::Pod => "",
            ObjectKind::EndpointSlice => "discovery.k8s.io",
            ObjectKind::PeerAuthentication | ObjectKind::AuthorizationPolicy => "security.istio.io",
            ObjectKind::DestinationRule
            | ObjectKind::ServiceEntry
            | ObjectKind::Sidecar
            | ObjectKind::VirtualService => "networking.istio.io",
        }
    }

    /// Cluster-scoped kinds bear no namespace.
    pub fn namespaced(self) -> bool {
        !matches!(self, ObjectKind::Namespace | ObjectKind::Node)
    }

    /// The kind that `apiVersion` and `kind` name, where some rule needs it. The group counts: a `Service` of
    /// `serving.knative.dev` is none of ours.
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        Self::ALL.into_iter().find(|known| known.name() == kind && known.group() == group)
    }
}

impl ObjectKind {
    /// Reads an object of this kind into its own shape, so that nothing else of it is ever kept.
    pub(super) fn decode<'de, D: Deserializer<'de>>(self, from: D) -> Result<Object, D::Error> {
        Ok(match self {
            ObjectKind::Namespace => Object::Namespace(Deserialize::deserialize(from)?),
            ObjectKind::Node => Object::Node(Deserialize::deserialize(from)?),
            ObjectKind::ConfigMap => Object::ConfigMap(Deserialize::deserialize(from)?),
            ObjectKind::Service => Object::Service(Deserialize::deserialize(from)?),
            ObjectKind::EndpointSlice => Object::EndpointSlice(Deserialize::deserialize(from)?),
            ObjectKind::PeerAuthentication => Object::PeerAuthentication(Deserialize::deserialize(from)?),
            ObjectKind::DestinationRule => Object::DestinationRule(Deserialize::deserialize(from)?),
            ObjectKind::ServiceEntry => Object::ServiceEntry(Deserialize::deserialize(from)?),
            ObjectKind::Sidecar => Object::Sidecar(Deserialize::deserialize(from)?),
            ObjectKind::VirtualService => Object::VirtualService(Deserialize::deserialize(from)?),
            ObjectKind::AuthorizationPolicy => Object::AuthorizationPolicy(Deserialize::deserialize(from)?),
            ObjectKind::Pod => Object::Pod(Deserialize::deserialize(from)?),
        })
    }
}

impl Object {
    pub fn kind(&self) -> ObjectKind {
        match self {
            Object::Namespace(_) => ObjectKind::Namespace,
            Object::Node(_) => ObjectKind::Node,
            Object::ConfigMap(_) => ObjectKind::ConfigMap,
            Object::Service(_) => ObjectKind::Service,
            Object::EndpointSlice(_) => ObjectKind::EndpointSlice,
            Object::PeerAuthentication(_) => ObjectKind::PeerAuthentication,
            Object::DestinationRule(_) => ObjectKind::DestinationRule,
            Object::ServiceEntry(_) => ObjectKind::ServiceEntry,
            Object::Sidecar(_) => ObjectKind::Sidecar,
            Object::VirtualService(_) => ObjectKind::VirtualService,
            Object::AuthorizationPolicy(_) => ObjectKind::AuthorizationPolicy,
            Object::Pod(_) => ObjectKind::Pod,
        }
    }

    pub fn metadata(&self) -> &Metadata {
        match self {
            Object::Namespace(o) => &o.metadata,
            Object::Node(o) => &o.metadata,
            Object::ConfigMap(o) => &o.metadata,
            Object::Service(o) => &o.metadata,
            Object::EndpointSlice(o) => &o.metadata,
            Object::PeerAuthentication(o) => &o.metadata,
            Object::DestinationRule(o) => &o.metadata,
            Object::ServiceEntry(o) => &o.metadata,
            Object::Sidecar(o) => &o.metadata,
            Object::VirtualService(o) => &o.metadata,
            Object::AuthorizationPolicy(o) => &o.metadata,
            Object::Pod(o) => &o.metadata,
        }
    }

    pub fn reference(&self) -> ObjectRef {
        let Metadata { namespace, name, .. } = self.metadata();
        ObjectRef { kind: self.kind(), namespace: namespace.clone(), name: name.clone() }
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.namespace {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}
