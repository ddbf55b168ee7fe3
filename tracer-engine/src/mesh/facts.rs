//! Small owned values: what the cluster's configuration says, and nothing that no rule needs
//! (`classification.md` section 4). `tracer-daemon::source::cluster::lower` makes them from Kubernetes objects.
//!
//! No rule lives here. A port's name and `appProtocol` are kept as written; `mesh::protocol` says what they mean.

mod capture;
mod ips;
mod labels;
mod networking;
mod policy;
mod service;
mod virtual_service;
mod workload;

pub use capture::{Capture, Enrolment, InterceptionMode, Selection, SidecarProxy};
pub use ips::Ips;
pub(crate) use labels::Pairs;
pub use labels::{LabelExpression, LabelOperator, LabelSelector, Labels};
pub use networking::{
    ClientTls, ClientTlsMode, DestinationRule, EgressListener, EntryPort, IngressListener, Location, Resolution,
    ServiceEntry, Sidecar, Subset, TrafficPolicy, WorkloadEntry,
};
pub use policy::{AuthorizationPolicy, MeshConfig, MtlsMode, OutboundPolicy, PeerAuthentication};
pub use service::{
    EndpointSlice, ExportTo, Service, ServiceKind, ServicePort, SliceEndpoint, SlicePort, TargetPort, Transport,
};
pub use virtual_service::{Destination, HttpMatch, HttpRoute, L4Match, L4Route, StringMatch, VirtualService};
pub use workload::{Namespace, Node, Pod, Uid, Workload};

use crate::net::Name;
use std::fmt;

/// A change of the facts. Applying the same upsert twice changes nothing.
#[derive(Clone, PartialEq, Debug)]
pub enum Delta {
    Upsert(Box<Fact>),
    /// A `MeshConfig` is named by its revision, in no namespace.
    Remove(Kind, ObjectKey),
    /// Every object of this kind that existed at start has been told.
    Synced(Kind),
}

#[derive(Clone, PartialEq, Debug)]
pub enum Fact {
    Namespace(Namespace),
    Node(Node),
    Pod(Pod),
    Service(Service),
    EndpointSlice(EndpointSlice),
    MeshConfig(MeshConfig),
    PeerAuthentication(PeerAuthentication),
    DestinationRule(DestinationRule),
    ServiceEntry(ServiceEntry),
    Sidecar(Sidecar),
    VirtualService(VirtualService),
    AuthorizationPolicy(AuthorizationPolicy),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kind {
    Namespace,
    Node,
    Pod,
    Service,
    EndpointSlice,
    MeshConfig,
    PeerAuthentication,
    DestinationRule,
    ServiceEntry,
    Sidecar,
    VirtualService,
    AuthorizationPolicy,
}

/// `namespace` is empty for cluster-scoped kinds.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ObjectKey {
    pub namespace: Name,
    pub name: Name,
}

/// Seconds since the epoch, as `metadata.creationTimestamp`; a time before 1970 or after 2106 is the nearest that fits.
/// Where Istio says "oldest wins" it compares these.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Timestamp(pub u32);

impl fmt::Display for ObjectKey {
    /// `namespace/name`, and the name alone for cluster-scoped kinds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

impl Fact {
    pub fn kind(&self) -> Kind {
        match self {
            Fact::Namespace(_) => Kind::Namespace,
            Fact::Node(_) => Kind::Node,
            Fact::Pod(_) => Kind::Pod,
            Fact::Service(_) => Kind::Service,
            Fact::EndpointSlice(_) => Kind::EndpointSlice,
            Fact::MeshConfig(_) => Kind::MeshConfig,
            Fact::PeerAuthentication(_) => Kind::PeerAuthentication,
            Fact::DestinationRule(_) => Kind::DestinationRule,
            Fact::ServiceEntry(_) => Kind::ServiceEntry,
            Fact::Sidecar(_) => Kind::Sidecar,
            Fact::VirtualService(_) => Kind::VirtualService,
            Fact::AuthorizationPolicy(_) => Kind::AuthorizationPolicy,
        }
    }
}
