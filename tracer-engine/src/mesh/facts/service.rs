//! Services and their EndpointSlices. A port's name is kept as written: `mesh::protocol` says what it means.

use super::{Labels, ObjectKey, Timestamp};
use crate::net::Name;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Clone, PartialEq, Debug)]
pub struct Service {
    pub key: ObjectKey,
    pub created: Timestamp,
    pub kind: ServiceKind,
    pub ports: Vec<ServicePort>,
    pub selector: Labels,
    /// Annotation `networking.istio.io/exportTo`; `None` where absent: the mesh default holds.
    pub export_to: Option<ExportTo>,
    /// Label `istio.io/use-waypoint`.
    pub waypoint: Option<Name>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServiceKind {
    ClusterIp(SmallVec<[IpAddr; 2]>),
    Headless,
    ExternalName(Name),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServicePort {
    /// Empty where the Service's only port has no name.
    pub name: Name,
    pub port: u16,
    pub target: TargetPort,
    pub transport: Transport,
    pub app_protocol: Option<Name>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TargetPort {
    Number(u16),
    Name(Name),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    Tcp,
    Udp,
    Sctp,
}

/// `["."]`, `["*"]`, `["~"]` or namespaces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExportTo {
    All,
    OwnNamespace,
    Nobody,
    Namespaces(Vec<Name>),
}

impl ExportTo {
    /// How visible an object of `owner` is in `to`: 0 private, 1 exported there by name, 2 public.
    pub(crate) fn rank(&self, owner: &str, to: &str) -> Option<u8> {
        match self {
            ExportTo::All => Some(2),
            ExportTo::Nobody => None,
            ExportTo::OwnNamespace => (owner == to).then_some(0),
            ExportTo::Namespaces(named) => {
                let private = owner == to && named.iter().any(|name| &**name == "." || &**name == to);
                if private { Some(0) } else { named.iter().any(|name| &**name == to).then_some(1) }
            }
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct EndpointSlice {
    pub key: ObjectKey,
    /// Label `kubernetes.io/service-name`; a slice without it belongs to no Service.
    pub service: Option<Name>,
    pub endpoints: Box<[SliceEndpoint]>,
    pub ports: Arc<[SlicePort]>,
}

/// One address: an endpoint with several counts as several, as it does for Istio.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SliceEndpoint {
    pub address: IpAddr,
    pub ready: bool,
    /// `targetRef` of kind Pod: its name, or `namespace/name` where it is of another namespace than the slice. There are as
    /// many of them as pods, so a word counts.
    pub pod: Option<Name>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SlicePort {
    pub name: Name,
    /// `None`: all ports.
    pub port: Option<u16>,
    pub transport: Transport,
}

impl EndpointSlice {
    /// The pod that one of its endpoints names.
    pub(crate) fn pod_of(&self, endpoint: &SliceEndpoint) -> Option<ObjectKey> {
        let pod = endpoint.pod.as_ref()?;
        Some(match pod.split_once('/') {
            Some((namespace, name)) => ObjectKey { namespace: namespace.into(), name: name.into() },
            None => ObjectKey { namespace: self.key.namespace.clone(), name: pod.clone() },
        })
    }
}
