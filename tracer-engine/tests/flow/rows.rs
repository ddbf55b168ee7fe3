//! Section 8, the rows that no configuration foresees: each as the wire shows it. The others are in `tests/walk/rows.rs`.

use crate::cluster::Cluster;
use crate::drops::dropped_syn;
use crate::lab::{Lab, endpoint, flows};
use crate::wire::{By, says};
use std::collections::BTreeSet;
use std::time::Duration;
use tracer_engine::input::Input;
use tracer_engine::mesh::facts::{Delta, Fact, MtlsMode};
use tracer_engine::net::Ktime;
use tracer_engine::record::Record;
use tracer_engine::socket::{ConnectError, Unreachable};
use tracer_engine::verdict::{Cause, Reason, rows};
use tracer_engine::{Config, Engine};

const FROM: &str = "shop/web-0";
const PLAIN: &str = "shop/plain-0";
const AT: &str = "search/es-0";

fn cluster() -> Cluster {
    Cluster::new(&["istio-system", "search", "shop"])
        .sidecar(FROM, "10.244.1.40")
        .plain(PLAIN, "10.244.1.41")
        .sidecar(AT, "10.244.1.20")
        .headless("search/es", &[("es-0", "10.244.1.20")], &[("tcp-x", 9400, 9400)])
        .mtls(MtlsMode::Strict)
}

fn lab() -> Lab {
    Lab::new(cluster())
}

/// An application without a proxy dials an address that is no pod's.
fn fails(error: ConnectError) -> Vec<Record> {
    let mut lab = lab();
    let app = lab.dial(PLAIN, "203.0.113.7:9400");
    lab.wire.pass(Duration::from_secs(3));
    lab.wire.fails(&app, error);
    lab.seen_by(&[PLAIN])
}

fn closed_without_a_byte() -> Vec<Record> {
    let mut lab = lab();
    let app = lab.captured(FROM, "10.244.1.20:9400");
    let up = lab.upstream(FROM, "10.244.1.20:9400", AT);
    lab.wire.fin(&app, By::Client);
    lab.wire.fin(&up, By::Client);
    lab.seen_by_all()
}

/// By the destination's proxy, after the handshake and before a byte: it dials the application first.
fn denied_on_a_tcp_chain() -> Vec<Record> {
    let mut lab = Lab::new(cluster().authorization("search/deny"));
    let mut app = lab.captured(FROM, "10.244.1.20:9400");
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    let mut up = lab.upstream(FROM, "10.244.1.20:9400", AT);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls("es.search.svc.cluster.local", 9400));
    lab.wire.says(&mut up, By::Server, &says::SERVER_HELLO);
    let local = lab.local(AT, 9400);
    lab.wire.fin(&local, By::Client);
    lab.wire.fin(&up, By::Server);
    lab.wire.fin(&app, By::Server);
    lab.seen_by_all()
}

fn nobody_listens() -> Vec<Record> {
    let mut lab = lab();
    let mut app = lab.captured(FROM, "10.244.1.20:9400");
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    let mut up = lab.upstream(FROM, "10.244.1.20:9400", AT);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls("es.search.svc.cluster.local", 9400));
    lab.wire.says(&mut up, By::Server, &says::SERVER_HELLO);
    lab.local_refused(AT, 9400);
    lab.wire.reset(&up, By::Server);
    lab.wire.fin(&app, By::Server);
    lab.seen_by_all()
}

fn a_certificate_of_its_own() -> Vec<Record> {
    let mut lab = lab();
    let mut app = lab.dial(PLAIN, "10.244.1.20:9400");
    lab.arrive(&mut app, AT);
    lab.wire.says(&mut app, By::Client, &says::mesh_tls("es.search.svc.cluster.local", 9400));
    lab.wire.says(&mut app, By::Server, &says::SERVER_HELLO);
    lab.wire.says(&mut app, By::Server, &says::OTHER);
    lab.wire.fin(&app, By::Client);
    lab.seen_by(&[PLAIN])
}

/// STRICT by the facts, and yet an application answered plaintext.
fn plaintext_was_answered() -> Vec<Record> {
    let mut lab = lab();
    let mut app = lab.captured(FROM, "10.244.1.20:9999");
    let mut up = lab.upstream(FROM, "10.244.1.20:9999", AT);
    lab.relay(&mut [&mut app, &mut up], By::Client, &says::OTHER);
    lab.relay(&mut [&mut up, &mut app], By::Server, &says::OTHER);
    lab.wire.fin(&app, By::Client);
    lab.seen_by(&[FROM])
}

type Row = (Reason, Option<Cause>, fn() -> Vec<Record>);

