//! Small builders: a mesh of a few pods and Services, and one call in it.

use smallvec::smallvec;
use std::collections::BTreeMap;
use tracer_engine::mesh::facts::*;
use tracer_engine::mesh::index::Index;
use tracer_engine::net::{Endpoint, Ktime, Name};
use tracer_engine::verdict::{Cause, Reason, Security};
use tracer_engine::walk::outcome::{Call, Known, Outcome, Sends, Source};
use tracer_engine::walk::walk;

/// Facts, and what was said of pods, so that EndpointSlices can be made from names.
pub(crate) struct Mesh {
    pub(crate) index: Index,
    pods: BTreeMap<String, Pod>,
    created: u32,
}

/// A Service port: `("http", 80)`, and where it differs the target.
#[derive(Clone, Copy)]
pub(crate) struct PortOf(pub(crate) &'static str, pub(crate) u16, pub(crate) u16);

impl From<(&'static str, u16)> for PortOf {
    fn from((name, port): (&'static str, u16)) -> Self {
        PortOf(name, port, port)
    }
}

impl From<(&'static str, u16, u16)> for PortOf {
    fn from((name, port, target): (&'static str, u16, u16)) -> Self {
        PortOf(name, port, target)
    }
}

impl Mesh {
    pub(crate) fn new() -> Self {
        Self { index: Index::new(), pods: BTreeMap::new(), created: 1 }
    }

    /// The mesh of most tests: `app/client` (10.0.0.1) and `app/db-0` (10.0.0.2) with sidecars, `legacy/plain`
    /// (10.0.0.9) without, everything STRICT.
    pub(crate) fn strict() -> Self {
        let mut mesh = Self::new();
        mesh.peer("istio-system", MtlsMode::Strict);
        mesh.pod("app/client", "10.0.0.1").pod("app/db-0", "10.0.0.2").plain("legacy/plain", "10.0.0.9");
        mesh
    }

    pub(crate) fn put(&mut self, fact: Fact) -> &mut Self {
        self.index.apply(Ktime(1), &Delta::Upsert(Box::new(fact)));
        self
    }

    /// Injected, labelled, ready.
    pub(crate) fn pod(&mut self, name: &str, ip: &str) -> &mut Self {
        self.pod_with(name, ip, |_| {})
    }

    /// Neither sidecar nor label.
    pub(crate) fn plain(&mut self, name: &str, ip: &str) -> &mut Self {
        self.pod_with(name, ip, |pod| {
            pod.enrolment = Enrolment::None.into();
            pod.tls_mode_istio = false;
        })
    }

    pub(crate) fn ambient(&mut self, name: &str, ip: &str) -> &mut Self {
        self.pod_with(name, ip, |pod| {
            pod.enrolment = Enrolment::Ambient.into();
            pod.tls_mode_istio = false;
        })
    }

    pub(crate) fn pod_with(&mut self, name: &str, ip: &str, change: impl FnOnce(&mut Pod)) -> &mut Self {
        let mut pod = pod(name, ip, self.next());
        change(&mut pod);
        self.pods.insert(name.to_owned(), pod.clone());
        self.put(Fact::Pod(pod))
    }

    /// Changes the capture scope of a pod that is there.
    pub(crate) fn capture(&mut self, name: &str, change: impl FnOnce(&mut Capture)) -> &mut Self {
        let mut pod = self.pods[name].clone();
        if let Enrolment::Sidecar(proxy) = std::sync::Arc::make_mut(&mut pod.enrolment) {
            change(&mut proxy.capture);
        }
        self.pods.insert(name.to_owned(), pod.clone());
        self.put(Fact::Pod(pod))
    }

    pub(crate) fn headless<P: Into<PortOf> + Copy>(&mut self, name: &str, ports: &[P], pods: &[&str]) -> &mut Self {
        self.service(name, ServiceKind::Headless, ports, pods, |_| {})
    }

    pub(crate) fn vip<P: Into<PortOf> + Copy>(
        &mut self,
        name: &str,
        ip: &str,
        ports: &[P],
        pods: &[&str],
    ) -> &mut Self {
        self.service(name, ServiceKind::ClusterIp(smallvec![addr(ip)]), ports, pods, |_| {})
    }

    pub(crate) fn service<P: Into<PortOf> + Copy>(
        &mut self,
        name: &str,
        kind: ServiceKind,
        ports: &[P],
        pods: &[&str],
        change: impl FnOnce(&mut Service),
    ) -> &mut Self {
        let ports: Vec<PortOf> = ports.iter().map(|port| (*port).into()).collect();
        let mut service = Service {
            key: key(name),
            created: self.next(),
            kind,
            ports: ports.iter().map(service_port).collect(),
            selector: Labels::default(),
            export_to: None,
            waypoint: None,
        };
        change(&mut service);
        self.put(Fact::Service(service));
        let endpoints = pods.iter().map(|pod| endpoint(&self.pods[*pod])).collect();
        self.slice(name, endpoints, &ports)
    }

    pub(crate) fn slice(&mut self, service: &str, endpoints: Vec<SliceEndpoint>, ports: &[PortOf]) -> &mut Self {
        let of = key(service);
        let ports =
            ports.iter().map(|port| SlicePort { name: port.0.into(), port: Some(port.2), transport: Transport::Tcp });
        self.put(Fact::EndpointSlice(EndpointSlice {
            key: ObjectKey { namespace: of.namespace.clone(), name: format!("{}-slice", of.name).into() },
            service: Some(of.name),
            endpoints: endpoints.into_iter().map(|endpoint| own(endpoint, &of.namespace)).collect(),
            ports: ports.collect(),
        }))
    }

    pub(crate) fn endpoint(&self, pod: &str) -> SliceEndpoint {
        endpoint(&self.pods[pod])
    }

    /// A policy for a whole namespace.
    pub(crate) fn peer(&mut self, namespace: &str, mode: MtlsMode) -> &mut Self {
        self.peer_for(&format!("{namespace}/default"), None, mode, &[])
    }

    /// A policy for pods with `app: APP`.
    pub(crate) fn peer_for(
        &mut self,
        name: &str,
        app: Option<&str>,
        mode: MtlsMode,
        ports: &[(u16, MtlsMode)],
    ) -> &mut Self {
        let created = self.next();
        self.put(Fact::PeerAuthentication(PeerAuthentication {
            key: key(name),
            created,
            selector: app.map(app_label),
            mode,
            port_level: ports.to_vec(),
        }))
    }

    pub(crate) fn config(&mut self, change: impl FnOnce(&mut MeshConfig)) -> &mut Self {
        let mut config = mesh_config("default");
        change(&mut config);
        self.put(Fact::MeshConfig(config))
    }

    pub(crate) fn registry_only(&mut self) -> &mut Self {
        self.config(|config| config.outbound = OutboundPolicy::RegistryOnly)
    }

    pub(crate) fn rule(&mut self, name: &str, host: &str, mode: ClientTlsMode) -> &mut Self {
        self.rule_with(name, host, |rule| {
            rule.traffic_policy = Some(TrafficPolicy { tls: Some(tls(mode)), ..TrafficPolicy::default() });
        })
    }

    pub(crate) fn rule_with(&mut self, name: &str, host: &str, change: impl FnOnce(&mut DestinationRule)) -> &mut Self {
        let mut rule = DestinationRule {
            key: key(name),
            created: self.next(),
            host: host.into(),
            export_to: None,
            workload_selector: None,
            traffic_policy: None,
            subsets: Vec::new(),
        };
        change(&mut rule);
        self.put(Fact::DestinationRule(rule))
    }

    pub(crate) fn entry(&mut self, name: &str, port: (u16, &str), change: impl FnOnce(&mut ServiceEntry)) -> &mut Self {
        let mut entry = ServiceEntry {
            key: key(name),
            created: self.next(),
            hosts: vec![format!("{}.ext", key(name).name).into()],
            addresses: Vec::new(),
            ports: vec![EntryPort { number: port.0, protocol: port.1.into(), name: "p".into(), target: None }],
            resolution: Resolution::Static,
            location: Location::MeshExternal,
            endpoints: vec![WorkloadEntry {
                address: "10.9.9.9".into(),
                ports: Vec::new(),
                labels: Labels::default(),
                service_account: None,
            }],
            workload_selector: None,
            export_to: None,
            subject_alt_names: Vec::new(),
        };
        change(&mut entry);
        self.put(Fact::ServiceEntry(entry))
    }

    pub(crate) fn sidecar(&mut self, name: &str, change: impl FnOnce(&mut Sidecar)) -> &mut Self {
        let mut sidecar = Sidecar {
            key: key(name),
            created: self.next(),
            workload_selector: None,
            ingress: Vec::new(),
            egress: Vec::new(),
            outbound: None,
        };
        change(&mut sidecar);
        self.put(Fact::Sidecar(sidecar))
    }

    pub(crate) fn virtual_service(
        &mut self,
        name: &str,
        hosts: &[&str],
        change: impl FnOnce(&mut VirtualService),
    ) -> &mut Self {
        let mut service = VirtualService {
            key: key(name),
            created: self.next(),
            hosts: hosts.iter().map(|host| Name::from(*host)).collect(),
            gateways: Vec::new(),
            export_to: None,
            http: Vec::new(),
            tls: Vec::new(),
            tcp: Vec::new(),
        };
        change(&mut service);
        self.put(Fact::VirtualService(service))
    }

    pub(crate) fn ask(&self, from: &str, to: &str, sends: Sends) -> Vec<Outcome> {
        walk(&self.index, &call(from, to, sends), Ktime(2))
    }

    /// The only outcome.
    #[track_caller]
    pub(crate) fn one(&self, from: &str, to: &str, sends: Sends) -> Outcome {
        let mut outcomes = self.ask(from, to, sends);
        assert_eq!(outcomes.len(), 1, "{outcomes:#?}");
        outcomes.remove(0)
    }

    #[track_caller]
    pub(crate) fn reason(&self, from: &str, to: &str, sends: Sends) -> Reason {
        self.one(from, to, sends).reason
    }

    #[track_caller]
    pub(crate) fn causes(&self, from: &str, to: &str, sends: Sends) -> (Reason, Vec<Cause>) {
        let outcome = self.one(from, to, sends);
        (outcome.reason, outcome.causes.to_vec())
    }

    #[track_caller]
    pub(crate) fn security(&self, from: &str, to: &str, sends: Sends) -> (Reason, Security) {
        let outcome = self.one(from, to, sends);
        (outcome.reason, outcome.security)
    }

    fn next(&mut self) -> Timestamp {
        self.created += 1;
        Timestamp(self.created)
    }
}

pub(crate) fn call(from: &str, to: &str, sends: Sends) -> Call {
    let from = from.parse().map_or_else(|_| Source::Pod(key(from)), Source::Ip);
    let to: std::net::SocketAddr = to.parse().expect("`to` is ip:port");
    Call { from, to: Endpoint::new(to.ip(), to.port()), sends, uid: None, path: Some("/".into()) }
}

pub(crate) fn http(host: &str) -> Sends {
    Sends::Http { http2: false, host: Known::Yes(Some(host.into())) }
}

pub(crate) fn hello(sni: &str) -> Sends {
    Sends::Tls { sni: Known::Yes(Some(sni.into())), alpn: smallvec![] }
}

pub(crate) fn key(name: &str) -> ObjectKey {
    let (namespace, name) = name.split_once('/').expect("a name is namespace/name");
    ObjectKey { namespace: namespace.into(), name: name.into() }
}

pub(crate) fn addr(ip: &str) -> std::net::IpAddr {
    ip.parse().expect("an ip")
}

pub(crate) fn app_label(app: &str) -> Labels {
    [(Name::from("app"), Name::from(app))].into_iter().collect()
}

pub(crate) fn tls(mode: ClientTlsMode) -> ClientTls {
    ClientTls { mode, sni: None, subject_alt_names: Vec::new() }
}

pub(crate) fn to(host: &str, port: Option<u16>) -> Destination {
    Destination { host: host.into(), port, subset: None, weight: 0 }
}

pub(crate) fn route(destination: Destination) -> HttpRoute {
    HttpRoute { name: "".into(), matches: Vec::new(), route: vec![destination], answers: false, delegate: None }
}

pub(crate) fn mesh_config(revision: &str) -> MeshConfig {
    MeshConfig {
        revision: revision.into(),
        root_namespace: "istio-system".into(),
        outbound: OutboundPolicy::AllowAny,
        auto_mtls: true,
        trust_domain: "cluster.local".into(),
        trust_domain_aliases: Vec::new(),
        default_service_export_to: ExportTo::All,
        default_virtual_service_export_to: ExportTo::All,
        default_destination_rule_export_to: ExportTo::All,
        discovery_selectors: Vec::new(),
        protocol_detection_timeout: std::time::Duration::ZERO,
    }
}

fn pod(name: &str, ip: &str, created: Timestamp) -> Pod {
    let key = key(name);
    let app = key.name.split('-').next().unwrap_or_default().to_owned();
    Pod {
        uid: Uid::from(&*format!("{name}@{ip}")),
        created,
        gone: false,
        ready: true,
        ips: [addr(ip)].into_iter().collect(),
        node: "node".into(),
        host_network: false,
        service_account: "default".into(),
        labels: app_label(&app),
        workload: Workload { kind: "Pod".into(), name: key.name.clone() },
        enrolment: std::sync::Arc::new(Enrolment::Sidecar(SidecarProxy {
            version: Some("1.30.3".into()),
            revision: Some("default".into()),
            capture: Capture {
                mode: InterceptionMode::Redirect,
                outbound_port: 15001,
                inbound_port: 15006,
                proxy_uids: smallvec![1337],
                include_outbound_ranges: Selection::All,
                exclude_outbound_ranges: Vec::new(),
                include_outbound_ports: Vec::new(),
                exclude_outbound_ports: Vec::new(),
                include_inbound_ports: Selection::All,
                exclude_inbound_ports: vec![15090, 15021, 15020],
            },
        })),
        tls_mode_istio: true,
        key,
    }
}

fn service_port(port: &PortOf) -> ServicePort {
    ServicePort {
        name: port.0.into(),
        port: port.1,
        target: TargetPort::Number(port.2),
        transport: Transport::Tcp,
        app_protocol: None,
    }
}

fn endpoint(pod: &Pod) -> SliceEndpoint {
    SliceEndpoint { address: pod.ips[0], ready: true, pod: Some(pod.key.to_string().into()) }
}

/// A pod of the slice's own namespace by its name alone, as the daemon says it.
fn own(endpoint: SliceEndpoint, namespace: &str) -> SliceEndpoint {
    let bare = |pod: Name| match pod.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('/')) {
        Some(name) => name.into(),
        None => pod,
    };
    SliceEndpoint { pod: endpoint.pod.map(bare), ..endpoint }
}
