//! Section 5, S2 and S3: which listener takes a connection, and what it waits for.

use crate::mesh::{Mesh, hello, http, key, to};
use tracer_engine::mesh::facts::*;
use tracer_engine::verdict::Reason;
use tracer_engine::walk::outcome::{HopBytes, HopTarget, Sends};

#[test]
fn exact_ip_headless_tcp_and_auto() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("tcp", 9000), ("x", 9300)], &["app/db-0"]);
    for (port, sends, expected) in [
        (9000, Sends::Other, Reason::HeadlessTcp),
        (9000, http("x"), Reason::HeadlessTcp),
        (9000, Sends::Nothing, Reason::HeadlessTcp),
        (9300, http("x"), Reason::AnyHost),
        (9300, Sends::Other, Reason::HeadlessTcp),
        (9300, hello("a"), Reason::HeadlessTcp),
        (9300, Sends::Nothing, Reason::ServerFirstStall),
    ] {
        assert_eq!(mesh.reason("app/client", &format!("10.0.0.2:{port}"), sends), expected, "{port}");
    }
}

#[test]
fn not_ready_and_terminating_endpoints_keep_their_listeners() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0"]);
    let mut leaving = mesh.endpoint("app/db-0");
    leaving.ready = false;
    mesh.slice("app/db", vec![leaving], &[("tcp", 9000).into()]);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Other), Reason::HeadlessTcp);
}

#[test]
fn listeners_key_on_the_service_port_and_never_on_the_target_port() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("tcp", 7000, 7001)], &["app/db-0"]);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:7000", Sends::Other), Reason::HeadlessTcp);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:7001", Sends::Other), Reason::PlaintextToStrict);
}

#[test]
fn vips_of_tcp_and_auto_ports_are_exact_and_say_nothing_of_pod_ips() {
    let mut mesh = Mesh::strict();
    mesh.vip("app/db", "10.96.0.1", &[("tcp", 9000), ("x", 9300)], &["app/db-0"]);
    assert_eq!(mesh.reason("app/client", "10.96.0.1:9000", Sends::Other), Reason::ServiceVipTcp);
    assert_eq!(mesh.reason("app/client", "10.96.0.1:9300", Sends::Other), Reason::ServiceVipTcp);
    assert_eq!(mesh.reason("app/client", "10.96.0.1:9300", http("anything")), Reason::ServiceVip);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Other), Reason::PlaintextToStrict);
}

#[test]
fn any_http_port_in_sight_takes_every_ip_of_its_number() {
    let mut mesh = Mesh::strict();
    mesh.pod("other/web-0", "10.0.0.3").vip("other/web", "10.96.0.9", &[("http", 9000)], &["other/web-0"]);
    // db-0 has nothing to do with that Service, but the listener sniffs for it too.
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Nothing), Reason::ServerFirstStall);
    let outcome = mesh.one("app/client", "10.0.0.2:9000", Sends::Other);
    assert!(outcome.path.source_sniffs && !outcome.path.http_chain);
}

#[test]
fn without_a_listener_the_outbound_policy_decides() {
    let mut mesh = Mesh::strict();
    mesh.peer_for("app/open", Some("db"), MtlsMode::Permissive, &[]);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:7777", Sends::Other), Reason::Passthrough);
    mesh.registry_only();
    for sends in [Sends::Other, Sends::Nothing, http("x"), hello("a")] {
        assert_eq!(mesh.reason("app/client", "10.0.0.2:7777", sends), Reason::Blackhole);
    }
}

#[test]
fn an_address_less_tcp_service_entry_takes_over_every_ip_on_its_port() {
    let mut mesh = Mesh::strict();
    mesh.entry("app/db", (9000, "TCP"), |_| {});
    for sends in [Sends::Other, Sends::Nothing, http("x")] {
        let outcome = mesh.one("app/client", "10.0.0.2:9000", sends);
        assert_eq!(outcome.reason, Reason::ServiceEntryTakeover);
        let hop = outcome.path.hop.expect("it goes on");
        assert!(matches!(&hop.to, HopTarget::OneOf(at) if at[0].to_string() == "10.9.9.9:9000"), "{hop:?}");
    }
}

#[test]
fn a_service_entry_with_resolution_none_keeps_the_dialled_ip_in_plaintext() {
    let mut mesh = Mesh::strict();
    mesh.entry("app/none", (9000, "TCP"), |entry| {
        entry.resolution = Resolution::None;
        entry.endpoints.clear();
    });
    let outcome = mesh.one("app/client", "10.0.0.2:9000", Sends::Other);
    assert_eq!(outcome.reason, Reason::PlaintextToStrict);
    let hop = outcome.path.hop.expect("it goes on");
    assert_eq!(hop.begins, HopBytes::AsSent);
    assert_eq!(hop.cluster.expect("a cluster").host, "none.ext");
    mesh.peer_for("app/open", Some("db"), MtlsMode::Permissive, &[]);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Other), Reason::Passthrough);
}

