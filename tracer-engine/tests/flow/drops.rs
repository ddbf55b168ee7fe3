//! Segments that the kernel dropped, and the flows whose they were.

use crate::cluster::Cluster;
use crate::lab::{Lab, endpoint, flows};
use crate::wire::Conn;
use std::time::Duration;
use tracer_engine::input::Input;
use tracer_engine::mesh::facts::MtlsMode;
use tracer_engine::net::{Endpoint, Ktime, NetNs};
use tracer_engine::record::{Attribution, FlowRecord, Outcome, Record, Reporter};
use tracer_engine::socket::{ConnectError, DropCount, Dropped, Segment, Unreachable};
use tracer_engine::verdict::{Basis, Class, Reason};
use tracer_engine::{Config, Engine};

const FROM: &str = "shop/old-0";
const AT: &str = "search/es-0";
const DIALLED: &str = "10.244.1.20:9300";

/// A lab and what its kernel dropped.
struct Dropping {
    lab: Lab,
    dropped: Vec<Dropped>,
}

impl Dropping {
    fn new() -> Self {
        let cluster = Cluster::new(&["istio-system", "search", "shop"])
            .sidecar(AT, "10.244.1.20")
            .sidecar("shop/web-0", "10.244.1.40")
            .plain(FROM, "10.244.1.30")
            .headless("search/es", &[("es-0", "10.244.1.20")], &[("tcp-x", 9400, 9400)])
            .mtls(MtlsMode::Strict);
        Self { lab: Lab::new(cluster), dropped: Vec::new() }
    }

    fn drop_syn(&mut self, conn: &Conn, reason: &str, to: Endpoint) {
        let client_isn = conn.handshake.expect("an ISN").client_isn;
        self.drop(reason, conn.client.local, to, Segment::Syn { client_isn });
    }

    fn drop(&mut self, reason: &str, source: Endpoint, destination: Endpoint, segment: Segment) {
        self.lab.wire.pass(Duration::from_micros(10));
        let (at, netns) = (self.lab.wire.now, NetNs(1));
        self.dropped.push(Dropped { at, reason: reason.into(), source, destination, cookie: None, netns, segment });
    }

    /// What a node says that sees the sockets of `pods` and every drop.
    fn seen_by(&self, pods: &[&str]) -> Vec<Record> {
        let netns: Vec<NetNs> = pods.iter().map(|pod| NetNs(self.lab.netns(pod))).collect();
        let events = self.lab.wire.events.iter().filter(|event| netns.contains(&event.socket.owner.netns));
        let mut inputs: Vec<(Ktime, Input)> = events.map(|event| (event.at, Input::Socket(event.clone()))).collect();
        inputs.extend(self.dropped.iter().map(|dropped| (dropped.at, Input::Dropped(dropped.clone()))));
        inputs.sort_by_key(|(at, _)| *at);
        let mut engine = Engine::new(Config::default());
        let mut records = Vec::new();
        for delta in self.lab.cluster.deltas() {
            engine.handle(Input::Facts { at: Ktime(1), delta }, &mut |record| records.push(record));
        }
        for (_, input) in inputs {
            engine.handle(input, &mut |record| records.push(record));
        }
        while let Some(due) = engine.next_tick() {
            engine.handle(Input::Tick(due), &mut |record| records.push(record));
        }
        records
    }
}

fn only(records: &[Record]) -> &FlowRecord {
    match flows(records)[..] {
        [flow] => flow,
        ref flows => panic!("not one flow: {flows:#?}"),
    }
}

fn drops(flow: &FlowRecord) -> Vec<(&str, u64)> {
    flow.drops.iter().map(|drop| (&*drop.reason, drop.count)).collect()
}

fn cause(flow: &FlowRecord) -> Option<&str> {
    flow.verdict.spelled_causes().next()
}

