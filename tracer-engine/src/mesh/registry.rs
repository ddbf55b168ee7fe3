//! Services as istiod holds them (`model.Service`): Kubernetes Services and the hosts of ServiceEntries are one kind of
//! thing to a proxy.

use crate::mesh::facts::{
    EntryPort, ExportTo, Labels, Location, ObjectKey, Resolution as EntryResolution, Service, ServiceEntry,
    ServiceKind, ServicePort, TargetPort, Timestamp, Transport, WorkloadEntry,
};
use crate::mesh::protocol::Protocol;
use crate::net::Name;
use ipnet::IpNet;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;

/// What follows `name.namespace` in the host of a Kubernetes Service.
pub const CLUSTER_SUFFIX: &str = ".svc.cluster.local";

#[derive(Clone, PartialEq, Debug)]
pub struct RegistryService {
    /// `name.namespace.svc.cluster.local`, or the host of a ServiceEntry; in lower case.
    pub hostname: Name,
    /// The object it comes from.
    pub key: ObjectKey,
    pub registry: Registry,
    pub created: Timestamp,
    pub resolution: Resolution,
    /// VIPs; empty: none, the listener is at the endpoints or at 0.0.0.0.
    pub addresses: SmallVec<[IpNet; 1]>,
    pub ports: Arc<[Port]>,
    pub export_to: Option<ExportTo>,
    pub mesh_external: bool,
    /// `selector`, or a ServiceEntry's `workloadSelector`; empty: none.
    pub selector: Labels,
    /// Label `istio.io/use-waypoint`.
    pub waypoint: Option<Name>,
    /// The host that an ExternalName stands for.
    pub alias_of: Option<Name>,
    /// What only a ServiceEntry says.
    pub entry: Option<Box<OfEntry>>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct OfEntry {
    /// Identities that it names itself.
    pub subject_alt_names: Box<[Name]>,
    /// Those of a Kubernetes Service come from EndpointSlices.
    pub endpoints: Box<[WorkloadEntry]>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Registry {
    Kubernetes,
    ServiceEntry,
}

/// How a cluster finds its hop (`model.Resolution`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Resolution {
    /// The proxy picks an endpoint.
    ClientSideLb,
    /// ORIGINAL_DST: headless, or a ServiceEntry with resolution NONE.
    Passthrough,
    Dns,
    /// ExternalName: another name of a host, without listener and cluster.
    Alias,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Port {
    pub name: Name,
    pub number: u16,
    pub protocol: Protocol,
    pub transport: Transport,
    /// Where it says a number that differs from its own; a name is resolved by the EndpointSlices.
    pub target: Option<u16>,
    pub target_name: Option<Name>,
    pub app_protocol: Option<Name>,
}

impl RegistryService {
    /// `kube.ConvertService`
    pub fn of_service(service: &Service) -> Self {
        let Service { key, created, kind, ports, selector, export_to, waypoint } = service;
        let (resolution, addresses) = match kind {
            ServiceKind::ClusterIp(ips) => (Resolution::ClientSideLb, ips.iter().map(|ip| IpNet::from(*ip)).collect()),
            ServiceKind::Headless => (Resolution::Passthrough, SmallVec::new()),
            ServiceKind::ExternalName(_) => (Resolution::Alias, SmallVec::new()),
        };
        Self {
            hostname: format!("{}.{}{CLUSTER_SUFFIX}", key.name, key.namespace).into(),
            key: key.clone(),
            registry: Registry::Kubernetes,
            created: *created,
            resolution,
            addresses,
            ports: ports.iter().map(Port::of_service).collect(),
            export_to: export_to.clone(),
            mesh_external: matches!(kind, ServiceKind::ExternalName(_)),
            selector: selector.clone(),
            waypoint: waypoint.clone(),
            alias_of: match kind {
                ServiceKind::ExternalName(target) => Some(target.to_ascii_lowercase().trim_end_matches('.').into()),
                ServiceKind::ClusterIp(_) | ServiceKind::Headless => None,
            },
            entry: None,
        }
    }

    /// The Service that it was made of, as a remedy would write it; `None` where it is of a ServiceEntry. The host of an
    /// ExternalName comes back in lower case and without a dot at its end.
    pub fn to_service(&self) -> Option<Service> {
        let ips = || self.addresses.iter().map(IpNet::addr).collect();
        let kind = match (self.registry, self.resolution, &self.alias_of) {
            (Registry::ServiceEntry, ..) => return None,
            (_, _, Some(target)) => ServiceKind::ExternalName(target.clone()),
            (_, Resolution::Passthrough, None) => ServiceKind::Headless,
            (_, _, None) => ServiceKind::ClusterIp(ips()),
        };
        Some(Service {
            key: self.key.clone(),
            created: self.created,
            kind,
            ports: self.ports.iter().map(Port::to_service).collect(),
            selector: self.selector.clone(),
            export_to: self.export_to.clone(),
            waypoint: self.waypoint.clone(),
        })
    }

    /// `serviceentry/conversion.go convertServices`: one per host.
    pub fn of_entry(entry: &ServiceEntry) -> impl Iterator<Item = Self> + '_ {
        entry.hosts.iter().map(|host| Self {
            hostname: host.to_ascii_lowercase().into(),
            key: entry.key.clone(),
            registry: Registry::ServiceEntry,
            created: entry.created,
            resolution: match entry.resolution {
                EntryResolution::None => Resolution::Passthrough,
                EntryResolution::Static => Resolution::ClientSideLb,
                EntryResolution::Dns | EntryResolution::DnsRoundRobin | EntryResolution::DynamicDns => Resolution::Dns,
            },
            addresses: entry.addresses.iter().copied().collect(),
            ports: entry.ports.iter().map(Port::of_entry).collect(),
            export_to: entry.export_to.clone(),
            mesh_external: entry.location == Location::MeshExternal,
            selector: entry.workload_selector.clone().unwrap_or_default(),
            waypoint: None,
            alias_of: None,
            entry: Some(Box::new(OfEntry {
                subject_alt_names: entry.subject_alt_names.as_slice().into(),
                endpoints: entry.endpoints.as_slice().into(),
            })),
        })
    }

    /// The port of this number; of a TCP and a UDP one the TCP one.
    pub fn port(&self, number: u16) -> Option<&Port> {
        let mut ports = self.ports.iter().filter(|port| port.number == number);
        let first = ports.next()?;
        if first.is_datagram() { ports.find(|port| !port.is_datagram()).or(Some(first)) } else { Some(first) }
    }

    /// `endpoints` of a ServiceEntry.
    pub fn endpoints(&self) -> &[WorkloadEntry] {
        self.entry.as_ref().map_or(&[], |entry| &entry.endpoints)
    }

    /// Identities that a ServiceEntry names itself.
    pub fn subject_alt_names(&self) -> &[Name] {
        self.entry.as_ref().map_or(&[], |entry| &entry.subject_alt_names)
    }

    pub fn is_headless(&self) -> bool {
        self.registry == Registry::Kubernetes && self.resolution == Resolution::Passthrough
    }

    pub fn has_vip(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|address| is_host(address) && address.addr() == ip)
    }