#[test]
fn a_headless_listener_wins_over_address_less_and_cidr_service_entries() {
    for addresses in [vec![], vec!["10.0.0.0/24".parse().unwrap()]] {
        let mut mesh = Mesh::strict();
        mesh.entry("app/wide", (9000, "TCP"), |entry| entry.addresses.clone_from(&addresses));
        assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Other), Reason::ServiceEntryTakeover);
        mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0"]);
        assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Other), Reason::HeadlessTcp);
    }
}

#[test]
fn a_service_entry_with_the_pods_address_takes_it_over() {
    let mut mesh = Mesh::strict();
    mesh.entry("app/addr", (9000, "TCP"), |entry| entry.addresses = vec!["10.0.0.2/32".parse().unwrap()]);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Other), Reason::ServiceEntryTakeover);
    assert_eq!(mesh.reason("app/client", "10.0.0.1:9000", Sends::Other), Reason::Own);
}

#[test]
fn http_beside_address_less_tcp_makes_the_listener_sniff() {
    let mut mesh = Mesh::strict();
    mesh.entry("app/both", (9000, "TCP"), |_| {});
    mesh.vip("app/web", "10.96.0.1", &[("http", 9000)], &["app/db-0"]);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Other), Reason::ServiceEntryTakeover);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Nothing), Reason::ServerFirstStall);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", http("web.app")), Reason::HostBalanced);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", http("x")), Reason::PlaintextToStrict);
}

#[test]
fn mongo_and_mysql_share_a_listener_with_nobody() {
    let mut mesh = Mesh::strict();
    mesh.entry("app/first", (9000, "MONGO"), |_| {});
    mesh.vip("app/web", "10.96.0.1", &[("http", 9000)], &["app/db-0"]);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Nothing), Reason::ServiceEntryTakeover);
}

#[test]
fn an_address_less_tls_service_entry_takes_its_own_sni_only() {
    let mut mesh = Mesh::strict();
    mesh.entry("app/tls", (8443, "TLS"), |_| {});
    assert_eq!(mesh.reason("app/client", "10.0.0.2:8443", hello("tls.ext")), Reason::ServiceEntryTakeover);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:8443", hello("other.ext")), Reason::TlsWithoutMeshCertificate);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:8443", Sends::Other), Reason::PlaintextToStrict);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:8443", Sends::Nothing), Reason::ServerFirstStall);
}

#[test]
fn of_two_services_on_one_address_tcp_takes_the_older_and_http_the_auto_one() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/old", &[("tcp", 9000)], &["app/db-0"]).headless("app/auto", &[("x", 9000)], &["app/db-0"]);
    let chosen =
        |sends| mesh.one("app/client", "10.0.0.2:9000", sends).path.hop.and_then(|hop| hop.cluster).map(|c| c.host);
    assert_eq!(chosen(Sends::Other).as_deref(), Some("old.app.svc.cluster.local"));
    assert_eq!(chosen(http("x")).as_deref(), Some("auto.app.svc.cluster.local"));
    mesh.vip("app/web", "10.96.0.1", &[("http", 9000)], &["app/db-0"]);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", http("web.app")), Reason::AnyHost, "the exact ip wins");
}

#[test]
fn an_http_proxy_port_has_no_inspector() {
    let mut mesh = Mesh::strict();
    mesh.service("app/db", ServiceKind::Headless, &[("x", 9028)], &["app/db-0"], |service| {
        service.ports[0].app_protocol = Some("http_proxy".into());
    });
    let outcome = mesh.one("app/client", "10.0.0.2:9028", Sends::Other);
    assert_eq!((outcome.reason, outcome.path.proxy_answers), (Reason::NotHttpOnHttpPort, Some(400)));
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9028", Sends::Nothing), Reason::ServerFirstStall);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9028", http("db.app")), Reason::HostMatched);
}

#[test]
fn a_protocol_detection_timeout_lets_a_silent_client_through_as_tcp() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("x", 9300)], &["app/db-0"]);
    mesh.config(|config| config.protocol_detection_timeout = std::time::Duration::from_secs(1));
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9300", Sends::Nothing), Reason::HeadlessTcp);
}

#[test]
fn ports_of_the_proxys_own_listeners_belong_to_no_service() {
    let mut mesh = Mesh::strict();
    mesh.vip("app/web", "10.96.0.1", &[("http", 15021)], &["app/db-0"]);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:15021", Sends::Nothing), Reason::Passthrough);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:15001", Sends::Other), Reason::Blackhole);
}