/// A SYN that netfilter drops until the client times out.
pub(crate) fn dropped_syn() -> Vec<Record> {
    let mut kernel = Dropping::new();
    let app = kernel.lab.dial(FROM, DIALLED);
    for count in 1..4 {
        // DNAT and REDIRECT change addresses and ports, the sequence number stays.
        kernel.drop_syn(&app, "NETFILTER_DROP", endpoint("10.244.1.20:15006"));
        kernel.lab.wire.pass(Duration::from_secs(1 << (count - 1)));
        kernel.lab.wire.retransmits(&app, count);
    }
    kernel.lab.wire.fails(&app, ConnectError::TimedOut);
    kernel.seen_by(&[FROM])
}

#[test]
fn dropped_a_syn_that_netfilter_drops_until_the_client_times_out() {
    let records = dropped_syn();
    let flow = only(&records);
    assert_eq!((flow.verdict.class, flow.verdict.reason), (Class::Rejected, Some(Reason::Dropped)), "{flow:#?}");
    assert_eq!((cause(flow), flow.verdict.basis), (Some("NETFILTER_DROP"), Basis::Observed));
    assert_eq!(drops(flow), [("NETFILTER_DROP", 3)]);
    assert!(flow.verdict.text().remedy.contains("NetworkPolicies"), "{:?}", flow.verdict.text());
    let hanging = records.iter().find_map(|r| if let Record::Connecting(flow) = r { Some(flow) } else { None });
    assert_eq!(drops(hanging.expect("told while it hangs")), [("NETFILTER_DROP", 1)]);
}

#[test]
fn trap_07_a_reject_is_one_incident() {
    for error in [ConnectError::Refused, ConnectError::RefusedByIcmp, ConnectError::Unreachable(Unreachable::Host)] {
        let mut kernel = Dropping::new();
        let app = kernel.lab.dial(FROM, DIALLED);
        kernel.drop_syn(&app, "NETFILTER_DROP", app.client.remote);
        kernel.lab.wire.fails(&app, error);
        let records = kernel.seen_by(&[FROM, AT]);
        let flow = only(&records);
        assert_eq!((flow.verdict.reason, cause(flow)), (Some(Reason::Dropped), Some("NETFILTER_DROP")), "{error:?}");
    }
}

#[test]
fn no_socket_is_the_refusal_itself() {
    let mut kernel = Dropping::new();
    let app = kernel.lab.dial(AT, "10.244.1.30:9999");
    kernel.drop_syn(&app, "NO_SOCKET", app.client.remote);
    kernel.lab.wire.fails(&app, ConnectError::Refused);
    let records = kernel.seen_by(&[AT, FROM]);
    let flow = only(&records);
    assert_eq!(flow.verdict.reason, Some(Reason::AppNotListening), "{flow:#?}");
    assert_eq!((cause(flow), drops(flow)), (None, vec![("NO_SOCKET", 1)]));
}

#[test]
fn unreachable_bears_the_kernels_word() {
    let mut kernel = Dropping::new();
    let app = kernel.lab.dial(FROM, "10.244.9.9:80");
    kernel.lab.wire.fails(&app, ConnectError::Unreachable(Unreachable::Network));
    let flow = kernel.seen_by(&[FROM]);
    assert_eq!((only(&flow).verdict.reason, cause(only(&flow))), (Some(Reason::Unreachable), Some("ENETUNREACH")));
    kernel.drop_syn(&app, "NEIGH_FAILED", app.client.remote);
    // Told after the flow was judged: it is too late for that flow, and nobody else's.
    assert_eq!(flows(&kernel.seen_by(&[FROM])).len(), 1);
}

#[test]
fn trap_08_a_full_accept_queue_is_why_nobody_answers() {
    let mut kernel = Dropping::new();
    let app = kernel.lab.dial(AT, "10.244.1.30:80");
    kernel.drop_syn(&app, "TCP_LISTEN_OVERFLOW", app.client.remote);
    kernel.lab.wire.pass(Duration::from_secs(1));
    kernel.lab.wire.retransmits(&app, 1);
    kernel.lab.wire.pass(Duration::from_secs(2));
    kernel.lab.wire.fails(&app, ConnectError::Abandoned);
    let records = kernel.seen_by(&[AT, FROM]);
    let flow = only(&records);
    assert_eq!((flow.verdict.reason, cause(flow)), (Some(Reason::Dropped), Some("TCP_LISTEN_OVERFLOW")));
    assert!(flow.verdict.text().explanation.contains("accept queue"));
}