    /// Listeners of this port are one per endpoint (`listener.go buildSidecarOutboundListeners`).
    pub fn listens_at_endpoints(&self, port: &Port) -> bool {
        use crate::mesh::protocol::ListenerProtocol as L;
        self.resolution == Resolution::Passthrough
            && self.addresses.is_empty()
            && matches!(port.protocol.outbound(), Some(L::Tcp | L::Auto))
            && (self.registry == Registry::Kubernetes || !self.endpoints().is_empty() || !self.selector.is_empty())
    }

    /// The object that it comes from, as a person names it.
    pub fn told(&self) -> String {
        match self.registry {
            Registry::Kubernetes => format!("Service {}", self.key),
            Registry::ServiceEntry => format!("ServiceEntry {}", self.key),
        }
    }

    /// `model.SortServicesByCreationTime`: the oldest wins wherever two want the same.
    pub fn seniority(&self) -> (Timestamp, &str, &str) {
        let name = match self.registry {
            Registry::Kubernetes => &self.key.name,
            Registry::ServiceEntry => &self.hostname,
        };
        (self.created, name, &self.key.namespace)
    }
}

impl Port {
    fn of_service(port: &ServicePort) -> Self {
        let target = match port.target {
            TargetPort::Number(number) if number != 0 => Some(number),
            TargetPort::Number(_) => Some(port.port),
            TargetPort::Name(_) => None,
        };
        Self {
            name: port.name.clone(),
            number: port.port,
            protocol: Protocol::of(port),
            transport: port.transport,
            target,
            target_name: match &port.target {
                TargetPort::Name(name) => Some(name.clone()),
                TargetPort::Number(_) => None,
            },
            app_protocol: port.app_protocol.clone(),
        }
    }

