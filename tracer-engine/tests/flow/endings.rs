//! When a flow is counted, what is said later, and what loss takes away.

use crate::cluster::Cluster;
use crate::lab::{Lab, endpoint, flows, run};
use crate::wire::{By, says};
use std::time::Duration;
use tracer_engine::input::Input;
use tracer_engine::mesh::facts::MtlsMode;
use tracer_engine::net::Ktime;
use tracer_engine::record::{Outcome, Record, Reporter};
use tracer_engine::socket::{ConnectError, SocketChange};
use tracer_engine::verdict::{Basis, Class, Reason};
use tracer_engine::{Config, Engine};

const FROM: &str = "search/es-0";
const AT: &str = "search/es-1";

fn mesh() -> Lab {
    Lab::new(
        Cluster::new(&["istio-system", "search"])
            .sidecar(FROM, "10.244.1.20")
            .sidecar(AT, "10.244.1.21")
            .plain("search/old-0", "10.244.1.30")
            .headless(
                "search/es",
                &[("es-0", "10.244.1.20"), ("es-1", "10.244.1.21")],
                &[("any", 9300, 9300), ("tcp-x", 9400, 9400), ("http-api", 9200, 9200)],
            )
            .mtls(MtlsMode::Strict),
    )
}

fn reasons(records: &[Record]) -> Vec<Option<Reason>> {
    flows(records).into_iter().map(|flow| flow.verdict.reason).collect()
}

#[test]
fn an_unanswered_syn_is_told_while_it_hangs_and_counted_when_it_ends() {
    let mut lab = mesh();
    let app = lab.dial("search/old-0", "10.244.1.99:80");
    for (count, after) in [(1, 1), (2, 2), (3, 4), (4, 8)] {
        lab.wire.pass(Duration::from_secs(after));
        lab.wire.retransmits(&app, count);
    }
    let hanging = run(&lab.cluster, lab.wire.events.clone());
    let told: Vec<_> = hanging.iter().filter(|record| matches!(record, Record::Connecting(_))).collect();
    assert_eq!(told.len(), 2, "at the first and at the third: {told:#?}");
    assert!(flows(&hanging).is_empty(), "not counted while it hangs");
    assert!(
        told.iter()
            .all(|record| matches!(record, Record::Connecting(flow) if flow.outcome == Outcome::StillConnecting))
    );
    lab.wire.fails(&app, ConnectError::TimedOut);
    let ended = run(&lab.cluster, lab.wire.events);
    assert_eq!(reasons(&ended), [Some(Reason::TimedOut)]);
    assert_eq!(flows(&ended)[0].syn_retransmits, 4);
}

#[test]
fn a_flow_that_stays_open_is_counted_at_the_deadline_and_ends_later() {
    let mut lab = mesh();
    let mut app = lab.captured(FROM, "10.244.1.21:9400");
    let mut up = lab.upstream(FROM, "10.244.1.21:9400", AT);
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls("es.search.svc.cluster.local", 9400));
    lab.wire.pass(Duration::from_mins(1));
    lab.wire.says(&mut app, By::Server, &says::OTHER);
    lab.wire.reset(&app, By::Server);
    let records = lab.seen_by(&[FROM]);
    let flows = flows(&records);
    assert_eq!(flows.len(), 1);
    assert_eq!(flows[0].verdict.basis, Basis::Predicted);
    assert!(flows[0].at.since(Ktime(1_000_000_000)) < Duration::from_secs(3));
    let end = records.iter().find_map(|record| if let Record::End(end) = record { Some(end) } else { None }).unwrap();
    assert_eq!((end.id, end.outcome, end.class), (flows[0].id, Outcome::Reset, Class::OpaqueTcp));
    assert_eq!((end.bytes_sent, end.bytes_received), (100, 100));
    assert!(end.duration > Duration::from_secs(59));
}

