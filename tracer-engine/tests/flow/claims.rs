//! From what a proxy accepted to what it opened: joined right, or not at all.

use crate::cluster::{Cluster, ip};
use crate::lab::{Lab, endpoint, flows, run};
use crate::wire::{By, Conn, says};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;
use tracer_engine::mesh::facts::MtlsMode;
use tracer_engine::net::Endpoint;
use tracer_engine::record::{FlowRecord, LegKind, Record, Reporter};
use tracer_engine::verdict::Reason;

const FROM: &str = "search/es-0";
const AT: &str = "search/es-1";
const TO: &str = "10.244.1.21:9300";

fn mesh(mode: MtlsMode) -> Lab {
    Lab::new(
        Cluster::new(&["istio-system", "search"])
            .sidecar(FROM, "10.244.1.20")
            .sidecar(AT, "10.244.1.21")
            .headless("search/es", &[("es-0", "10.244.1.20"), ("es-1", "10.244.1.21")], &[("tcp-repl", 9400, 9400)])
            .mtls(mode),
    )
}

/// Which port each application's connection really went out from.
type Truth = BTreeMap<Endpoint, Endpoint>;

/// `calls` at once through four workers, which pick up what was accepted in no order that the kernel shows.
fn storm(lab: &mut Lab, calls: u32, spread: Duration) -> Truth {
    let mut truth = Truth::new();
    let mut waiting: Vec<(u32, Conn)> = Vec::new();
    let dial_on = |lab: &mut Lab, waiting: &mut Vec<(u32, Conn)>, truth: &mut Truth| {
        let pick = (waiting.len() * 7 + 3) % waiting.len();
        let (call, mut app) = waiting.remove(pick);
        let mut up = lab.upstream_by(FROM, TO, AT, call % 4);
        truth.insert(app.client.local, up.client.local);
        lab.relay(&mut [&mut app, &mut up], By::Client, &says::OTHER);
        let mut local = lab.local(AT, 9300);
        lab.wire.says(&mut local, By::Client, &says::OTHER);
        lab.relay(&mut [&mut local, &mut up, &mut app], By::Server, &says::OTHER);
        for conn in [&app, &up, &local] {
            lab.wire.fin(conn, By::Client);
        }
    };
    for call in 0..calls {
        waiting.push((call, lab.captured(FROM, TO)));
        lab.wire.pass(spread);
        if call % 3 == 2 {
            dial_on(lab, &mut waiting, &mut truth);
        }
    }
    while !waiting.is_empty() {
        dial_on(lab, &mut waiting, &mut truth);
    }
    truth
}

fn upstream_of(flow: &FlowRecord) -> Vec<Endpoint> {
    flow.legs.iter().filter(|leg| leg.kind == LegKind::Upstream).map(|leg| leg.client).collect()
}

fn app_of(flow: &FlowRecord) -> Endpoint {
    Endpoint::new(flow.client.ip, flow.client.port)
}

/// No flow has another's leg, and none that is sure of its legs lacks its own.
fn never_wrong(records: &[Record], truth: &Truth) -> usize {
    let flows = flows(records);
    assert_eq!(flows.len(), truth.len(), "each call once");
    for flow in &flows {
        let own = truth[&app_of(flow)];
        let joined = upstream_of(flow);
        assert!(joined.iter().all(|leg| *leg == own), "another call's leg: {flow:#?}");
        assert!(flow.legs_ambiguous || !joined.is_empty(), "no leg and no doubt: {flow:#?}");
        assert_eq!(flow.verdict.reason, Some(Reason::Passthrough));
        assert_eq!(flow.reporter, Reporter::Source);
    }
    flows.iter().filter(|flow| !flow.legs_ambiguous).count()
}

#[test]
fn fifty_calls_at_once_through_four_workers_are_never_joined_wrong() {
    let mut lab = mesh(MtlsMode::Permissive);
    let truth = storm(&mut lab, 50, Duration::from_micros(10));
    never_wrong(&lab.seen_by_all(), &truth);
    never_wrong(&lab.seen_by(&[FROM]), &truth);
}

#[test]
fn calls_one_after_the_other_are_all_joined() {
    let mut lab = mesh(MtlsMode::Permissive);
    let mut truth = Truth::new();
    for _ in 0..50 {
        truth.extend(storm(&mut lab, 1, Duration::from_millis(1)));
    }
    assert_eq!(never_wrong(&lab.seen_by_all(), &truth), 50);
}

#[test]
fn redirect_may_change_the_port_of_every_captured_leg() {
    // Two destinations from one ephemeral port: on 127.0.0.1:15001 they would be one address.
    let mut lab = mesh(MtlsMode::Strict);
    let app = lab.app(FROM);
    let one_port = Endpoint::new(app.ip, 43_000);
    let mut expected = BTreeSet::new();
    for (to, seen_as) in [("10.244.1.21:9300", 43_000), ("10.244.1.21:9600", 2_714)] {
        let mut conn = lab.wire.dial_from(app, one_port, crate::lab::endpoint(to));
        let proxy = lab.proxy(FROM, 0);
        let capture = Endpoint::new(IpAddr::from([127, 0, 0, 1]), 15001);
        lab.wire.accept(&mut conn, proxy, capture, Endpoint::new(app.ip, seen_as));
        let mut up = lab.upstream(FROM, to, AT);
        lab.relay(&mut [&mut conn, &mut up], By::Client, &says::OTHER);
        lab.wire.reset(&up, By::Server);
        lab.wire.reset(&conn, By::Server);
        expected.insert((crate::lab::endpoint(to), seen_as));
    }
    let records = lab.seen_by(&[FROM]);
    let captures = flows(&records).into_iter().flat_map(|flow| {
        let dialled = Endpoint::new(flow.server.ip, flow.server.port);
        let captures = flow.legs.iter().filter(|leg| leg.kind == LegKind::Capture);
        captures.map(move |leg| (dialled, leg.client.port))
    });
    assert_eq!(captures.collect::<BTreeSet<_>>(), expected);
}

