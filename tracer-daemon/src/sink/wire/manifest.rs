//! Objects as `kubectl apply` takes them. Of one that is there already only what is to change is written, and lists that
//! are replaced whole.

use serde::Serialize;
use std::collections::BTreeMap;
use tracer_engine::mesh::facts::{
    ClientTls, ClientTlsMode, DestinationRule, ExportTo, Fact, Labels, ObjectKey, PeerAuthentication, Pod, Resolution,
    Service, ServiceEntry, ServiceKind, Sidecar, TargetPort, TrafficPolicy, Transport,
};
use tracer_engine::mesh::policy::spelled;
use tracer_engine::net::Name;
use tracer_engine::remedy::Manifest;

type Map<K, V> = BTreeMap<K, V>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<S: Serialize> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<S>,
}

#[derive(Serialize)]
struct Metadata {
    name: Name,
    namespace: Name,
    #[serde(skip_serializing_if = "Map::is_empty")]
    labels: Map<Name, Name>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    annotations: Map<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceSpec {
    #[serde(rename = "clusterIP", skip_serializing_if = "Option::is_none")]
    cluster_ip: Option<&'static str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    selector: Map<Name, Name>,
    ports: Vec<ServicePort>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServicePort {
    name: Name,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_port: Option<Target>,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_protocol: Option<Name>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Target {
    Number(u16),
    Name(Name),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PeerAuthenticationSpec {
    selector: Selector,
    port_level_mtls: Map<u16, Mode>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Selector {
    match_labels: Map<Name, Name>,
}

#[derive(Serialize)]
struct Mode {
    mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DestinationRuleSpec {
    host: Name,
    traffic_policy: Policy,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Mode>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    port_level_settings: Vec<PortPolicy>,
}

#[derive(Serialize)]
struct PortPolicy {
    port: Number,
    tls: Mode,
}

#[derive(Serialize)]
struct Number {
    number: u16,
}

#[derive(Serialize)]
struct SidecarSpec {
    egress: Vec<Egress>,
}

#[derive(Serialize)]
struct Egress {
    hosts: Vec<Name>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceEntrySpec {
    hosts: Vec<Name>,
    addresses: Vec<String>,
    ports: Vec<EntryPort>,
    location: &'static str,
    resolution: &'static str,
    export_to: Vec<String>,
}

#[derive(Serialize)]
struct EntryPort {
    number: u16,
    name: Name,
    protocol: Name,
}

/// One document an object.
pub(super) fn yaml(manifests: &[Manifest]) -> String {
    manifests.iter().filter_map(document).collect::<Vec<_>>().join("---\n")
}

fn document(Manifest { fact, amends }: &Manifest) -> Option<String> {
    match fact {
        Fact::Service(service) => text(&of_service(service, *amends)),
        Fact::PeerAuthentication(policy) => text(&of_policy(policy)),
        Fact::DestinationRule(rule) => text(&of_rule(rule, *amends)),
        Fact::Sidecar(sidecar) => text(&of_sidecar(sidecar)),
        Fact::ServiceEntry(entry) => text(&of_entry(entry)),
        Fact::Pod(pod) => text(&of_pod(pod)),
        // No remedy is about these.
        Fact::Namespace(_)
        | Fact::Node(_)
        | Fact::EndpointSlice(_)
        | Fact::MeshConfig(_)
        | Fact::VirtualService(_)
        | Fact::AuthorizationPolicy(_) => None,
    }
}

fn text(object: &impl Serialize) -> Option<String> {
    serde_saphyr::to_string(object).ok()
}

fn metadata(key: &ObjectKey) -> Metadata {
    let ObjectKey { namespace, name } = key.clone();
    Metadata { name, namespace, labels: Map::new(), annotations: Map::new() }
}

fn labels(of: &Labels) -> Map<Name, Name> {
    of.iter().cloned().collect()
}

fn of_service(service: &Service, amends: bool) -> Object<ServiceSpec> {
    let Service { key, created: _, kind, ports, selector, export_to, waypoint: _ } = service;
    let mut metadata = metadata(key);
    if let Some(to) = export_to {
        metadata.annotations.insert("networking.istio.io/exportTo", exported(to).join(","));
    }
    let headless = *kind == ServiceKind::Headless;
    let spec = ServiceSpec {
        cluster_ip: headless.then_some("None"),
        selector: if amends { Map::new() } else { labels(selector) },
        ports: ports.iter().map(of_port).collect(),
    };
    Object { api_version: "v1", kind: "Service", metadata, spec: Some(spec) }
}

fn of_port(port: &tracer_engine::mesh::facts::ServicePort) -> ServicePort {
    let tracer_engine::mesh::facts::ServicePort { name, port, target, transport, app_protocol } = port;
    ServicePort {
        name: name.clone(),
        port: *port,
        target_port: match target {
            TargetPort::Number(number) if number == port => None,
            TargetPort::Number(number) => Some(Target::Number(*number)),
            TargetPort::Name(name) => Some(Target::Name(name.clone())),
        },
        protocol: match transport {
            Transport::Tcp => "TCP",
            Transport::Udp => "UDP",
            Transport::Sctp => "SCTP",
        },
        app_protocol: app_protocol.clone(),
    }
}

fn of_policy(policy: &PeerAuthentication) -> Object<PeerAuthenticationSpec> {
    let PeerAuthentication { key, created: _, selector, mode: _, port_level } = policy;
    let spec = PeerAuthenticationSpec {
        selector: Selector { match_labels: selector.as_ref().map(labels).unwrap_or_default() },
        port_level_mtls: port_level.iter().map(|(port, mode)| (*port, Mode { mode: spelled(*mode) })).collect(),
    };
    Object {
        api_version: "security.istio.io/v1",
        kind: "PeerAuthentication",
        metadata: metadata(key),
        spec: Some(spec),
    }
}

fn of_rule(rule: &DestinationRule, amends: bool) -> Object<DestinationRuleSpec> {
    let DestinationRule { key, host, traffic_policy, .. } = rule;
    let TrafficPolicy { tls, passthrough: _, port_level } = traffic_policy.clone().unwrap_or_default();
    let by_port = |(number, policy): &(u16, TrafficPolicy)| {
        Some(PortPolicy { port: Number { number: *number }, tls: tls_mode(policy.tls.as_ref()?) })
    };
    let settings = if amends { Vec::new() } else { port_level.iter().filter_map(by_port).collect() };
    let spec = DestinationRuleSpec {
        host: host.clone(),
        traffic_policy: Policy { tls: tls.as_ref().map(tls_mode), port_level_settings: settings },
    };
    Object { api_version: "networking.istio.io/v1", kind: "DestinationRule", metadata: metadata(key), spec: Some(spec) }
}

fn tls_mode(tls: &ClientTls) -> Mode {
    let mode = match tls.mode {
        ClientTlsMode::Disable => "DISABLE",
        ClientTlsMode::Simple => "SIMPLE",
        ClientTlsMode::Mutual => "MUTUAL",
        ClientTlsMode::IstioMutual => "ISTIO_MUTUAL",
    };
    Mode { mode }
}

fn of_sidecar(sidecar: &Sidecar) -> Object<SidecarSpec> {
    let egress = sidecar.egress.iter().map(|listener| Egress { hosts: listener.hosts.clone() }).collect();
    let spec = Some(SidecarSpec { egress });
    Object { api_version: "networking.istio.io/v1", kind: "Sidecar", metadata: metadata(&sidecar.key), spec }
}

fn of_entry(entry: &ServiceEntry) -> Object<ServiceEntrySpec> {
    let ports = entry.ports.iter().map(|port| EntryPort {
        number: port.number,
        name: port.name.clone(),
        protocol: port.protocol.clone(),
    });
    let spec = ServiceEntrySpec {
        hosts: entry.hosts.clone(),
        addresses: entry.addresses.iter().map(|net| net.addr().to_string()).collect(),
        ports: ports.collect(),
        location: "MESH_EXTERNAL",
        resolution: if entry.resolution == Resolution::None { "NONE" } else { "STATIC" },
        export_to: entry.export_to.as_ref().map(exported).unwrap_or_default(),
    };
    Object {
        api_version: "networking.istio.io/v1",
        kind: "ServiceEntry",
        metadata: metadata(&entry.key),
        spec: Some(spec),
    }
}

/// Of a pod that runs only labels can change.
fn of_pod(pod: &Pod) -> Object<()> {
    let mesh = |(key, _): &(&Name, &Name)| &***key == "security.istio.io/tlsMode";
    let changed = pod.labels.iter().map(|(key, value)| (key, value)).filter(mesh);
    let labels = changed.map(|(key, value)| (key.clone(), value.clone())).collect();
    Object { api_version: "v1", kind: "Pod", metadata: Metadata { labels, ..metadata(&pod.key) }, spec: None }
}

fn exported(to: &ExportTo) -> Vec<String> {
    match to {
        ExportTo::All => vec!["*".to_owned()],
        ExportTo::OwnNamespace => vec![".".to_owned()],
        ExportTo::Nobody => vec!["~".to_owned()],
        ExportTo::Namespaces(named) => named.iter().map(ToString::to_string).collect(),
    }
}