#[test]
fn a_stall_is_revised_when_bytes_flow_after_all() {
    let mut lab = mesh();
    let mut app = lab.captured(FROM, "10.244.1.21:9300");
    lab.wire.pass(Duration::from_secs(8));
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    let mut up = lab.upstream(FROM, "10.244.1.21:9300", AT);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls("es.search.svc.cluster.local", 9300));
    lab.wire.says(&mut app, By::Server, &says::OTHER);
    lab.wire.pass(Duration::from_secs(1));
    lab.wire.fin(&app, By::Client);
    let records = lab.seen_by(&[FROM]);
    let flows = flows(&records);
    assert_eq!(reasons(&records), [Some(Reason::ServerFirstStall), Some(Reason::HeadlessTcp)]);
    assert_eq!(flows[1].revises, Some((Class::Rejected, Some(Reason::ServerFirstStall))));
    assert_eq!(flows[0].id, flows[1].id);
    let ends: Vec<_> = records.iter().filter_map(|r| if let Record::End(end) = r { Some(end) } else { None }).collect();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].class, Class::OpaqueTcp);
}

#[test]
fn a_stall_that_is_given_up_stays_one() {
    let mut lab = mesh();
    let app = lab.captured(FROM, "10.244.1.21:9300");
    lab.wire.pass(Duration::from_secs(30));
    lab.wire.fin(&app, By::Client);
    let records = lab.seen_by(&[FROM]);
    assert_eq!(reasons(&records), [Some(Reason::ServerFirstStall)]);
    assert_eq!(records.iter().filter(|record| matches!(record, Record::End(_))).count(), 1);
}

#[test]
fn trap_20_a_flow_whose_close_was_not_told_ends_and_nothing_is_made_up() {
    let mut lab = mesh();
    let mut app = lab.captured(FROM, "10.244.1.21:9400");
    let mut up = lab.upstream(FROM, "10.244.1.21:9400", AT);
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls("es.search.svc.cluster.local", 9400));
    lab.wire.pass(Duration::from_mins(2));
    lab.wire.vanishes(&app);
    // Whatever is said of it now is of no flow any more.
    lab.wire.vanishes(&app);
    let records = lab.seen_by(&[FROM]);
    assert_eq!(flows(&records).len(), 1);
    let ends: Vec<_> = records.iter().filter_map(|r| if let Record::End(end) = r { Some(end) } else { None }).collect();
    assert_eq!(ends.len(), 1);
    assert_eq!((ends[0].id, ends[0].class), (flows(&records)[0].id, Class::OpaqueTcp));
    assert_eq!(ends[0].outcome, Outcome::Established, "neither closed nor reset: nobody saw it");
    assert_eq!((ends[0].bytes_sent, ends[0].bytes_received), (0, 0));
}

#[test]
fn trap_20_a_stall_whose_close_was_not_told_ends_as_one() {
    let mut lab = mesh();
    let app = lab.captured(FROM, "10.244.1.21:9300");
    lab.wire.pass(Duration::from_mins(2));
    lab.wire.vanishes(&app);
    let records = lab.seen_by(&[FROM]);
    assert_eq!(reasons(&records), [Some(Reason::ServerFirstStall)]);
    assert_eq!(flows(&records)[0].outcome, Outcome::Established);
    assert_eq!(records.iter().filter(|record| matches!(record, Record::End(_))).count(), 1);
}

#[test]
fn trap_20_a_dial_whose_failure_was_not_told_is_counted_as_it_was_last_seen() {
    let mut lab = mesh();
    let app = lab.dial("search/old-0", "10.244.1.99:80");
    lab.wire.pass(Duration::from_secs(1));
    lab.wire.retransmits(&app, 1);
    lab.wire.pass(Duration::from_mins(10));
    lab.wire.vanishes(&app);
    let records = run(&lab.cluster, lab.wire.events);
    assert_eq!(flows(&records).len(), 1, "{records:#?}");
    assert_eq!(flows(&records)[0].outcome, Outcome::StillConnecting, "nobody saw an answer");
    let ends: Vec<_> =
        records.iter().filter_map(|r| if let Record::End(end) = r { Some(end.outcome) } else { None }).collect();
    assert_eq!(ends, [Outcome::StillConnecting]);
}

