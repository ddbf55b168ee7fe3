//! Section 4, capture scope; S1 and D1.

use crate::mesh::{Mesh, call, http};
use tracer_engine::mesh::facts::{Capture, Enrolment, InterceptionMode, MtlsMode, Selection};
use tracer_engine::net::Ktime;
use tracer_engine::verdict::{Cause, Reason};
use tracer_engine::walk::outcome::Sends;
use tracer_engine::walk::walk;

type Change = fn(&mut Capture);

#[test]
fn outbound_exclusions_leave_the_bytes_as_they_are() {
    let rows: [(&str, Change, Option<Cause>); 8] = [
        ("-o 9000", |c| c.exclude_outbound_ports = vec![9000], Some(Cause::SourcePortExcluded)),
        ("-o 9001", |c| c.exclude_outbound_ports = vec![9001], None),
        ("-x 10.0.0.0/8", |c| c.exclude_outbound_ranges = vec![net("10.0.0.0/8")], Some(Cause::SourceRangeExcluded)),
        ("-i 172.16.0.0/12", |c| c.include_outbound_ranges = only(), Some(Cause::SourceRangeExcluded)),
        (
            "-i 172.16.0.0/12 -q 9000",
            |c| {
                c.include_outbound_ranges = only();
                c.include_outbound_ports = vec![9000];
            },
            None,
        ),
        (
            "-x before -q",
            |c| {
                c.exclude_outbound_ranges = vec![net("10.0.0.2/32")];
                c.include_outbound_ports = vec![9000];
            },
            Some(Cause::SourceRangeExcluded),
        ),
        (
            "-o before -x",
            |c| {
                c.exclude_outbound_ports = vec![9000];
                c.exclude_outbound_ranges = vec![net("10.0.0.0/8")];
            },
            Some(Cause::SourcePortExcluded),
        ),
        ("interceptionMode NONE", |c| c.mode = InterceptionMode::None, Some(Cause::SourceNotInMesh)),
    ];
    for (row, change, expected) in rows {
        let mut mesh = Mesh::strict();
        mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0"]).capture("app/client", change);
        let (reason, causes) = mesh.causes("app/client", "10.0.0.2:9000", Sends::Other);
        match expected {
            Some(cause) => assert_eq!((reason, causes), (Reason::PlaintextToStrict, vec![cause]), "{row}"),
            None => assert_eq!(reason, Reason::HeadlessTcp, "{row}"),
        }
    }
}

#[test]
fn the_proxys_own_uid_is_never_captured() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0"]);
    let asked =
        tracer_engine::walk::outcome::Call { uid: Some(1337), ..call("app/client", "10.0.0.2:9000", Sends::Other) };
    let outcome = walk(&mesh.index, &asked, Ktime(2)).remove(0);
    assert_eq!((outcome.reason, outcome.causes[0]), (Reason::PlaintextToStrict, Cause::ProxyUid));
    assert!(!outcome.path.captured);
}

#[test]
fn the_own_ip_comes_before_every_other_rule() {
    let mut mesh = Mesh::strict();
    mesh.registry_only();
    mesh.capture("app/client", |c| c.exclude_outbound_ports = vec![80]);
    assert_eq!(mesh.reason("app/client", "10.0.0.1:80", http("x")), Reason::Own);
    assert_eq!(mesh.reason("legacy/plain", "10.0.0.9:80", http("x")), Reason::Own);
}

#[test]
fn host_network_pods_and_gateways_are_not_captured() {
    let mut mesh = Mesh::strict();
    mesh.pod_with("app/on-node", "192.168.0.1", |pod| pod.host_network = true);
    mesh.pod_with("app/gateway", "10.0.0.7", |pod| pod.enrolment = Enrolment::Gateway.into());
    for from in ["app/on-node", "app/gateway", "legacy/plain", "172.31.0.1"] {
        let (reason, causes) = mesh.causes(from, "10.0.0.2:9000", Sends::Other);
        assert_eq!((reason, causes), (Reason::PlaintextToStrict, vec![Cause::SourceNotInMesh]), "{from}");
    }
    // As destinations they take what comes.
    for to in ["192.168.0.1:80", "10.0.0.7:80"] {
        assert_eq!(mesh.reason("app/client", to, http("x")), Reason::Passthrough, "{to}");
    }
}

#[test]
fn inbound_exclusions_hand_plaintext_to_the_application() {
    let rows: [(&str, Change, u16, bool); 8] = [
        ("-d 9000", |c| c.exclude_inbound_ports.push(9000), 9000, false),
        ("-b *", |_| {}, 9000, true),
        ("-b 80", |c| c.include_inbound_ports = Selection::Only(vec![80]), 9000, false),
        (
            "-b 9000 -d 9000: excludes count only with *",
            |c| {
                c.include_inbound_ports = Selection::Only(vec![9000]);
                c.exclude_inbound_ports = vec![9000];
            },
            9000,
            true,
        ),
        ("15090", |_| {}, 15090, false),
        ("15021", |_| {}, 15021, false),
        ("15020", |c| c.exclude_inbound_ports.clear(), 15020, false),
        ("15008", |_| {}, 15008, false),
    ];
    for (row, change, port, captured) in rows {
        let mut mesh = Mesh::strict();
        mesh.capture("app/db-0", change);
        let outcome = mesh.one("legacy/plain", &format!("10.0.0.2:{port}"), http("x"));
        assert_eq!(outcome.path.arrival.map(|arrival| arrival.captured), Some(captured), "{row}");
        let expected = if captured { Reason::PlaintextToStrict } else { Reason::SourceUncaptured };
        assert_eq!(outcome.reason, expected, "{row}");
    }
}

#[test]
fn between_two_pods_outside_the_mesh_nothing_is_said_of_it() {
    let mut mesh = Mesh::strict();
    mesh.plain("legacy/other", "10.0.0.10");
    assert_eq!(mesh.reason("legacy/plain", "10.0.0.10:80", http("x")), Reason::NotInMesh);
    mesh.peer_for("app/open", Some("db"), MtlsMode::Permissive, &[]);
    assert_eq!(mesh.reason("legacy/plain", "10.0.0.2:80", http("x")), Reason::SourceUncaptured);
}

#[test]
fn ipv6_is_as_ipv4() {
    let mut mesh = Mesh::new();
    mesh.peer("istio-system", MtlsMode::Strict);
    mesh.pod("app/client", "fd00::1").pod("app/db-0", "fd00::2").headless("app/db", &[("x", 9300)], &["app/db-0"]);
    mesh.vip("app/web", "fd01::1", &[("http", 80)], &["app/db-0"]);
    assert_eq!(mesh.reason("app/client", "[fd00::2]:9300", http("any")), Reason::AnyHost);
    assert_eq!(mesh.reason("app/client", "[fd00::2]:80", http("[fd00::2]:80")), Reason::PlaintextToStrict);
    assert_eq!(mesh.causes("app/client", "[fd00::2]:80", http("[fd00::2]")).1[0], Cause::HostIsPodIp);
    assert_eq!(mesh.reason("app/client", "[fd01::1]:80", http("[fd01::1]")), Reason::ServiceVip);
    mesh.capture("app/client", |c| c.exclude_outbound_ranges = vec![net("fd00::/64")]);
    assert_eq!(mesh.causes("app/client", "[fd00::2]:9300", http("x")).1, [Cause::SourceRangeExcluded]);
}

fn net(range: &str) -> ipnet::IpNet {
    range.parse().expect("a range")
}

fn only() -> Selection<ipnet::IpNet> {
    Selection::Only(vec![net("172.16.0.0/12")])
}
