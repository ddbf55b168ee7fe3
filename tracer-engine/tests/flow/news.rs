//! Facts that come late, and addresses that change hands: attributed late rather than wrong.

use crate::cluster::{Cluster, key};
use crate::lab::{Lab, flows};
use crate::wire::{By, Conn, says};
use std::time::Duration;
use tracer_engine::input::Input;
use tracer_engine::mesh::facts::{Delta, Fact, Kind, Pod};
use tracer_engine::net::Ktime;
use tracer_engine::record::{Attribution, FlowRecord, Record, UnknownReason};
use tracer_engine::socket::{ConnectError, SocketEvent};
use tracer_engine::verdict::{Class, Reason};
use tracer_engine::{Config, Engine};

const OLD: &str = "search/old-0";
const NEW: &str = "search/new-0";
/// Of both.
const ADDRESS: &str = "10.244.1.30";
const CLIENT: &str = "search/es-0";

/// A cluster of one client; pods to come are in the lab, and told when the test says so.
fn lab() -> Lab {
    let cluster = Cluster::new(&["search"]).plain(CLIENT, "10.244.1.20").plain(OLD, ADDRESS);
    let mut lab = Lab::new(cluster.plain(NEW, ADDRESS));
    lab.cluster.facts.retain(|fact| !matches!(fact, Fact::Pod(pod) if pod.key != key(CLIENT)));
    lab
}

fn pod(name: &str) -> Pod {
    let cluster = Cluster::new(&[]).plain(name, ADDRESS);
    let mut pods =
        cluster.facts.into_iter().filter_map(|fact| if let Fact::Pod(pod) = fact { Some(pod) } else { None });
    pods.next().expect("a pod")
}

fn told(name: &str) -> Delta {
    Delta::Upsert(Box::new(Fact::Pod(pod(name))))
}

/// Everything in order of time, facts with their own, and then as much time as the engine asks for.
fn run(config: Config, lab: &Lab, events: &[SocketEvent], news: &[(Ktime, Delta)]) -> Vec<Record> {
    let mut engine = Engine::new(config);
    let mut records = Vec::new();
    let mut emit = |record| records.push(record);
    let before = lab.cluster.deltas().into_iter().map(|delta| (Ktime(1), delta));
    let facts = before.chain(news.iter().cloned()).map(|(at, delta)| (at, Input::Facts { at, delta }));
    let mut inputs: Vec<_> = facts.collect();
    inputs.extend(events.iter().cloned().map(|event| (event.at, Input::Socket(event))));
    inputs.sort_by_key(|(at, _)| *at);
    for (at, input) in inputs {
        while let Some(due) = engine.next_tick().filter(|due| *due < at) {
            engine.handle(Input::Tick(due), &mut emit);
        }
        engine.handle(input, &mut emit);
    }
    while let Some(due) = engine.next_tick() {
        engine.handle(Input::Tick(due), &mut emit);
    }
    records
}

fn only(records: &[Record]) -> &FlowRecord {
    let flows = flows(records);
    assert_eq!(flows.len(), 1, "{flows:#?}");
    flows[0]
}

fn name(who: &Attribution) -> String {
    match who {
        Attribution::Pod(pod) => format!("pod {}", pod.pod),
        Attribution::Tombstone(pod) => format!("tombstone {}", pod.pod),
        other => format!("{other:?}"),
    }
}

/// `from` calls the address, and whoever has it answers.
fn answered(lab: &mut Lab, from: &str, at: &str) -> Conn {
    let mut call = lab.dial(from, &format!("{ADDRESS}:80"));
    lab.arrive(&mut call, at);
    lab.wire.says(&mut call, By::Client, &says::OTHER);
    lab.wire.says(&mut call, By::Server, &says::OTHER);
    lab.wire.fin(&call, By::Client);
    call
}

fn after(start: Ktime, millis: u64) -> Ktime {
    start + Duration::from_millis(millis)
}

#[test]
fn a_flow_that_begins_before_its_pod_is_told_of_waits_and_is_attributed_late() {
    for (from, at) in [(CLIENT, NEW), (NEW, CLIENT)] {
        let mut lab = lab();
        let start = lab.wire.now;
        let mut call = lab.dial(from, if at == NEW { "10.244.1.30:80" } else { "10.244.1.20:80" });
        lab.arrive(&mut call, at);
        lab.wire.says(&mut call, By::Client, &says::OTHER);
        lab.wire.fin(&call, By::Client);
        let records = run(Config::default(), &lab, &lab.wire.events, &[(after(start, 3000), told(NEW))]);
        let flow = only(&records);
        assert_eq!([name(&flow.client.who), name(&flow.server.who)], [format!("pod {from}"), format!("pod {at}")]);
        let waited = flow.at.since(start);
        assert!((Duration::from_secs(3)..Duration::from_secs(4)).contains(&waited), "{waited:?}");
    }
}