#[test]
fn without_a_handshake_the_translated_addresses_join() {
    let mut lab = mesh(MtlsMode::Strict);
    let app = lab.app(FROM);
    let mut conn = lab.wire.dial(app, crate::lab::endpoint(TO));
    conn.handshake = None;
    let (proxy, from) = (lab.proxy(FROM, 0), conn.client.local);
    lab.wire.accept(&mut conn, proxy, Endpoint::new(IpAddr::from([127, 0, 0, 1]), 15001), from);
    lab.wire.says(&mut conn, By::Client, &says::OTHER);
    lab.wire.reset(&conn, By::Server);
    let records = lab.seen_by(&[FROM]);
    let flows = flows(&records);
    assert_eq!(flows.len(), 1);
    assert!(flows[0].legs.iter().any(|leg| leg.kind == LegKind::Capture), "{:#?}", flows[0]);
}

#[test]
fn an_sni_of_another_service_undoes_the_claim() {
    let mut lab = mesh(MtlsMode::Strict);
    let mut app = lab.captured(FROM, "10.244.1.21:9400");
    let mut up = lab.upstream(FROM, "10.244.1.21:9400", AT);
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls("other.search.svc.cluster.local", 9400));
    lab.wire.reset(&up, By::Server);
    lab.wire.reset(&app, By::Server);
    let records = lab.seen_by(&[FROM]);
    let flows = flows(&records);
    assert_eq!(flows.len(), 1, "{flows:#?}");
    assert!(flows[0].legs_ambiguous && upstream_of(flows[0]).is_empty(), "{:#?}", flows[0]);
}

#[test]
fn a_silent_capture_claims_nothing_on_a_sniffing_chain() {
    let mut lab = Lab::new(
        Cluster::new(&["istio-system", "search"])
            .sidecar(FROM, "10.244.1.20")
            .sidecar(AT, "10.244.1.21")
            .headless("search/es", &[("es-0", "10.244.1.20"), ("es-1", "10.244.1.21")], &[("metrics", 9300, 9300)])
            .mtls(MtlsMode::Strict),
    );
    let silent = lab.captured(FROM, TO);
    let mut app = lab.captured(FROM, TO);
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    let mut up = lab.upstream(FROM, TO, AT);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls("es.search.svc.cluster.local", 9300));
    lab.wire.says(&mut app, By::Server, &says::OTHER);
    lab.wire.pass(Duration::from_secs(6));
    for conn in [&app, &up, &silent] {
        lab.wire.fin(conn, By::Client);
    }
    let records = run(&lab.cluster, lab.wire.events.clone());
    let told: BTreeMap<_, _> = flows(&records).into_iter().map(|flow| (app_of(flow), flow)).collect();
    assert_eq!(upstream_of(told[&app.client.local]), [up.client.local]);
    assert!(!told[&app.client.local].legs_ambiguous);
    assert_eq!(told[&silent.client.local].verdict.reason, Some(Reason::ServerFirstStall));
}

/// A pooled connection and a new one share the client's address: it names neither.
#[test]
fn trap_14_one_client_port_towards_two_destinations_is_two_connections() {
    let mut lab = Lab::new(
        Cluster::new(&["istio-system", "search"])
            .sidecar(FROM, "10.244.1.20")
            .sidecar(AT, "10.244.1.21")
            .sidecar("search/es-2", "10.244.1.22")
            .headless("search/es", &[("es-1", "10.244.1.21"), ("es-2", "10.244.1.22")], &[("tcp-repl", 9400, 9400)])
            .mtls(MtlsMode::Strict),
    );
    let (app, from) = (lab.app(FROM), Endpoint::new(lab.app(FROM).ip, 40_000));
    let mut legs = ["10.244.1.21:9400", "10.244.1.22:9400"].map(|to| lab.wire.dial_from(app, from, endpoint(to)));
    for (leg, seen_as) in legs.iter_mut().zip([40_000, 40_001]) {
        let proxy = lab.proxy(FROM, 0);
        let capture = Endpoint::new(std::net::Ipv4Addr::LOCALHOST.into(), 15001);
        lab.wire.accept(leg, proxy, capture, Endpoint::new(from.ip, seen_as));
    }
    for (leg, (to, at)) in legs.iter_mut().zip([("10.244.1.21:9400", AT), ("10.244.1.22:9400", "search/es-2")]) {
        let mut up = lab.upstream(FROM, to, at);
        lab.wire.says(leg, By::Client, &says::OTHER);
        lab.wire.says(&mut up, By::Client, &says::mesh_tls("es.search.svc.cluster.local", 9400));
        lab.wire.says(leg, By::Server, &says::OTHER);
    }
    let records = lab.seen_by(&[FROM]);
    let told: Vec<_> = flows(&records).into_iter().map(|flow| (flow.server.ip, flow.verdict.reason)).collect();
    let through = Some(Reason::HeadlessTcp);
    assert_eq!(told, [(ip("10.244.1.21"), through), (ip("10.244.1.22"), through)]);
}