#[test]
fn trap_20_a_proxys_dial_whose_failure_was_not_told_does_not_take_its_flow_along() {
    let mut lab = mesh();
    let mut app = lab.captured(FROM, "10.244.1.21:9400");
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    let proxy = lab.proxy(FROM, 0);
    let up = lab.wire.dial(proxy, crate::lab::endpoint("10.244.1.21:9400"));
    lab.wire.pass(Duration::from_secs(1));
    lab.wire.retransmits(&up, 1);
    lab.wire.pass(Duration::from_mins(10));
    lab.wire.vanishes(&up);
    lab.wire.pass(Duration::from_secs(1));
    lab.wire.reset(&app, By::Server);
    let records = run(&lab.cluster, lab.wire.events);
    assert_eq!(flows(&records).len(), 1, "{records:#?}");
    assert_eq!(flows(&records)[0].server.port, 9400);
}

#[test]
fn trap_20_a_socket_that_nobody_heard_of_is_no_flow_when_it_is_gone() {
    let mut lab = mesh();
    let app = lab.captured(FROM, "10.244.1.21:9300");
    lab.wire.events.clear();
    lab.wire.vanishes(&app);
    let records = lab.seen_by(&[FROM]);
    assert!(!records.iter().any(|record| matches!(record, Record::Flow(_) | Record::End(_))), "{records:#?}");
}

#[test]
fn a_port_check_claims_nothing() {
    let mut lab = mesh();
    let app = lab.captured(FROM, "10.244.1.21:9300");
    lab.wire.fin(&app, By::Client);
    let records = lab.seen_by(&[FROM]);
    assert_eq!(reasons(&records), [Some(Reason::NoPayload)]);
    assert_eq!(flows(&records)[0].verdict.class, Class::Undetermined);
}

#[test]
fn after_loss_absence_proves_nothing() {
    // What a blackhole looks like, but for REGISTRY_ONLY: the proxy closes and dialled nobody.
    let mut lab = mesh();
    let mut app = lab.captured(FROM, "10.244.1.21:9400");
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    let lost_at = lab.wire.now;
    lab.wire.reset(&app, By::Server);
    assert_eq!(reasons(&lab.seen_by(&[FROM])), [Some(Reason::FactsContradictEvidence)]);

    let mut engine = Engine::new(Config::default());
    let mut records = Vec::new();
    for delta in lab.cluster.deltas() {
        engine.handle(Input::Facts { at: Ktime(1), delta }, &mut |record| records.push(record));
    }
    for event in lab.wire.events {
        if matches!(event.change, SocketChange::Closed(_)) {
            engine.handle(Input::Lost { at: lost_at, count: 3 }, &mut |record| records.push(record));
        }
        engine.handle(Input::Socket(event), &mut |record| records.push(record));
    }
    while let Some(due) = engine.next_tick() {
        engine.handle(Input::Tick(due), &mut |record| records.push(record));
    }
    let told = flows(&records)[0];
    assert_eq!(told.verdict.class, Class::Undetermined);
    assert!(told.verdict.candidates.iter().any(|candidate| candidate.reason == Reason::HeadlessTcp), "{told:#?}");
    assert!(told.events_lost >= 3);
}

