//! Section 6: D1, and the table of D2.

use crate::mesh::{Mesh, hello, http, tls};
use smallvec::smallvec;
use tracer_engine::mesh::facts::{ClientTlsMode, EntryPort, IngressListener, MtlsMode, ServiceKind, Transport};
use tracer_engine::verdict::Reason;
use tracer_engine::walk::outcome::{ArrivalEnd, Known, Sends};

const TCP: u16 = 9000;
const AUTO: u16 = 9300;
const HTTP: u16 = 9200;
const UNDECLARED: u16 = 7777;

/// `app/db-0` declares one port of each kind in a ClusterIP Service, and enforces `mode`.
fn enforcing(mode: MtlsMode) -> Mesh {
    let mut mesh = Mesh::new();
    mesh.peer("istio-system", mode);
    mesh.pod("app/client", "10.0.0.1").pod("app/db-0", "10.0.0.2").plain("legacy/plain", "10.0.0.9");
    mesh.vip("app/db", "10.96.0.1", &[("tcp", TCP), ("x", AUTO), ("http", HTTP)], &["app/db-0"]);
    mesh
}

#[track_caller]
fn ends(mesh: &Mesh, port: u16, sends: Sends) -> ArrivalEnd {
    mesh.one("legacy/plain", &format!("10.0.0.2:{port}"), sends).path.arrival.expect("it arrives").end
}

#[test]
fn plaintext_and_the_applications_own_tls_by_port_and_mode() {
    use ArrivalEnd::{CodecError, Delivered, HandshakeFails, NoFilterChain, Stalls};
    use MtlsMode::{Disable, Permissive, Strict};
    let rows: [(&str, Sends, [u16; 4], [ArrivalEnd; 3]); 8] = [
        ("HTTP bytes", http("x"), [TCP, AUTO, HTTP, UNDECLARED], [NoFilterChain, Delivered, Delivered]),
        ("other bytes", Sends::Other, [TCP, AUTO, UNDECLARED, TCP], [NoFilterChain, Delivered, Delivered]),
        ("other bytes, HTTP port", Sends::Other, [HTTP; 4], [NoFilterChain, CodecError, CodecError]),
        ("silent, TCP port", Sends::Nothing, [TCP; 4], [Stalls, Stalls, Delivered]),
        ("silent, sniffed port", Sends::Nothing, [AUTO, UNDECLARED, AUTO, AUTO], [Stalls, Stalls, Stalls]),
        ("silent, HTTP port", Sends::Nothing, [HTTP; 4], [Stalls, Stalls, Stalls]),
        ("own TLS", hello("a"), [TCP, AUTO, UNDECLARED, TCP], [HandshakeFails, Delivered, Delivered]),
        ("own TLS, HTTP port", hello("a"), [HTTP; 4], [HandshakeFails, NoFilterChain, CodecError]),
    ];
    for (mode, column) in [(Strict, 0), (Permissive, 1), (Disable, 2)] {
        let mesh = enforcing(mode);
        for (row, sends, ports, expected) in &rows {
            for port in ports {
                assert_eq!(ends(&mesh, *port, sends.clone()), expected[column], "{row}, port {port}, {mode:?}");
            }
        }
    }
}

#[test]
fn own_tls_with_an_alpn_of_istio_meets_the_chain_that_wants_a_certificate() {
    let sends = Sends::Tls { sni: Known::Yes(None), alpn: smallvec!["istio".into()] };
    assert_eq!(ends(&enforcing(MtlsMode::Permissive), TCP, sends), ArrivalEnd::HandshakeFails);
}

/// The client sends mesh mTLS by a DestinationRule, whatever it believes of the other end.
fn in_mtls(mode: MtlsMode) -> Mesh {
    let mut mesh = enforcing(mode);
    mesh.headless("app/pod", &[("tcp", TCP), ("x", AUTO)], &["app/db-0"]);
    mesh.headless("app/web", &[("tcp", 9201, HTTP)], &["app/db-0"]);
    mesh.rule("app/all", "*.app.svc.cluster.local", ClientTlsMode::IstioMutual);
    mesh
}

#[test]
fn mesh_mtls_by_port_and_mode() {
    use ArrivalEnd::{CodecError, Delivered, MtlsNotTerminated, Stalls};
    let through = |mesh: &Mesh, port: u16, sends: Sends| {
        let outcome = mesh.one("app/client", &format!("10.96.0.1:{port}"), sends);
        outcome.path.arrival.map(|arrival| arrival.end)
    };
    for mode in [MtlsMode::Strict, MtlsMode::Permissive] {
        let mesh = in_mtls(mode);
        assert_eq!(through(&mesh, TCP, Sends::Other), Some(Delivered), "{mode:?}");
        assert_eq!(through(&mesh, TCP, Sends::Nothing), Some(Delivered), "{mode:?}");
        assert_eq!(through(&mesh, AUTO, Sends::Other), Some(Delivered), "{mode:?}");
        assert_eq!(through(&mesh, HTTP, http("db.app")), Some(Delivered), "{mode:?}");
    }
    let mesh = in_mtls(MtlsMode::Disable);
    assert_eq!(through(&mesh, TCP, Sends::Other), Some(MtlsNotTerminated));
    assert_eq!(through(&mesh, HTTP, http("db.app")), Some(MtlsNotTerminated));

    // A port that one Service calls TCP and an older one HTTP: the bytes inside meet the codec.
    let mut mesh = Mesh::strict();
    mesh.vip("app/old", "10.96.0.1", &[("http", HTTP)], &["app/db-0"]);
    mesh.headless("app/young", &[("tcp", HTTP)], &["app/db-0"]);
    assert_eq!(through_pod(&mesh, Sends::Other), CodecError);
    assert_eq!(through_pod(&mesh, Sends::Nothing), Stalls);
    assert_eq!(through_pod(&mesh, http("x")), Delivered);
}