#[test]
fn an_answer_that_is_dropped_on_its_way_back_counts_too() {
    let mut kernel = Dropping::new();
    let app = kernel.lab.dial(FROM, DIALLED);
    let client_isn = app.handshake.expect("an ISN").client_isn;
    kernel.drop("IP_RPFILTER", app.client.remote, app.client.local, Segment::SynAnswer { client_isn });
    kernel.lab.wire.pass(Duration::from_secs(3));
    kernel.lab.wire.fails(&app, ConnectError::TimedOut);
    let records = kernel.seen_by(&[FROM]);
    assert_eq!(cause(only(&records)), Some("IP_RPFILTER"));
}

#[test]
fn another_connection_with_the_same_sequence_number_is_not_blamed() {
    let mut kernel = Dropping::new();
    let app = kernel.lab.dial(FROM, "10.244.9.9:80");
    let client_isn = app.handshake.expect("an ISN").client_isn;
    kernel.drop("NETFILTER_DROP", endpoint("192.0.2.1:4444"), endpoint("192.0.2.2:80"), Segment::Syn { client_isn });
    kernel.lab.wire.fails(&app, ConnectError::TimedOut);
    let records = kernel.seen_by(&[FROM]);
    assert_eq!((only(&records).verdict.reason, drops(only(&records))), (Some(Reason::TimedOut), vec![]));
}

#[test]
fn a_syn_from_another_node_that_is_dropped_here_is_told_by_the_destination() {
    let mut kernel = Dropping::new();
    let app = kernel.lab.dial(FROM, DIALLED);
    for _ in 0..3 {
        kernel.drop_syn(&app, "NETFILTER_DROP", app.client.remote);
        kernel.lab.wire.pass(Duration::from_millis(300));
    }
    let records = kernel.seen_by(&[AT]);
    let flow = only(&records);
    assert_eq!((flow.reporter, flow.outcome), (Reporter::Destination, Outcome::Dropped));
    assert_eq!((flow.verdict.reason, cause(flow)), (Some(Reason::Dropped), Some("NETFILTER_DROP")));
    assert!(matches!(&flow.client.who, Attribution::Pod(pod) if pod.pod.to_string() == FROM));
    assert_eq!(drops(flow), [("NETFILTER_DROP", 3)]);
    assert!(records.iter().any(|record| matches!(record, Record::End(end) if end.id == flow.id)));
}

#[test]
fn a_port_of_this_node_that_refuses_another_node_is_told_as_not_listening() {
    let mut kernel = Dropping::new();
    let app = kernel.lab.dial(AT, "10.244.1.30:9999");
    kernel.drop_syn(&app, "NO_SOCKET", app.client.remote);
    let flow = kernel.seen_by(&[FROM]);
    assert_eq!((only(&flow).verdict.reason, only(&flow).outcome), (Some(Reason::AppNotListening), Outcome::Refused));
}

#[test]
fn counts_are_told_with_who_is_behind_the_addresses() {
    let kernel = Dropping::new();
    let mut engine = Engine::new(Config::default());
    let mut records = Vec::new();
    for delta in kernel.lab.cluster.deltas() {
        engine.handle(Input::Facts { at: Ktime(1), delta }, &mut |_| {});
    }
    let between = Some((endpoint("10.244.1.30:1").ip, endpoint("192.0.2.7:1").ip));
    for between in [between, None] {
        let counted = DropCount { at: Ktime(5), reason: "NETFILTER_DROP".into(), between, count: 9 };
        engine.handle(Input::DropCount(counted), &mut |record| records.push(record));
    }
    let [Record::Drops(known), Record::Drops(unknown)] = &records[..] else { panic!("{records:#?}") };
    let (source, destination) = known.between.as_ref().expect("two addresses");
    assert!(matches!(source, Attribution::Pod(pod) if pod.pod.to_string() == FROM));
    assert!(matches!(destination, Attribution::Unknown(_) | Attribution::External));
    assert_eq!((known.count, unknown.between.is_none()), (9, true));
}
