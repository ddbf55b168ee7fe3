//! Who an address turned out to be.

use crate::mesh::attribution::{Attribution, PodIdentity, UnknownReason};
use crate::mesh::facts::Pod;
use crate::mesh::registry::RegistryService;
use crate::net::Name;
use std::sync::Arc;

/// Who has an address.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Occupant<'a> {
    Pod(&'a Arc<Pod>),
    /// The last pod that had it is gone.
    Tombstone(&'a Arc<Pod>),
    Service(&'a Arc<RegistryService>),
    /// A node, and with it every pod in its network.
    Node(&'a Name),
    External,
    Unknown(UnknownReason),
}

impl Occupant<'_> {
    pub fn attribution(&self) -> Attribution {
        match self {
            Occupant::Pod(pod) => Attribution::Pod(PodIdentity::of(pod)),
            Occupant::Tombstone(pod) => Attribution::Tombstone(PodIdentity::of(pod)),
            Occupant::Service(service) => Attribution::Service(service.key.clone()),
            Occupant::Node(name) => Attribution::Node((*name).clone()),
            Occupant::External => Attribution::External,
            Occupant::Unknown(reason) => Attribution::Unknown(*reason),
        }
    }
}