#[test]
fn a_virtual_service_tcp_route_leads_elsewhere() {
    let mut mesh = Mesh::strict();
    mesh.pod("app/c-0", "10.0.0.3").vip("app/c", "10.96.0.3", &[("tcp", 8090)], &["app/c-0"]);
    mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0"]);
    let led = |matches| L4Route { matches, route: vec![to("c", Some(8090))] };
    mesh.virtual_service("app/db", &["db.app.svc.cluster.local"], |service| service.tcp = vec![led(Vec::new())]);
    let outcome = mesh.one("app/client", "10.0.0.2:9000", Sends::Other);
    assert_eq!(outcome.reason, Reason::VirtualServiceTcp);
    assert!(
        matches!(outcome.path.hop.expect("a hop").to, HopTarget::OneOf(at) if at[0].to_string() == "10.0.0.3:8090")
    );
    // A match that this source or port does not meet changes nothing.
    for matched in [
        L4Match { port: Some(1), ..L4Match::default() },
        L4Match { source_namespace: Some("other".into()), ..L4Match::default() },
        L4Match { gateways: vec!["ingress".into()], ..L4Match::default() },
    ] {
        mesh.virtual_service("app/db", &["db.app.svc.cluster.local"], |service| service.tcp = vec![led(vec![matched])]);
        assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Other), Reason::HeadlessTcp);
    }
}

#[test]
fn a_virtual_service_tls_route_goes_by_sni() {
    let mut mesh = Mesh::strict();
    mesh.pod("app/c-0", "10.0.0.3").vip("app/c", "10.96.0.3", &[("tcp", 8443)], &["app/c-0"]);
    mesh.headless("app/db", &[("tls", 8443)], &["app/db-0"]);
    let matched = L4Match { sni_hosts: vec!["*.example.com".into()], ..L4Match::default() };
    mesh.virtual_service("app/db", &["db"], |service| {
        service.tls = vec![L4Route { matches: vec![matched], route: vec![to("c", None)] }];
    });
    assert_eq!(mesh.reason("app/client", "10.0.0.2:8443", hello("a.example.com")), Reason::VirtualServiceTcp);
    // Nothing else is left on that listener: the catch-all.
    assert_eq!(mesh.reason("app/client", "10.0.0.2:8443", hello("b.org")), Reason::TlsWithoutMeshCertificate);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:8443", Sends::Nothing), Reason::ServerFirstStall);
}

#[test]
fn a_sidecars_egress_listener_with_a_port_stands_before_the_one_for_all_ports() {
    let mut mesh = Mesh::strict();
    mesh.pod("app/c-0", "10.0.0.3").headless("app/c", &[("tcp", 9000)], &["app/c-0"]);
    let listener = |port: Option<u16>, hosts: &[&str]| EgressListener {
        port: port.map(|number| EntryPort { number, protocol: "TCP".into(), name: "p".into(), target: None }),
        bind: None,
        hosts: hosts.iter().map(|host| (*host).into()).collect(),
    };
    mesh.sidecar("app/out", |sidecar| {
        sidecar.key = key("app/out");
        sidecar.egress = vec![listener(Some(9000), &["./c.app.svc.cluster.local"])];
    });
    // A headless Service on such a listener takes every ip of the port; its cluster keeps the dialled one.
    let outcome = mesh.one("app/client", "10.0.0.2:9000", Sends::Other);
    assert_eq!(
        outcome.path.hop.and_then(|hop| hop.cluster).map(|c| c.host).as_deref(),
        Some("c.app.svc.cluster.local")
    );
    assert_eq!(mesh.reason("app/client", "10.0.0.3:9001", Sends::Other), Reason::PlaintextToStrict);
}

#[test]
fn a_listener_of_its_own_has_no_routes_where_a_sidecar_gave_its_port_to_others() {
    let mut mesh = Mesh::strict();
    mesh.pod("app/c-0", "10.0.0.3").vip("app/c", "10.96.0.3", &[("tcp", 9300)], &["app/c-0"]);
    mesh.headless("app/db", &[("x", 9300)], &["app/db-0"]);
    let egress = |port: Option<u16>, host: &str| EgressListener {
        port: port.map(|number| EntryPort { number, protocol: "TCP".into(), name: "p".into(), target: None }),
        bind: None,
        hosts: vec![host.into()],
    };
    mesh.sidecar("app/out", |sidecar| {
        sidecar.egress = vec![egress(Some(9300), "./c.app.svc.cluster.local"), egress(None, "./*")];
    });
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9300", http("x")), Reason::NoRoute);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9300", Sends::Other), Reason::HeadlessTcp);
}