    fn to_service(&self) -> ServicePort {
        let Self { name, number, transport, target, target_name, app_protocol, protocol: _ } = self;
        ServicePort {
            name: name.clone(),
            port: *number,
            target: match target_name {
                Some(name) => TargetPort::Name(name.clone()),
                None => TargetPort::Number(target.unwrap_or(*number)),
            },
            transport: *transport,
            app_protocol: app_protocol.clone(),
        }
    }

    fn of_entry(port: &EntryPort) -> Self {
        Self {
            name: port.name.clone(),
            number: port.number,
            protocol: Protocol::parse(&port.protocol),
            transport: Transport::Tcp,
            target: port.target,
            target_name: None,
            app_protocol: None,
        }
    }

    /// `protocol: UDP`: no TCP connection ever gets here, whatever the name says.
    pub fn is_datagram(&self) -> bool {
        self.transport == Transport::Udp
    }
}

/// One address, not a range.
pub fn is_host(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_comes_back_as_it_was() {
        let port = |name: &str, port, target, transport| ServicePort {
            name: name.into(),
            port,
            target,
            transport,
            app_protocol: (name == "api").then(|| "kubernetes.io/h2c".into()),
        };
        let service = |kind| Service {
            key: ObjectKey { namespace: "shop".into(), name: "web".into() },
            created: Timestamp(7),
            kind,
            ports: vec![
                port("http", 80, TargetPort::Name("web".into()), Transport::Tcp),
                port("api", 81, TargetPort::Number(8081), Transport::Tcp),
                port("dns", 53, TargetPort::Number(53), Transport::Udp),
                port("dns-tcp", 53, TargetPort::Number(53), Transport::Tcp),
                port("diameter", 3868, TargetPort::Number(3868), Transport::Sctp),
            ],
            selector: [("app".into(), "web".into())].into_iter().collect(),
            export_to: Some(ExportTo::Namespaces(vec!["shop".into(), "other".into()])),
            waypoint: Some("waypoint".into()),
        };
        let ips = ["10.0.0.1", "fd00::1"].map(|ip| ip.parse().expect("an address"));
        let kinds = [
            ServiceKind::Headless,
            ServiceKind::ClusterIp(SmallVec::new()),
            ServiceKind::ClusterIp(ips.into_iter().collect()),
            ServiceKind::ExternalName("db.example.com".into()),
        ];
        for service in kinds.map(service) {
            assert_eq!(RegistryService::of_service(&service).to_service(), Some(service));
        }
        let told = RegistryService::of_service(&service(ServiceKind::ExternalName("DB.example.com.".into())));
        let again = told.to_service().map(|service| RegistryService::of_service(&service));
        assert_eq!(again, Some(told), "the same to a proxy");
    }
}