#[test]
fn what_fits_no_route_is_a_contradiction_with_both_sides_shown() {
    // STRICT by the facts, and yet an application answered plaintext.
    let mut lab = mesh();
    let mut app = lab.captured(FROM, "10.244.1.21:9999");
    let mut up = lab.upstream(FROM, "10.244.1.21:9999", AT);
    lab.relay(&mut [&mut app, &mut up], By::Client, &says::OTHER);
    lab.relay(&mut [&mut up, &mut app], By::Server, &says::OTHER);
    lab.wire.fin(&app, By::Client);
    let records = lab.seen_by(&[FROM]);
    let told = flows(&records)[0];
    assert_eq!((told.verdict.class, told.verdict.reason), (Class::Undetermined, Some(Reason::FactsContradictEvidence)));
    assert!(told.verdict.candidates.iter().any(|candidate| candidate.reason == Reason::PlaintextToStrict));
    assert!(!told.evidence.is_empty());
}

#[test]
fn a_socket_that_was_open_before_is_adopted() {
    let mut lab = mesh();
    let mut app = lab.dial("search/old-0", "10.244.1.99:80");
    lab.wire.connected(&mut app);
    lab.wire.says(&mut app, By::Client, &says::http("x"));
    lab.wire.fin(&app, By::Client);
    let unseen = |change: &SocketChange| matches!(change, SocketChange::Connected { .. });
    lab.wire.events.retain(|event| !unseen(&event.change));
    let records = run(&lab.cluster, lab.wire.events);
    let flows = flows(&records);
    assert_eq!(flows.len(), 1);
    assert_eq!(flows[0].seen_from, tracer_engine::record::SeenFrom::Middle);
    assert_eq!(flows[0].reporter, Reporter::Source);
}

#[test]
fn a_connect_whose_beginning_was_not_seen_claims_no_latency() {
    let mut lab = mesh();
    let mut app = lab.dial("search/old-0", "10.244.1.99:80");
    lab.wire.connected(&mut app);
    lab.wire.says(&mut app, By::Client, &says::http("x"));
    lab.wire.fin(&app, By::Client);
    let connect = |events: &[tracer_engine::socket::SocketEvent]| flows(&run(&lab.cluster, events.to_vec()))[0].connect;
    assert!(connect(&lab.wire.events).is_some());
    // The map of live sockets was full, or the opening was skipped and is told with the close.
    for event in &mut lab.wire.events {
        if let SocketChange::Connected { since, .. } = &mut event.change {
            *since = event.at;
        }
    }
    assert_eq!(connect(&lab.wire.events), None);
}

#[test]
fn a_proxys_later_connections_are_no_flows_of_their_own() {
    let mut lab = mesh();
    let mut app = lab.captured(FROM, "10.244.1.21:9200");
    lab.wire.says(&mut app, By::Client, &says::http("es.search"));
    let mut up = lab.upstream(FROM, "10.244.1.21:9200", AT);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls("es.search.svc.cluster.local", 9200));
    lab.wire.says(&mut app, By::Server, &says::answer(200));
    lab.wire.pass(Duration::from_secs(10));
    // The second request of the kept-alive connection: the pool had closed its connection meanwhile.
    lab.wire.fin(&up, By::Server);
    let again = lab.upstream(FROM, "10.244.1.21:9200", AT);
    lab.wire.pass(Duration::from_secs(10));
    lab.wire.fin(&again, By::Client);
    lab.wire.fin(&app, By::Client);
    assert_eq!(reasons(&lab.seen_by(&[FROM])), [Some(Reason::HostMatched)]);
    assert_eq!(reasons(&lab.seen_by_all()), [Some(Reason::HostMatched)]);
}

#[test]
fn loopback_is_nobodys_flow() {
    let mut lab = mesh();
    let process = crate::wire::Process { ip: crate::cluster::ip("127.0.0.1"), ..lab.app(FROM) };
    let mut app = lab.wire.dial(process, endpoint("127.0.0.1:15000"));
    let (at, from) = (process, app.client.local);
    lab.wire.accept(&mut app, at, endpoint("127.0.0.1:15000"), from);
    lab.wire.fin(&app, By::Client);
    assert!(flows(&lab.seen_by_all()).is_empty());
}
