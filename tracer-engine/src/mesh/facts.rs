//! Small owned values: what the cluster's configuration says, and nothing that no rule needs
//! (`classification.md` section 4). `tracer-daemon::source::cluster::lower` makes them from Kubernetes objects.
//!
//! No rule lives here. A port's name and `appProtocol` are kept as written; `mesh::protocol` says what they mean.

use crate::net::Name;
use ipnet::IpNet;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::time::Duration;

/// A change of the facts. Applying the same upsert twice changes nothing.
#[derive(Clone, PartialEq, Debug)]
pub enum Delta {
    Upsert(Box<Fact>),
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

/// Seconds since the epoch, as `metadata.creationTimestamp`. Where Istio says "oldest wins" it compares these.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Timestamp(pub i64);

/// Sorted by key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Labels(pub Vec<(Name, Name)>);

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Namespace {
    pub name: Name,
    pub labels: Labels,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    pub name: Name,
    pub addresses: SmallVec<[IpAddr; 2]>,
    pub pod_cidrs: SmallVec<[IpNet; 2]>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Pod {
    pub key: ObjectKey,
    pub uid: Name,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    /// Deleted, or in phase Failed or Succeeded: its ip answers for nobody.
    pub gone: bool,
    /// The last transition of condition Ready to True; `None` while not ready.
    pub ready_since: Option<Timestamp>,
    pub ips: SmallVec<[IpAddr; 2]>,
    pub node: Name,
    pub host_network: bool,
    pub service_account: Name,
    pub labels: Labels,
    pub workload: Workload,
    /// `containerPort`s; informational, as in Kubernetes.
    pub container_ports: SmallVec<[u16; 4]>,
    pub enrolment: Enrolment,
    /// Label `security.istio.io/tlsMode: istio`: what clients go by, not the sidecar.
    pub tls_mode_istio: bool,
    /// Label `networking.istio.io/tunnel: http`: this sidecar accepts HBONE.
    pub hbone: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Workload {
    pub kind: WorkloadKind,
    pub name: Name,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum WorkloadKind {
    Deployment,
    StatefulSet,
    DaemonSet,
    ReplicaSet,
    Job,
    CronJob,
    /// A bare pod is its own workload.
    Pod,
    /// Any other controller, by its kind.
    Other(Name),
}

#[derive(Clone, PartialEq, Debug)]
pub enum Enrolment {
    /// Container or initContainer `istio-proxy` together with annotation `sidecar.istio.io/status`.
    Sidecar(Box<SidecarProxy>),
    /// An ingress or egress gateway: has a proxy, captures nothing.
    Gateway,
    /// Annotation `ambient.istio.io/redirection: enabled`.
    Ambient,
    None,
}

#[derive(Clone, PartialEq, Debug)]
pub struct SidecarProxy {
    /// Image tag of `istio-proxy`, as written (`1.30.3`).
    pub version: Option<Name>,
    /// From the status annotation; names the mesh configuration (`istio`, or `istio-<rev>`).
    pub revision: Option<Name>,
    pub capture: Capture,
}

/// What `istio-iptables` was told for this pod: arguments of `istio-init` or `istio-validation`, and where they do not
/// say, the annotations `traffic.sidecar.istio.io/*`.
#[derive(Clone, PartialEq, Debug)]
pub struct Capture {
    pub mode: InterceptionMode,
    /// `-p`, 15001
    pub outbound_port: u16,
    /// `-z`, 15006
    pub inbound_port: u16,
    /// `-u`: connections of these uids are the proxy's own and never captured.
    pub proxy_uids: SmallVec<[u32; 1]>,
    /// `-i`
    pub include_outbound_ranges: Selection<IpNet>,
    /// `-x`
    pub exclude_outbound_ranges: Vec<IpNet>,
    /// `-q`: captured even outside `-i`.
    pub include_outbound_ports: Vec<u16>,
    /// `-o`
    pub exclude_outbound_ports: Vec<u16>,
    /// `-b`
    pub include_inbound_ports: Selection<u16>,
    /// `-d`: counts only with `-b *`.
    pub exclude_inbound_ports: Vec<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InterceptionMode {
    Redirect,
    /// Keeps the client's address: no 127.0.0.6 at the local leg.
    Tproxy,
    /// Nothing is captured.
    None,
}

/// `*`, or a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selection<T> {
    All,
    Only(Vec<T>),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Service {
    pub key: ObjectKey,
    pub created: Timestamp,
    pub kind: ServiceKind,
    pub ports: Vec<ServicePort>,
    pub selector: Labels,
    /// Annotation `networking.istio.io/exportTo`; `None` where absent: the mesh default holds.
    pub export_to: Option<ExportTo>,
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

#[derive(Clone, PartialEq, Debug)]
pub struct EndpointSlice {
    pub key: ObjectKey,
    /// Label `kubernetes.io/service-name`; a slice without it belongs to no Service.
    pub service: Option<Name>,
    pub endpoints: Vec<SliceEndpoint>,
    pub ports: Vec<SlicePort>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SliceEndpoint {
    pub addresses: SmallVec<[IpAddr; 1]>,
    pub ready: bool,
    pub serving: bool,
    pub terminating: bool,
    /// `targetRef` of kind Pod.
    pub pod: Option<ObjectKey>,
    pub node: Option<Name>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlicePort {
    pub name: Name,
    /// `None`: all ports.
    pub port: Option<u16>,
    pub transport: Transport,
}

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

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LabelSelector {
    pub match_labels: Labels,
    pub match_expressions: Vec<LabelExpression>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabelExpression {
    pub key: Name,
    pub operator: LabelOperator,
    pub values: Vec<Name>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LabelOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
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

#[derive(Clone, PartialEq, Debug)]
pub struct VirtualService {
    pub key: ObjectKey,
    pub created: Timestamp,
    pub hosts: Vec<Name>,
    /// Empty: `mesh`.
    pub gateways: Vec<Name>,
    pub export_to: Option<ExportTo>,
    pub http: Vec<HttpRoute>,
    pub tls: Vec<L4Route>,
    pub tcp: Vec<L4Route>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct HttpRoute {
    pub name: Name,
    /// Any one must match; empty: all requests.
    pub matches: Vec<HttpMatch>,
    pub route: Vec<Destination>,
    /// `redirect` or `directResponse`: the proxy answers itself.
    pub answers: bool,
}

/// Everything named must match. What a first payload does not keep (path, headers, method) is kept only as far as
/// needed to say "this depends on the path".
#[derive(Clone, PartialEq, Debug, Default)]
pub struct HttpMatch {
    pub uri: Option<StringMatch>,
    pub authority: Option<StringMatch>,
    pub port: Option<u16>,
    pub source_labels: Labels,
    pub source_namespace: Option<Name>,
    pub gateways: Vec<Name>,
    /// Conditions on headers, method, scheme or query: never seen by the tracer.
    pub unseen: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StringMatch {
    Exact(Name),
    Prefix(Name),
    Regex(Name),
}

/// A `tcp` or `tls` route.
#[derive(Clone, PartialEq, Debug)]
pub struct L4Route {
    /// Any one must match; empty: all connections.
    pub matches: Vec<L4Match>,
    pub route: Vec<Destination>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct L4Match {
    pub port: Option<u16>,
    pub sni_hosts: Vec<Name>,
    pub destination_subnets: Vec<IpNet>,
    pub source_labels: Labels,
    pub source_namespace: Option<Name>,
    pub gateways: Vec<Name>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Destination {
    pub host: Name,
    /// `None`: the listener's port.
    pub port: Option<u16>,
    pub subset: Option<Name>,
    pub weight: u32,
}

/// Not evaluated: where one selects a destination, the answer carries a caveat by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthorizationPolicy {
    pub key: ObjectKey,
    /// `None` or empty: the whole namespace (in the root namespace: the mesh).
    pub selector: Option<Labels>,
}

impl Labels {
    pub fn get(&self, key: &str) -> Option<&Name> {
        self.0.binary_search_by(|(k, _)| (**k).cmp(key)).ok().map(|at| &self.0[at].1)
    }

    /// Whether `self`, as a selector, selects `labels`. An empty selector selects everything.
    pub fn selects(&self, labels: &Labels) -> bool {
        self.0.iter().all(|(k, v)| labels.get(k) == Some(v))
    }
}

impl FromIterator<(Name, Name)> for Labels {
    fn from_iter<I: IntoIterator<Item = (Name, Name)>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort();
        pairs.dedup_by(|a, b| a.0 == b.0);
        Self(pairs)
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
