//! What holds for any events: no panic, each flow counted once, and no flow's verdict depends on what else goes on.

use crate::cluster::Cluster;
use crate::lab::{Lab, flows, run};
use crate::wire::{By, says};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tracer_engine::input::Input;
use tracer_engine::mesh::facts::MtlsMode;
use tracer_engine::net::{CgroupId, Cookie, Endpoint, Ktime, NetNs};
use tracer_engine::record::Record;
use tracer_engine::socket::{
    Close, ConnectError, Direction, DropCount, Dropped, End, Handshake, Owner, Payload, Reset, Segment, Socket,
    SocketChange, SocketEvent, Unreachable,
};
use tracer_engine::{Config, Engine};

/// Pairs of pods, each with a call of its own.
const PAIRS: usize = 6;

fn cluster() -> Cluster {
    let mut cluster = Cluster::new(&["istio-system", "a", "b"]).mtls(MtlsMode::Strict);
    for i in 0..PAIRS {
        let (from, at) = (format!("10.244.1.{}", 10 + i), format!("10.244.1.{}", 50 + i));
        let pod = format!("s{i}-0");
        cluster = cluster.sidecar(&format!("a/c{i}-0"), &from).sidecar(&format!("b/{pod}"), &at);
        cluster = cluster.headless(&format!("b/s{i}"), &[(&pod, &at)], &[("tcp-x", 9400, 9400), ("any", 9300, 9300)]);
    }
    cluster
}

/// One call of the pair `i`; its story is `kind`.
fn play(lab: &mut Lab, i: usize, kind: u8) {
    let (from, at) = (format!("a/c{i}-0"), format!("b/s{i}-0"));
    let host = format!("s{i}.b.svc.cluster.local");
    let to = |port: u16| format!("10.244.1.{}:{port}", 50 + i);
    let (from, at) = (&*from, &*at);
    match kind {
        0 => {
            let mut app = lab.captured(from, &to(9400));
            let mut up = lab.upstream(from, &to(9400), at);
            lab.wire.says(&mut app, By::Client, &says::OTHER);
            lab.wire.says(&mut up, By::Client, &says::mesh_tls(&host, 9400));
            let mut local = lab.local(at, 9400);
            lab.wire.says(&mut up, By::Server, &says::SERVER_HELLO);
            lab.wire.says(&mut local, By::Client, &says::OTHER);
            lab.relay(&mut [&mut local, &mut app], By::Server, &says::OTHER);
            for conn in [&app, &up, &local] {
                lab.wire.fin(conn, By::Client);
            }
        }
        1 => {
            let mut app = lab.captured(from, &to(9999));
            let mut up = lab.upstream(from, &to(9999), at);
            lab.relay(&mut [&mut app, &mut up], By::Client, &says::OTHER);
            lab.wire.reset(&up, By::Server);
            lab.wire.reset(&app, By::Server);
        }
        2 => {
            let app = lab.captured(from, &to(9300));
            lab.wire.pass(Duration::from_secs(6));
            lab.wire.fin(&app, By::Client);
        }
        3 => {
            let app = lab.captured(from, &to(9300));
            lab.wire.fin(&app, By::Client);
        }
        4 => {
            let mut app = lab.captured(from, &to(9400));
            let mut up = lab.upstream(from, &to(9400), at);
            lab.wire.says(&mut app, By::Client, &says::OTHER);
            lab.wire.says(&mut up, By::Client, &says::mesh_tls(&host, 9400));
            lab.local_refused(at, 9400);
            lab.wire.reset(&up, By::Server);
            lab.wire.fin(&app, By::Server);
        }
        _ => {
            let mut app = lab.captured(from, &to(9400));
            let proxy = lab.proxy(from, 0);
            let up = lab.wire.dial(proxy, crate::lab::endpoint(&to(9400)));
            lab.wire.says(&mut app, By::Client, &says::OTHER);
            lab.wire.pass(Duration::from_secs(1));
            lab.wire.retransmits(&up, 1);
            lab.wire.pass(Duration::from_secs(9));
            lab.wire.fails(&up, ConnectError::Abandoned);
            lab.wire.reset(&app, By::Server);
        }
    }
}