#[track_caller]
fn through_pod(mesh: &Mesh, sends: Sends) -> ArrivalEnd {
    mesh.one("app/client", &format!("10.0.0.2:{HTTP}"), sends).path.arrival.expect("it arrives").end
}

#[test]
fn tls_begun_by_the_proxy_without_a_mesh_certificate_is_as_the_applications_own() {
    for (mode, port, expected) in [
        (MtlsMode::Strict, TCP, Reason::TlsWithoutMeshCertificate),
        (MtlsMode::Permissive, TCP, Reason::ServiceVipTcp),
        (MtlsMode::Permissive, HTTP, Reason::TlsToHttpPort),
        (MtlsMode::Disable, HTTP, Reason::TlsToHttpPort),
    ] {
        let mut mesh = enforcing(mode);
        mesh.rule_with("app/db", "db.app.svc.cluster.local", |rule| {
            rule.traffic_policy = Some(tracer_engine::mesh::facts::TrafficPolicy {
                tls: Some(tls(ClientTlsMode::Simple)),
                ..Default::default()
            });
        });
        let sends = if port == HTTP { http("db.app") } else { Sends::Other };
        assert_eq!(mesh.reason("app/client", &format!("10.96.0.1:{port}"), sends), expected, "{mode:?} {port}");
    }
}

#[test]
fn a_protocol_detection_timeout_ends_the_wait_of_an_inspector_but_not_of_a_codec() {
    let patient = |mode| {
        let mut mesh = enforcing(mode);
        mesh.config(|config| config.protocol_detection_timeout = std::time::Duration::from_secs(5));
        mesh
    };
    assert_eq!(ends(&patient(MtlsMode::Strict), TCP, Sends::Nothing), ArrivalEnd::NoFilterChain);
    assert_eq!(ends(&patient(MtlsMode::Permissive), AUTO, Sends::Nothing), ArrivalEnd::Delivered);
    assert_eq!(ends(&patient(MtlsMode::Permissive), HTTP, Sends::Nothing), ArrivalEnd::Stalls);
}

#[test]
fn declared_ports_are_target_ports_of_services_of_the_own_namespace() {
    let mut mesh = Mesh::new();
    mesh.peer("istio-system", MtlsMode::Disable);
    mesh.pod("app/db-0", "10.0.0.2").plain("legacy/plain", "10.0.0.9");
    mesh.service("app/hidden", ServiceKind::Headless, &[("http", 80, 8080)], &["app/db-0"], |service| {
        service.export_to = Some(tracer_engine::mesh::facts::ExportTo::Nobody);
    });
    mesh.headless("other/foreign", &[("http", 9100)], &["app/db-0"]);
    mesh.service("app/datagrams", ServiceKind::Headless, &[("http", 9400)], &["app/db-0"], |service| {
        service.ports[0].transport = Transport::Udp;
    });
    // An HTTP port does not understand other bytes; an undeclared one takes them.
    for (port, why, expected) in [
        (8080, "targetPort, hidden Services too", ArrivalEnd::CodecError),
        (80, "the Service's own number is not what arrives", ArrivalEnd::Delivered),
        (9100, "a Service of another namespace", ArrivalEnd::Delivered),
        (9400, "a UDP port", ArrivalEnd::Delivered),
    ] {
        assert_eq!(ends(&mesh, port, Sends::Other), expected, "{why}");
    }
}

#[test]
fn not_ready_endpoints_declare_too_and_of_two_protocols_the_oldest_services_wins() {
    let mut mesh = Mesh::new();
    mesh.peer("istio-system", MtlsMode::Disable);
    mesh.pod("app/db-0", "10.0.0.2").plain("legacy/plain", "10.0.0.9");
    mesh.headless("app/old", &[("http", 9000)], &["app/db-0"]);
    let mut unready = mesh.endpoint("app/db-0");
    unready.ready = false;
    mesh.slice("app/old", vec![unready], &[("http", 9000).into()]);
    mesh.headless("app/young", &[("tcp", 9000)], &["app/db-0"]);
    assert_eq!(ends(&mesh, 9000, Sends::Other), ArrivalEnd::CodecError);
}

#[test]
fn a_sidecar_with_ingress_makes_all_other_ports_undeclared() {
    let mut mesh = enforcing(MtlsMode::Disable);
    mesh.sidecar("app/in", |sidecar| {
        sidecar.ingress = vec![IngressListener {
            port: EntryPort { number: TCP, protocol: "HTTP".into(), name: "http".into(), target: None },
            default_endpoint: None,
            bind: None,
        }];
    });
    assert_eq!(ends(&mesh, TCP, Sends::Other), ArrivalEnd::CodecError, "the ingress port is HTTP");
    assert_eq!(ends(&mesh, HTTP, Sends::Other), ArrivalEnd::Delivered, "the Service's HTTP port is undeclared");
}
