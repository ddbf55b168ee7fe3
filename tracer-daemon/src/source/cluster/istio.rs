//! Istio's own objects -> facts: one room an object.

pub(super) mod destination_rule;
pub(super) mod mesh_config;
pub(super) mod security;
pub(super) mod service_entry;
pub(super) mod sidecar;
pub(super) mod virtual_service;

use super::object::ServiceEntryPort;
use super::values::{Values, name};
use tracer_engine::mesh::facts::{EntryPort, OutboundPolicy};

/// The type `Port` of Istio's networking API, in ServiceEntry and Sidecar.
fn entry_port(of: &ServiceEntryPort, field: &str, to: &mut Values) -> Option<EntryPort> {
    let ServiceEntryPort { number, protocol, name: port_name, target_port } = of;
    let number = to.port(&format!("{field}.number"), *number)?;
    let target = match target_port {
        0 => None,
        target => Some(to.port(&format!("{field}.targetPort"), *target)?),
    };
    Some(EntryPort { number, protocol: name(protocol), name: name(port_name), target })
}

/// A policy that is there and bears no mode is REGISTRY_ONLY: the zero of Istio's enumeration.
fn outbound_policy(mode: &str, to: &mut Values) -> OutboundPolicy {
    let known = [
        ("", OutboundPolicy::RegistryOnly),
        ("REGISTRY_ONLY", OutboundPolicy::RegistryOnly),
        ("ALLOW_ANY", OutboundPolicy::AllowAny),
    ];
    to.one_of("outboundTrafficPolicy.mode", mode, &known).unwrap_or(OutboundPolicy::AllowAny)
}