#[test]
fn news_are_waited_for_ten_seconds_and_then_nothing_is_presumed() {
    let mut lab = lab();
    let start = lab.wire.now;
    let mut call = lab.dial(CLIENT, "10.244.1.30:80");
    lab.wire.connected(&mut call);
    let records = run(Config::default(), &lab, &lab.wire.events, &[(after(start, 12_000), told(NEW))]);
    let flow = only(&records);
    assert_eq!(flow.server.who, Attribution::Unknown(UnknownReason::PodNotSeenYet));
    assert_eq!(flow.at.since(start).as_millis(), 10_000);
    assert_eq!((flow.verdict.class, flow.verdict.reason), (Class::Undetermined, None));
    let open: Vec<_> = flow.verdict.candidates.iter().map(|candidate| candidate.reason).collect();
    assert_eq!(open, [Reason::NotInMesh]);
}

#[test]
fn where_pods_of_other_nodes_are_not_told_of_only_ones_own_are_waited_for() {
    let config = Config { pods_of_all_nodes: false, ..Config::default() };
    for (from, to, waits) in [(CLIENT, "10.244.1.30:80", false), (NEW, "10.244.1.20:80", true)] {
        let mut lab = lab();
        let start = lab.wire.now;
        let mut call = lab.dial(from, to);
        lab.wire.connected(&mut call);
        let records = run(config, &lab, &lab.wire.events, &[]);
        assert_eq!(only(&records).at.since(start) > Duration::from_secs(9), waits, "{from}");
    }
}

#[test]
fn an_address_that_was_given_on_is_told_apart_by_time_and_by_who_answers() {
    let gone = Delta::Remove(Kind::Pod, key(OLD));
    let news = |start: Ktime| {
        vec![(Ktime(2), told(OLD)), (after(start, 20_000), gone.clone()), (after(start, 30_000), told(NEW))]
    };
    // Seconds after the start, whether anybody answers, and who it was.
    for (seconds, answers, who) in [
        (10, true, "pod search/old-0"),
        // Nobody had it: what is told five minutes long.
        (24, false, "tombstone search/old-0"),
        // The new one answers before it is told of.
        (24, true, "pod search/new-0"),
        (40, true, "pod search/new-0"),
    ] {
        let mut lab = lab();
        let start = lab.wire.now;
        lab.wire.pass(Duration::from_secs(seconds));
        if answers {
            answered(&mut lab, CLIENT, NEW);
        } else {
            let call = lab.dial(CLIENT, "10.244.1.30:80");
            lab.wire.fails(&call, ConnectError::TimedOut);
        }
        let records = run(Config::default(), &lab, &lab.wire.events, &news(start));
        let flow = only(&records);
        assert_eq!(name(&flow.server.who), who, "after {seconds} s: {flow:#?}");
        assert_eq!(flow.verdict.reason == Some(Reason::StalePodIp), !answers, "after {seconds} s: {:?}", flow.verdict);
    }
}

#[test]
fn what_a_new_pod_dials_before_it_is_told_of_is_not_the_dead_ones() {
    let mut lab = lab();
    let start = lab.wire.now;
    let mut call = lab.dial(NEW, "10.244.1.20:80");
    lab.arrive(&mut call, CLIENT);
    lab.wire.says(&mut call, By::Client, &says::OTHER);
    lab.wire.fin(&call, By::Client);
    let news = [(Ktime(2), told(OLD)), (Ktime(3), Delta::Remove(Kind::Pod, key(OLD))), (after(start, 2000), told(NEW))];
    let records = run(Config::default(), &lab, &lab.wire.events, &news);
    assert_eq!(name(&only(&records).client.who), format!("pod {NEW}"));
}

#[test]
fn a_tombstone_is_one_for_five_minutes() {
    for (seconds, stale) in [(290, true), (310, false)] {
        let mut lab = lab();
        let start = lab.wire.now;
        lab.wire.pass(Duration::from_secs(seconds));
        let call = lab.dial(CLIENT, "10.244.1.30:80");
        lab.wire.fails(&call, ConnectError::TimedOut);
        let news = [(Ktime(2), told(OLD)), (start, Delta::Remove(Kind::Pod, key(OLD)))];
        let records = run(Config::default(), &lab, &lab.wire.events, &news);
        let flow = only(&records);
        assert_eq!(flow.verdict.reason == Some(Reason::StalePodIp), stale, "after {seconds} s: {:?}", flow.verdict);
    }
}