/// The same events `by` later.
fn later(event: &SocketEvent, by: Duration) -> SocketEvent {
    let mut event = event.clone();
    event.at = event.at + by;
    match &mut event.change {
        SocketChange::SynRetransmitted { since, .. }
        | SocketChange::Connected { since, .. }
        | SocketChange::ConnectFailed { since, .. } => *since = *since + by,
        SocketChange::Closed(close) => close.opened = close.opened.map(|opened| opened + by),
        SocketChange::Accepted { .. }
        | SocketChange::FirstBytes { .. }
        | SocketChange::Found
        | SocketChange::Listening
        | SocketChange::Gone => {}
    }
    event
}

/// What was said, by the address that dialled.
fn verdicts(records: &[Record]) -> BTreeMap<(IpAddr, u16), String> {
    let told = flows(records).into_iter();
    told.map(|flow| ((flow.client.ip, flow.client.port), format!("{:?} {:?}", flow.verdict, flow.legs))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn independent_flows_get_the_same_verdicts_in_any_interleaving(
        calls in proptest::collection::vec((0u8..6, 0u64..3_000), PAIRS),
    ) {
        let cluster = cluster();
        let mut lab = Lab::new(cluster.clone());
        let (mut alone, mut together) = (BTreeMap::new(), Vec::new());
        for (i, (kind, offset)) in calls.iter().enumerate() {
            lab.wire.events.clear();
            lab.wire.now = Ktime(1_000_000_000);
            play(&mut lab, i, *kind);
            let events = lab.wire.events.clone();
            together.extend(events.iter().map(|event| later(event, Duration::from_micros(*offset))));
            alone.extend(verdicts(&run(&cluster, events)));
        }
        let records = run(&cluster, together);
        prop_assert_eq!(verdicts(&records), alone);
        prop_assert_eq!(flows(&records).len(), PAIRS);
        let ended = records.iter().filter(|record| matches!(record, Record::End(_))).count();
        prop_assert_eq!(ended, PAIRS, "every call was closed, so every flow ended");
    }

    #[test]
    fn no_events_make_it_panic_or_count_a_flow_twice(inputs in proptest::collection::vec(input(), 1..120)) {
        let mut engine = Engine::new(Config { max_open_flows: 4, max_undecided: 12, ..Config::default() });
        let mut records = Vec::new();
        for delta in cluster().deltas() {
            engine.handle(Input::Facts { at: Ktime(1), delta }, &mut |record| records.push(record));
        }
        for input in inputs {
            engine.handle(input, &mut |record| records.push(record));
        }
        let mut ticks = 0;
        while let Some(due) = engine.next_tick() {
            engine.handle(Input::Tick(due), &mut |record| records.push(record));
            ticks += 1;
            prop_assert!(ticks < 10_000, "no end of ticks");
        }
        let mut open = std::collections::BTreeSet::new();
        let mut counted = std::collections::BTreeSet::new();
        for record in &records {
            match record {
                Record::Flow(flow) if flow.revises.is_none() => {
                    prop_assert!(counted.insert(flow.id), "counted twice");
                    open.insert(flow.id);
                }
                Record::Flow(flow) => prop_assert!(open.contains(&flow.id), "revised after its end"),
                Record::End(end) => prop_assert!(open.remove(&end.id), "ended without being open"),
                _ => {}
            }
        }
    }
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        30 => event().prop_map(Input::Socket),
        3 => (1u64..9_000).prop_map(|ms| Input::Tick(Ktime(ms * 1_000_000))),
        1 => (1u64..9_000, 1u64..9).prop_map(|(ms, count)| Input::Lost { at: Ktime(ms * 1_000_000), count }),
        4 => dropped().prop_map(Input::Dropped),
        1 => dropped().prop_map(|Dropped { at, reason, source, destination, .. }| {
            Input::DropCount(DropCount { at, reason, between: Some((source.ip, destination.ip)), count: 3 })
        }),
    ]
}

