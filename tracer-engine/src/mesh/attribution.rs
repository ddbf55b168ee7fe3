//! Who an address belonged to when it was dialled.

use crate::mesh::facts::{Enrolment, ObjectKey, Pod, Workload};
use crate::net::Name;

#[derive(Clone, PartialEq, Debug)]
pub enum Attribution {
    Pod(PodIdentity),
    /// A pod that is gone.
    Tombstone(PodIdentity),
    Service(ObjectKey),
    Node(Name),
    /// No fact covers the address and the facts are complete.
    External,
    Unknown(UnknownReason),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UnknownReason {
    FactsNotSynced,
    /// Inside a pod CIDR or known by an EndpointSlice, but no pod with it was seen yet.
    PodNotSeenYet,
    /// Two pods claim it.
    AddressNotUnique,
}

#[derive(Clone, PartialEq, Debug)]
pub struct PodIdentity {
    pub pod: ObjectKey,
    pub workload: Workload,
    pub mesh: Mesh,
    pub node: Name,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mesh {
    Sidecar,
    Ambient,
    None,
    Unknown,
}

impl PodIdentity {
    pub fn of(pod: &Pod) -> Self {
        let mesh = match *pod.enrolment {
            Enrolment::Sidecar(_) => Mesh::Sidecar,
            Enrolment::Ambient => Mesh::Ambient,
            Enrolment::Gateway | Enrolment::None => Mesh::None,
        };
        Self { pod: pod.key.clone(), workload: pod.workload.clone(), mesh, node: pod.node.clone() }
    }
}
