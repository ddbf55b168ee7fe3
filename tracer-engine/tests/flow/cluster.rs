//! Facts by hand: a cluster of a few pods and Services, written in one line each.

use std::net::IpAddr;
use tracer_engine::mesh::facts::{
    AuthorizationPolicy, Capture, Delta, EndpointSlice, Enrolment, ExportTo, Fact, InterceptionMode, Kind, Labels,
    MeshConfig, MtlsMode, Namespace, Node, ObjectKey, OutboundPolicy, PeerAuthentication, Pod, Selection, Service,
    ServiceKind, ServicePort, SidecarProxy, SliceEndpoint, SlicePort, TargetPort, Timestamp, Transport, Uid, Workload,
};
use tracer_engine::net::Name;

#[derive(Clone, Default)]
pub(crate) struct Cluster {
    pub(crate) facts: Vec<Fact>,
}

/// `http 80 8080`: name, port, targetPort.
pub(crate) type PortSpec = (&'static str, u16, u16);

impl Cluster {
    pub(crate) fn new(namespaces: &[&str]) -> Self {
        let mut cluster = Self::default();
        for name in namespaces {
            cluster.facts.push(Fact::Namespace(Namespace { name: (*name).into(), labels: Labels::default() }));
        }
        cluster.facts.push(Fact::Node(Node {
            name: "node-1".into(),
            addresses: [ip("192.0.2.1")].into_iter().collect(),
            pod_cidrs: smallvec::smallvec!["10.244.1.0/24".parse().expect("a CIDR")],
        }));
        cluster
    }

    pub(crate) fn sidecar(mut self, pod: &str, address: &str) -> Self {
        self.facts.push(Fact::Pod(pod_fact(pod, address, sidecar())));
        self
    }

    pub(crate) fn plain(mut self, pod: &str, address: &str) -> Self {
        self.facts.push(Fact::Pod(pod_fact(pod, address, Enrolment::None)));
        self
    }

    pub(crate) fn ambient(mut self, pod: &str, address: &str) -> Self {
        self.facts.push(Fact::Pod(pod_fact(pod, address, Enrolment::Ambient)));
        self
    }

    pub(crate) fn gone(mut self, pod: &str, address: &str) -> Self {
        self.facts.push(Fact::Pod(Pod { gone: true, ready: false, ..pod_fact(pod, address, sidecar()) }));
        self
    }

    pub(crate) fn headless(self, name: &str, endpoints: &[(&str, &str)], ports: &[PortSpec]) -> Self {
        self.service(name, ServiceKind::Headless, endpoints, ports)
    }

    pub(crate) fn vip(self, name: &str, address: &str, endpoints: &[(&str, &str)], ports: &[PortSpec]) -> Self {
        let kind = ServiceKind::ClusterIp([ip(address)].into_iter().collect());
        self.service(name, kind, endpoints, ports)
    }

    pub(crate) fn mtls(mut self, mode: MtlsMode) -> Self {
        self.facts.push(Fact::PeerAuthentication(PeerAuthentication {
            key: key("istio-system/default"),
            created: Timestamp(0),
            selector: None,
            mode,
            port_level: Vec::new(),
        }));
        self
    }

    pub(crate) fn authorization(mut self, policy: &str) -> Self {
        self.facts.push(Fact::AuthorizationPolicy(AuthorizationPolicy { key: key(policy), selector: None }));
        self
    }

    pub(crate) fn registry_only(mut self) -> Self {
        self.facts.push(Fact::MeshConfig(MeshConfig {
            revision: "default".into(),
            root_namespace: "istio-system".into(),
            outbound: OutboundPolicy::RegistryOnly,
            auto_mtls: true,
            trust_domain: "cluster.local".into(),
            trust_domain_aliases: Vec::new(),
            default_service_export_to: ExportTo::All,
            default_virtual_service_export_to: ExportTo::All,
            default_destination_rule_export_to: ExportTo::All,
            discovery_selectors: Vec::new(),
            protocol_detection_timeout: std::time::Duration::ZERO,
        }));
        self
    }

    pub(crate) fn deltas(&self) -> Vec<Delta> {
        let told = self.facts.iter().cloned().map(|fact| Delta::Upsert(Box::new(fact)));
        let kinds = [
            Kind::Namespace,
            Kind::Node,
            Kind::Pod,
            Kind::Service,
            Kind::EndpointSlice,
            Kind::MeshConfig,
            Kind::PeerAuthentication,
            Kind::DestinationRule,
            Kind::ServiceEntry,
            Kind::Sidecar,
            Kind::VirtualService,
            Kind::AuthorizationPolicy,
        ];
        told.chain(kinds.map(Delta::Synced)).collect()
    }

    fn service(mut self, name: &str, kind: ServiceKind, endpoints: &[(&str, &str)], ports: &[PortSpec]) -> Self {
        let key = key(name);
        self.facts.push(Fact::Service(Service {
            key: key.clone(),
            created: Timestamp(1),
            kind,
            ports: ports.iter().map(service_port).collect(),
            selector: labels(&[("app", &key.name)]),
            export_to: None,
            waypoint: None,
        }));
        self.facts.push(Fact::EndpointSlice(EndpointSlice {
            key: ObjectKey { namespace: key.namespace.clone(), name: format!("{}-abcde", key.name).into() },
            service: Some(key.name.clone()),
            endpoints: endpoints.iter().map(|(pod, address)| slice_endpoint(pod, address)).collect(),
            ports: ports
                .iter()
                .map(|(name, _, target)| SlicePort {
                    name: (*name).into(),
                    port: Some(*target),
                    transport: Transport::Tcp,
                })
                .collect(),
        }));
        self
    }
}

pub(crate) fn ip(address: &str) -> IpAddr {
    address.parse().expect("an address")
}

pub(crate) fn key(name: &str) -> ObjectKey {
    let (namespace, name) = name.split_once('/').expect("namespace/name");
    ObjectKey { namespace: namespace.into(), name: name.into() }
}

fn pod_fact(name: &str, address: &str, enrolment: Enrolment) -> Pod {
    let key = key(name);
    let app: Name = key.name.split('-').next().unwrap_or_default().into();
    let meshed = matches!(enrolment, Enrolment::Sidecar(_));
    let mut all = vec![("app", &*app)];
    if meshed {
        all.push(("security.istio.io/tlsMode", "istio"));
    }
    Pod {
        uid: Uid::from(&*format!("uid-of-{name}")),
        created: Timestamp(1),
        gone: false,
        ready: true,
        ips: [ip(address)].into_iter().collect(),
        node: "node-1".into(),
        host_network: false,
        service_account: "default".into(),
        labels: labels(&all),
        workload: Workload { kind: "Deployment".into(), name: app.clone() },
        tls_mode_istio: meshed,
        enrolment: enrolment.into(),
        key,
    }
}

fn sidecar() -> Enrolment {
    Enrolment::Sidecar(SidecarProxy {
        version: Some("1.30.3".into()),
        revision: None,
        capture: Capture {
            mode: InterceptionMode::Redirect,
            outbound_port: 15001,
            inbound_port: 15006,
            proxy_uids: [1337].into_iter().collect(),
            include_outbound_ranges: Selection::All,
            exclude_outbound_ranges: Vec::new(),
            include_outbound_ports: Vec::new(),
            exclude_outbound_ports: Vec::new(),
            include_inbound_ports: Selection::All,
            exclude_inbound_ports: Vec::new(),
        },
    })
}

fn service_port((name, port, target): &PortSpec) -> ServicePort {
    ServicePort {
        name: (*name).into(),
        port: *port,
        target: TargetPort::Number(*target),
        transport: Transport::Tcp,
        app_protocol: None,
    }
}

fn slice_endpoint(pod: &str, address: &str) -> SliceEndpoint {
    SliceEndpoint { address: ip(address), ready: true, pod: Some(pod.into()) }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(k, v)| (Name::from(*k), Name::from(*v))).collect()
}
