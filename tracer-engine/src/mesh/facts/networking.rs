//! Istio's networking objects that shape what a source's proxy sees: DestinationRule, ServiceEntry, Sidecar.

use super::{ExportTo, Labels, ObjectKey, OutboundPolicy, Timestamp};
use crate::net::Name;
use ipnet::IpNet;
use std::net::IpAddr;

#[derive(Clone, PartialEq, Debug)]
pub struct DestinationRule {
    pub key: ObjectKey,
    pub created: Timestamp,
    pub host: Name,
    pub export_to: Option<ExportTo>,
    /// `workloadSelector`: clients that it is for; `None`: all.
    pub workload_selector: Option<Labels>,
    pub traffic_policy: Option<TrafficPolicy>,
    pub subsets: Vec<Subset>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct TrafficPolicy {
    pub tls: Option<ClientTls>,
    /// `loadBalancer.simple: PASSTHROUGH`
    pub passthrough: bool,
    /// Each replaces the host's policy whole for its port: what it leaves out is default, not inherited.
    pub port_level: Vec<(u16, TrafficPolicy)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientTls {
    pub mode: ClientTlsMode,
    pub sni: Option<Name>,
    pub subject_alt_names: Vec<Name>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ClientTlsMode {
    Disable,
    Simple,
    Mutual,
    IstioMutual,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Subset {
    pub name: Name,
    pub labels: Labels,
    pub traffic_policy: Option<TrafficPolicy>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct ServiceEntry {
    pub key: ObjectKey,
    pub created: Timestamp,
    pub hosts: Vec<Name>,
    pub addresses: Vec<IpNet>,
    pub ports: Vec<EntryPort>,
    pub resolution: Resolution,
    pub location: Location,
    pub endpoints: Vec<WorkloadEntry>,
    pub workload_selector: Option<Labels>,
    pub export_to: Option<ExportTo>,
    pub subject_alt_names: Vec<Name>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryPort {
    pub number: u16,
    /// As written: `HTTP`, `TCP`, `TLS` ...
    pub protocol: Name,
    pub name: Name,
    pub target: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Resolution {
    None,
    Static,
    Dns,
    DnsRoundRobin,
    DynamicDns,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Location {
    MeshExternal,
    MeshInternal,
}

/// `endpoints[]` of a ServiceEntry.
#[derive(Clone, PartialEq, Debug)]
pub struct WorkloadEntry {
    /// An ip, or a name for DNS resolution.
    pub address: Name,
    /// By port name.
    pub ports: Vec<(Name, u16)>,
    pub labels: Labels,
    pub service_account: Option<Name>,
}

/// The Istio kind `Sidecar`: what a workload's proxy sees and serves.
#[derive(Clone, PartialEq, Debug)]
pub struct Sidecar {
    pub key: ObjectKey,
    pub created: Timestamp,
    pub workload_selector: Option<Labels>,
    pub ingress: Vec<IngressListener>,
    /// Empty: everything (as Istio does where `egress` is left out).
    pub egress: Vec<EgressListener>,
    pub outbound: Option<OutboundPolicy>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct IngressListener {
    pub port: EntryPort,
    /// `127.0.0.1:9000`, `0.0.0.0:9000`, `unix://...`, as written.
    pub default_endpoint: Option<Name>,
    pub bind: Option<IpAddr>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct EgressListener {
    pub port: Option<EntryPort>,
    pub bind: Option<IpAddr>,
    /// `namespace/dnsName`, as written.
    pub hosts: Vec<Name>,
}