prop_compose! {
    fn dropped()(
        ms in 1u64..9_000, source in endpoint(), destination in endpoint(), isn in 1u32..6, kind in 0u8..3,
        cookie in proptest::option::of(1u64..24),
        reason in proptest::sample::select(&["NETFILTER_DROP", "NO_SOCKET", "SOCKET_RCVBUFF"][..]),
    ) -> Dropped {
        let segment = match kind {
            0 => Segment::Syn { client_isn: isn },
            1 => Segment::SynAnswer { client_isn: isn },
            _ => Segment::Other,
        };
        let at = Ktime(ms * 1_000_000);
        Dropped { at, reason: reason.into(), source, destination, cookie: cookie.map(Cookie), netns: NetNs(1), segment }
    }
}

fn event() -> impl Strategy<Value = SocketEvent> {
    (1u64..9_000, socket(), change()).prop_map(|(ms, socket, change)| SocketEvent {
        at: Ktime(ms * 1_000_000),
        socket,
        change,
    })
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let ips = [[10, 244, 1, 10], [10, 244, 1, 50], [127, 0, 0, 1], [127, 0, 0, 6], [192, 0, 2, 1], [8, 8, 8, 8]];
    let ports = [15001, 15006, 9300, 9400, 9999, 40_001, 40_002];
    (proptest::sample::select(ips.to_vec()), proptest::sample::select(ports.to_vec()))
        .prop_map(|(ip, port)| Endpoint::new(Ipv4Addr::from(ip).into(), port))
}

prop_compose! {
    fn socket()(
        cookie in 1u64..24, local in endpoint(), remote in endpoint(), netns in 1u32..4,
        uid in proptest::sample::select(&[0u32, 2000, 1337][..]), tid in 0u32..3,
    ) -> Socket {
        let owner = Owner { netns: NetNs(netns), uid, tid, mark: 0, cgroup: CgroupId(1) };
        Socket { cookie: Cookie(cookie), local, remote, owner }
    }
}

fn change() -> impl Strategy<Value = SocketChange> {
    let since = || (1u64..9_000).prop_map(|ms| Ktime(ms * 1_000_000));
    let handshake =
        || proptest::option::of((1u32..6).prop_map(|isn| Handshake { client_isn: isn, server_isn: isn * 3 }));
    let isn = || proptest::option::of(1u32..6);
    let errors = [
        ConnectError::Refused,
        ConnectError::TimedOut,
        ConnectError::RefusedByIcmp,
        ConnectError::Unreachable(Unreachable::Network),
        ConnectError::Abandoned,
        ConnectError::NoLocalPort,
        ConnectError::Other(71),
    ];
    prop_oneof![
        (since(), 1u8..7, isn()).prop_map(|(since, count, client_isn)| SocketChange::SynRetransmitted {
            since,
            count,
            client_isn,
        }),
        (since(), handshake()).prop_map(|(since, handshake)| SocketChange::Connected { since, handshake }),
        (since(), proptest::sample::select(errors.to_vec()), isn())
            .prop_map(|(since, error, client_isn)| SocketChange::ConnectFailed { since, error, client_isn }),
        Just(SocketChange::Found),
        Just(SocketChange::Gone),
        Just(SocketChange::Listening),
        handshake().prop_map(|handshake| SocketChange::Accepted { handshake }),
        (any::<bool>(), payload()).prop_map(|(sent, payload)| SocketChange::FirstBytes {
            direction: if sent { Direction::Sent } else { Direction::Received },
            payload,
        }),
        close().prop_map(SocketChange::Closed),
    ]
}

fn payload() -> impl Strategy<Value = Payload> {
    proptest::sample::select(vec![
        says::http("s0.b:9400"),
        says::tls("x"),
        says::mesh_tls("s0.b.svc.cluster.local", 9400),
        says::mesh_tls("s1.b.svc.cluster.local", 9300),
        says::SERVER_HELLO,
        says::answer(200),
        says::own_answer(503),
        says::OTHER,
    ])
}

prop_compose! {
    fn close()(
        opened in proptest::option::of(1u64..9_000), sent in 0u64..3, received in 0u64..3,
        reset in proptest::sample::select(&[None, Some(Reset::Sent), Some(Reset::Received)][..]),
        first_fin in proptest::sample::select(&[None, Some(End::This), Some(End::Peer)][..]),
        unread in any::<bool>(),
    ) -> Close {
        Close { opened: opened.map(|ms| Ktime(ms * 1_000_000)), sent, received, reset, first_fin, unread }
    }
}
