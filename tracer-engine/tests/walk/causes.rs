//! Section 8: every cause of the table, under `plaintext-to-strict` and where it also holds.

use crate::mesh::{Mesh, hello, http};
use tracer_engine::mesh::facts::*;
use tracer_engine::verdict::{Cause, Reason};
use tracer_engine::walk::outcome::Sends;

#[test]
fn why_no_listener_or_virtual_host_knew_the_dialled_address() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("http", 9200), ("tcp", 7000)], &["app/db-0"]);
    mesh.vip("app/web", "10.96.0.1", &[("http", 80, 8080), ("http-b", 81, 81)], &["app/db-0"]);
    mesh.vip("other/any", "10.96.0.2", &[("http", 9999)], &[]);
    use Cause::*;
    let rows: [(&str, u16, Sends, &[Cause]); 8] = [
        ("http-named headless, Host is the ip", 9200, http("10.0.0.2:9200"), &[HttpNamedHeadlessPort, HostIsPodIp]),
        ("http-named headless, other Host", 9200, http("x"), &[HttpNamedHeadlessPort, HostUnknown]),
        ("http-named headless, other bytes", 9200, Sends::Other, &[NonHttpOnHttpNamedPort, HttpNamedHeadlessPort]),
        ("targetPort of a ClusterIP Service", 8080, Sends::Other, &[TargetPortDialled]),
        ("a ClusterIP Service alone declares nothing", 81, Sends::Other, &[NonHttpOnHttpNamedPort, PortUndeclared]),
        ("somebody else's HTTP port", 9999, http("10.0.0.2"), &[HostIsPodIp, PortUndeclared]),
        ("nobody's port", 7777, Sends::Other, &[PortUndeclared]),
        ("nobody's port, HTTP", 7777, http("10.0.0.2"), &[PortUndeclared]),
    ];
    for (row, port, sends, expected) in rows {
        let (reason, causes) = mesh.causes("app/client", &format!("10.0.0.2:{port}"), sends);
        assert_eq!((reason, &causes[..]), (Reason::PlaintextToStrict, expected), "{row}");
    }
}

#[test]
fn udp_ports_declare_nothing() {
    let mut mesh = Mesh::strict();
    mesh.service("app/db", ServiceKind::Headless, &[("udp-x", 9012), ("tcp", 53)], &["app/db-0"], |service| {
        service.ports[1].transport = Transport::Udp;
    });
    for port in [9012, 53] {
        let (_, causes) = mesh.causes("app/client", &format!("10.0.0.2:{port}"), Sends::Other);
        assert_eq!(causes, [Cause::PortUndeclared], "{port}");
    }
}

#[test]
fn the_same_causes_hold_where_it_got_through_or_never_left() {
    let causes_of = |change: fn(&mut Mesh)| {
        let mut mesh = Mesh::strict();
        change(&mut mesh);
        mesh.causes("app/client", "10.0.0.2:7777", Sends::Other)
    };
    let open = |mesh: &mut Mesh| {
        mesh.peer_for("app/open", Some("db"), MtlsMode::Permissive, &[]);
    };
    assert_eq!(causes_of(open), (Reason::Passthrough, vec![Cause::PortUndeclared]));
    assert_eq!(
        causes_of(|mesh| {
            mesh.registry_only();
        }),
        (Reason::Blackhole, vec![Cause::PortUndeclared])
    );
    let mut mesh = Mesh::strict();
    mesh.registry_only().vip("other/any", "10.96.0.2", &[("http", 9999)], &[]);
    let expected = (Reason::NoVirtualHost, vec![Cause::HostUnknown, Cause::PortUndeclared]);
    assert_eq!(mesh.causes("app/client", "10.0.0.2:9999", http("x")), expected);
}

#[test]
fn causes_of_security_come_with_plaintext_to_strict_only() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0"]).rule("app/db", "db", ClientTlsMode::Disable);
    assert_eq!(
        mesh.causes("app/client", "10.0.0.2:9000", Sends::Other),
        (Reason::PlaintextToStrict, vec![Cause::DestinationRuleDisable])
    );
    mesh.peer_for("app/open", Some("db"), MtlsMode::Permissive, &[]);
    assert_eq!(mesh.causes("app/client", "10.0.0.2:9000", Sends::Other), (Reason::HeadlessTcp, vec![]));
}

#[test]
fn a_service_entry_none_is_a_cause_where_it_got_through_too() {
    let mut mesh = Mesh::strict();
    mesh.entry("app/none", (9000, "TCP"), |entry| (entry.resolution, entry.endpoints) = (Resolution::None, Vec::new()));
    assert_eq!(
        mesh.causes("app/client", "10.0.0.2:9000", Sends::Other),
        (Reason::PlaintextToStrict, vec![Cause::ServiceEntryNone])
    );
    mesh.peer_for("app/open", Some("db"), MtlsMode::Permissive, &[]);
    assert_eq!(
        mesh.causes("app/client", "10.0.0.2:9000", Sends::Other),
        (Reason::Passthrough, vec![Cause::ServiceEntryNone])
    );
}

#[test]
fn tls_and_stalls_say_whose() {
    let mut mesh = Mesh::strict();
    mesh.vip("app/db", "10.96.0.1", &[("http", 9200), ("x", 9300)], &["app/db-0"]);
    for (from, to, sends, expected) in [
        ("app/client", "10.0.0.2:7777", hello("a"), (Reason::TlsWithoutMeshCertificate, Cause::AppTls)),
        ("app/client", "10.0.0.2:9200", Sends::Nothing, (Reason::ServerFirstStall, Cause::SourceSniffs)),
        ("app/client", "10.0.0.2:7777", Sends::Nothing, (Reason::ServerFirstStall, Cause::DestinationSniffs)),
        ("legacy/plain", "10.0.0.2:9200", Sends::Nothing, (Reason::ServerFirstStall, Cause::DestinationSniffs)),
    ] {
        let (reason, causes) = mesh.causes(from, to, sends);
        assert_eq!((reason, causes), (expected.0, vec![expected.1]), "{from} {to}");
    }
    mesh.peer_for("app/off", Some("db"), MtlsMode::Disable, &[]);
    let (reason, causes) = mesh.causes("legacy/plain", "10.0.0.2:9200", Sends::Nothing);
    assert_eq!((reason, causes), (Reason::ServerFirstStall, vec![Cause::HttpCodec]));
    mesh.rule("app/db", "db", ClientTlsMode::Simple).peer_for("app/off", Some("db"), MtlsMode::Strict, &[]);
    let (reason, causes) = mesh.causes("app/client", "10.96.0.1:9300", Sends::Other);
    assert_eq!((reason, causes), (Reason::TlsWithoutMeshCertificate, vec![Cause::DestinationRule]));
}

#[test]
fn why_mesh_mtls_was_not_terminated() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0"]);
    mesh.capture("app/db-0", |capture| capture.exclude_inbound_ports.push(9000));
    assert_eq!(
        mesh.causes("app/client", "10.0.0.2:9000", Sends::Other),
        (Reason::MtlsNotTerminated, vec![Cause::InboundPortExcluded])
    );
    mesh.headless("legacy/plain", &[("tcp", 9000)], &["legacy/plain"]).rule(
        "app/plain",
        "*.legacy.svc.cluster.local",
        ClientTlsMode::IstioMutual,
    );
    assert_eq!(
        mesh.causes("app/client", "10.0.0.9:9000", Sends::Other),
        (Reason::MtlsNotTerminated, vec![Cause::DestinationRule])
    );
}
