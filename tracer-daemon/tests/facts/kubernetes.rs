//! Namespace, Node, Service and EndpointSlice.

use crate::{fact_as, facts, skipped};
use tracer_engine::mesh::facts::{
    EndpointSlice, ExportTo, Service, ServiceKind, ServicePort, SliceEndpoint, SlicePort, TargetPort, Transport,
};

fn service(metadata: &str, spec: &str) -> Service {
    let text = format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: shop{metadata}}}, spec: {{{spec}}}}}"
    );
    fact_as!(Service, &text)
}

fn slice(rest: &str) -> EndpointSlice {
    let text = format!(
        "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: web-x, namespace: shop, \
         labels: {{kubernetes.io/service-name: web}}}}, {rest}}}"
    );
    fact_as!(EndpointSlice, &text)
}

#[test]
fn namespaces_and_nodes() {
    let namespace = fact_as!(Namespace, "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {a: b}}}");
    assert_eq!((&*namespace.name, namespace.labels.get("a").map(|v| &**v)), ("shop", Some("b")));

    let node = fact_as!(
        Node,
        "{apiVersion: v1, kind: Node, metadata: {name: n1}, spec: {podCIDR: 10.1.0.0/24, podCIDRs: [10.1.0.0/24, \
         'fd00::/64']}, status: {addresses: [{type: Hostname, address: n1}, {type: InternalIP, address: 192.0.2.1}, \
         {type: ExternalIP, address: 203.0.113.1}]}}"
    );
    assert_eq!(node.pod_cidrs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.1.0.0/24", "fd00::/64"]);
    assert_eq!(node.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.1", "203.0.113.1"]);
}

#[test]
fn a_service_has_a_kind() {
    let addresses = |of: &[&str]| ServiceKind::ClusterIp(of.iter().map(|ip| ip.parse().expect("an ip")).collect());
    let cases = [
        ("clusterIP: None", ServiceKind::Headless),
        ("clusterIP: None, clusterIPs: [None]", ServiceKind::Headless),
        ("type: ClusterIP, clusterIP: 10.96.0.1", addresses(&["10.96.0.1"])),
        ("clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd00::1']", addresses(&["10.96.0.1", "fd00::1"])),
        ("type: LoadBalancer, clusterIP: 10.96.0.1", addresses(&["10.96.0.1"])),
        ("type: NodePort", addresses(&[])),
        ("type: ExternalName, externalName: example.com", ServiceKind::ExternalName("example.com".into())),
    ];
    for (spec, expected) in cases {
        assert_eq!(service("", spec).kind, expected, "{spec}");
    }
}

#[test]
fn a_service_port_leads_to_a_target() {
    let port = |name: &str, port, target, transport, app_protocol: Option<&str>| ServicePort {
        name: name.into(),
        port,
        target,
        transport,
        app_protocol: app_protocol.map(Into::into),
    };
    let of = service(
        "",
        "ports: [{port: 80}, {name: http, port: 81, targetPort: 8080}, {name: q, port: 82, targetPort: web, appProtocol: \
         kubernetes.io/h2c}, {name: dns, port: 53, protocol: UDP, targetPort: '5353'}, {port: 84, targetPort: 0}]",
    );
    let expected = [
        port("", 80, TargetPort::Number(80), Transport::Tcp, None),
        port("http", 81, TargetPort::Number(8080), Transport::Tcp, None),
        port("q", 82, TargetPort::Name("web".into()), Transport::Tcp, Some("kubernetes.io/h2c")),
        port("dns", 53, TargetPort::Number(5353), Transport::Udp, None),
        port("", 84, TargetPort::Number(84), Transport::Tcp, None),
    ];
    assert_eq!(of.ports, expected);
}

#[test]
fn a_service_is_exported() {
    let names = |of: &[&str]| Some(ExportTo::Namespaces(of.iter().map(|name| (*name).into()).collect()));
    let cases = [
        ("", None),
        ("''", None),
        ("'*'", Some(ExportTo::All)),
        ("., *", Some(ExportTo::All)),
        (".", Some(ExportTo::OwnNamespace)),
        ("'~'", Some(ExportTo::Nobody)),
        ("beta", names(&["beta"])),
        ("'., beta,gamma'", names(&["shop", "beta", "gamma"])),
    ];
    for (annotation, expected) in cases {
        let annotation = annotation.trim_matches('\'');
        let metadata = format!(", annotations: {{networking.istio.io/exportTo: '{annotation}'}}");
        assert_eq!(service(&metadata, "").export_to, expected, "{annotation}");
    }
    assert_eq!(service("", "").export_to, None);
}

#[test]
fn a_slice_says_who_stands_behind_a_service() {
    let of = slice(
        "addressType: IPv4, endpoints: [{addresses: [10.0.0.1], nodeName: n1, targetRef: {kind: Pod, name: web-0, namespace: \
         shop}, conditions: {ready: false, serving: true, terminating: true}}, {addresses: [10.0.0.2, 10.0.1.2], targetRef: {kind: \
         Pod, name: web-1}}, {addresses: [10.0.0.3], targetRef: {kind: Node, name: n1}, conditions: {ready: false}}, \
         {addresses: [10.0.0.4], targetRef: {kind: Pod, name: db-0, namespace: data}}], \
         ports: [{name: http, port: 8080, protocol: TCP}, {port: null}]",
    );
    let endpoint = |ip: &str, ready, pod: Option<&str>| SliceEndpoint {
        address: ip.parse().expect("an ip"),
        ready,
        pod: pod.map(Into::into),
    };
    assert_eq!(of.service.as_deref(), Some("web"));
    assert_eq!(
        *of.endpoints,
        [
            endpoint("10.0.0.1", false, Some("web-0")),
            endpoint("10.0.0.2", true, Some("web-1")),
            endpoint("10.0.1.2", true, Some("web-1")),
            endpoint("10.0.0.3", false, None),
            endpoint("10.0.0.4", true, Some("data/db-0")),
        ]
    );
    let port = |name: &str, port| SlicePort { name: name.into(), port, transport: Transport::Tcp };
    assert_eq!(*of.ports, [port("http", Some(8080)), port("", None)]);
}

#[test]
fn a_slice_may_be_empty_or_hold_names() {
    let empty = slice("addressType: IPv4, endpoints: null, ports: null");
    assert_eq!((empty.endpoints.len(), empty.ports.len()), (0, 0));
    let names = slice("addressType: FQDN, endpoints: [{addresses: [example.com]}], ports: [{port: 80}]");
    assert_eq!(*names.endpoints, []);
}

#[test]
fn the_group_counts_and_not_the_version() {
    let text = "{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a, namespace: b}, spec: {ports: no}}\n\
                ---\n{apiVersion: discovery.k8s.io/v1beta1, kind: EndpointSlice, metadata: {name: a, namespace: b}}";
    assert_eq!(facts(text).len(), 1);
}

#[test]
fn every_bad_value_is_named() {
    let service = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: Internal, clusterIP: ten, ports: \
                   [{port: 0}, {port: 80, targetPort: 70000}, {port: 81, protocol: QUIC}]}}";
    let said = "Service web is skipped: metadata.namespace is missing; spec.ports[0].port \"0\" is no port: 1 to 65535; \
                spec.ports[1].targetPort \"70000\" is no port: 1 to 65535; spec.ports[2].protocol \"QUIC\" is none of TCP, \
                UDP, SCTP; spec.type \"Internal\" is none of ClusterIP, NodePort, LoadBalancer, ExternalName; \
                spec.clusterIP \"ten\" is no ip address";
    assert_eq!(skipped(service), [said]);

    let slice = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a, namespace: b}, addressType: IPv4, \
                 endpoints: [{addresses: [10.0.0.1]}, {addresses: [example.com]}], ports: [{port: 65536}]}";
    let said = "EndpointSlice b/a is skipped: endpoints[1].addresses \"example.com\" is no ip address; ports[0].port \
                \"65536\" is no port: 1 to 65535";
    assert_eq!(skipped(slice), [said]);

    let node = "{apiVersion: v1, kind: Node, metadata: {name: n1}, spec: {podCIDR: 10.0.0.0/33}}";
    let said =
        "Node n1 is skipped: spec.podCIDR \"10.0.0.0/33\" is neither an ip address nor a range such as 10.0.0.0/8";
    assert_eq!(skipped(node), [said]);
}