const ROWS: [Row; 11] = [
    (Reason::NoPayload, None, closed_without_a_byte),
    (Reason::AuthorizationDenied, None, denied_on_a_tcp_chain),
    (Reason::AppNotListening, None, nobody_listens),
    (Reason::Refused, None, || fails(ConnectError::Refused)),
    (Reason::TimedOut, None, || fails(ConnectError::TimedOut)),
    (Reason::Unreachable, None, || fails(ConnectError::Unreachable(Unreachable::Host))),
    (Reason::Abandoned, None, || fails(ConnectError::Abandoned)),
    (Reason::Abandoned, Some(Cause::NoLocalPort), || fails(ConnectError::NoLocalPort)),
    (Reason::Dropped, None, dropped_syn),
    (Reason::AppMtls, None, a_certificate_of_its_own),
    (Reason::FactsContradictEvidence, None, plaintext_was_answered),
];

#[test]
fn each_row_is_what_the_wire_shows() {
    for (reason, cause, records) in ROWS {
        let records = records();
        let told = flows(&records);
        assert!(told.iter().any(|flow| flow.verdict.reason == Some(reason)), "{reason}: {told:#?}");
        for flow in told.iter().filter(|flow| flow.verdict.reason.is_some()) {
            assert_eq!((flow.verdict.reason, flow.verdict.cause()), (Some(reason), cause), "{flow:#?}");
        }
    }
}

/// As `OBSERVED` in `tests/walk/rows.rs`.
#[test]
fn no_observed_row_is_left_out() {
    let covered: BTreeSet<_> = ROWS.iter().map(|(reason, cause, _)| (*reason, *cause)).collect();
    assert_eq!(covered.len(), ROWS.len());
    for (reason, cause) in covered {
        assert!(rows().any(|(r, c, _)| (r, c) == (reason, cause)), "{reason} {cause:?} has no text");
    }
}

/// No configuration foresees it: the request itself was of no use to a proxy, which said so and went no further.
#[test]
fn a_request_that_a_proxy_does_not_take() {
    let cluster = cluster().headless("search/web", &[("es-0", "10.244.1.20")], &[("http", 9200, 9200)]);
    for status in [400, 431] {
        let mut lab = Lab::new(cluster.clone());
        let mut app = lab.captured(FROM, "10.244.1.20:9200");
        lab.wire.says(&mut app, By::Client, &says::http("web.search"));
        lab.wire.says(&mut app, By::Server, &says::own_answer(status));
        lab.wire.fin(&app, By::Server);
        let records = lab.seen_by(&[FROM]);
        let [flow] = flows(&records)[..] else { panic!("{records:#?}") };
        let named = (flow.verdict.reason, flow.verdict.cause());
        assert_eq!(named, (Some(Reason::NotHttpOnHttpPort), Some(Cause::InvalidRequest)), "{status}: {flow:#?}");
    }
}

/// A pod that a proxy was not told of yet is dialled in plaintext, and refused; told of, it would not be.
#[test]
fn endpoint_too_new() {
    let before = cluster();
    let late = before.clone().sidecar("search/es-1", "10.244.1.21").headless(
        "search/es",
        &[("es-0", "10.244.1.20"), ("es-1", "10.244.1.21")],
        &[("tcp-x", 9400, 9400)],
    );
    let mut lab = Lab::new(late.clone());
    let told = lab.wire.now;
    lab.wire.pass(Duration::from_millis(300));
    let mut app = lab.captured(FROM, "10.244.1.21:9400");
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    let mut up = lab.upstream(FROM, "10.244.1.21:9400", "search/es-1");
    lab.wire.says(&mut up, By::Client, &says::OTHER);
    lab.wire.reset(&up, By::Server);
    lab.wire.reset(&app, By::Server);

    let mut engine = Engine::new(Config::default());
    let mut records = Vec::new();
    for delta in before.deltas() {
        engine.handle(Input::Facts { at: Ktime(1), delta }, &mut |record| records.push(record));
    }
    let new = |fact: &&Fact| !before.facts.contains(fact);
    for fact in late.facts.iter().filter(new).cloned() {
        let delta = Delta::Upsert(Box::new(fact));
        engine.handle(Input::Facts { at: told, delta }, &mut |record| records.push(record));
    }
    for event in &lab.wire.events {
        engine.handle(Input::Socket(event.clone()), &mut |record| records.push(record));
    }
    engine.drain(&mut |record| records.push(record));
    let [flow] = flows(&records)[..] else { panic!("{records:#?}") };
    assert_eq!(
        (flow.verdict.reason, flow.verdict.cause()),
        (Some(Reason::PlaintextToStrict), Some(Cause::EndpointTooNew))
    );
    assert_eq!(endpoint("10.244.1.21:9400").ip, flow.server.ip);
}
