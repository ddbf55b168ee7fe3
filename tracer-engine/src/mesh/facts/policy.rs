//! The mesh configuration and the policies that a destination enforces.

use super::{ExportTo, LabelSelector, Labels, ObjectKey, Timestamp};
use crate::net::Name;
use std::time::Duration;

/// ConfigMap `istio` (or `istio-<rev>`) of the root namespace, key `mesh`.
#[derive(Clone, PartialEq, Debug)]
pub struct MeshConfig {
    /// `default` for ConfigMap `istio`.
    pub revision: Name,
    pub root_namespace: Name,
    pub outbound: OutboundPolicy,
    pub auto_mtls: bool,
    pub trust_domain: Name,
    pub trust_domain_aliases: Vec<Name>,
    pub default_service_export_to: ExportTo,
    pub default_virtual_service_export_to: ExportTo,
    pub default_destination_rule_export_to: ExportTo,
    /// Namespaces that istiod looks at; empty: all. Any one selector must match.
    pub discovery_selectors: Vec<LabelSelector>,
    /// Zero: sniff for ever, the default.
    pub protocol_detection_timeout: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OutboundPolicy {
    AllowAny,
    RegistryOnly,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerAuthentication {
    pub key: ObjectKey,
    pub created: Timestamp,
    /// `None`, or an empty selector: the whole namespace (in the root namespace: the mesh).
    pub selector: Option<Labels>,
    pub mode: MtlsMode,
    /// By container port.
    pub port_level: Vec<(u16, MtlsMode)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MtlsMode {
    /// Inherits from the next wider scope.
    Unset,
    Disable,
    Permissive,
    Strict,
}

/// Not evaluated: where one selects a destination, the answer carries a caveat by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthorizationPolicy {
    pub key: ObjectKey,
    /// `None` or empty: the whole namespace (in the root namespace: the mesh).
    pub selector: Option<Labels>,
}
