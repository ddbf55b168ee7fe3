//! Which rejections are told by Kubernetes Events, and how often.

use crate::sample::{epoch, key, pod, rejected};
use std::time::Duration;
use tracer_daemon::sink::announce::{About, Announcement, Announcer};
use tracer_engine::net::Ktime;
use tracer_engine::record::{Attribution, FlowRecord, Leg, LegKind, Outcome, Traffic, UnknownReason};
use tracer_engine::verdict::{Class, Reason};

/// A rejection so many seconds after the first.
fn at(second: u64) -> FlowRecord {
    FlowRecord { at: Ktime(0) + Duration::from_secs(100 + second), ..rejected() }
}

/// What comes of these, at the node of the pod that is called.
fn told(records: impl IntoIterator<Item = FlowRecord>) -> Vec<Announcement> {
    told_on("n1", records)
}

fn told_on(node: &str, records: impl IntoIterator<Item = FlowRecord>) -> Vec<Announcement> {
    let mut announcer = Announcer::new(node.into());
    records.into_iter().filter_map(|record| announcer.record(&record, epoch())).collect()
}

#[test]
fn what_keeps_happening_is_told_with_its_remedy() {
    let [announcement] = &told((0..3).map(at))[..] else { panic!("told once, at the third") };
    assert_eq!(announcement.about, About::Pod(key("search", "es-2")));
    assert_eq!((&*announcement.reason, announcement.count), ("PlaintextToStrict", 3));
    assert_eq!(announcement.last.duration_since(announcement.first).as_secs(), 2);
    let note = &announcement.note;
    assert!(note.starts_with("shop/web-0 -> search/es-2:9300 plaintext-to-strict (port-undeclared): "), "{note}");
    assert!(note.contains("Add the port to a headless Service") && note.len() <= 1024, "{note}");
}

#[test]
fn twice_is_no_habit_and_silence_forgets() {
    assert!(told([0, 1].map(at)).is_empty());
    assert!(told([0, 1, 700, 701].map(at)).is_empty(), "ten minutes later it begins anew");
    let [before, after] = &told([0, 1, 2, 700, 701, 702].map(at))[..] else { panic!("told twice") };
    assert_eq!((before.count, after.count), (3, 3));
    assert_ne!(before.series, after.series, "no Event's count goes back");
}

#[test]
fn what_goes_on_is_told_again_every_five_minutes_with_all_that_it_came_to() {
    let counts: Vec<u64> = told((0..900).map(at)).iter().map(|announcement| announcement.count).collect();
    assert_eq!(counts, [3, 303, 603]);
    let series: Vec<String> = told((0..900).map(at)).into_iter().map(|announcement| announcement.series).collect();
    assert!(series.iter().all(|one| *one == series[0]), "one Event");
}

#[test]
fn pods_of_one_workload_are_one_caller_and_other_ports_are_another_matter() {
    let from = |name: &str, second| {
        let mut record = at(second);
        record.client.who = pod("shop", name, "web");
        record
    };
    assert_eq!(told([from("web-0", 0), from("web-1", 1), from("web-2", 2)]).len(), 1);
    let to = |port, second| {
        let mut record = at(second);
        record.server.port = port;
        record
    };
    assert!(told([to(1, 0), to(2, 1), to(3, 2)]).is_empty());
}

#[test]
fn a_service_is_told_of_where_no_pod_is_known_and_nobody_of_whom_nothing_is() {
    let server = |who: Attribution| {
        move |second| {
            let mut record = at(second);
            record.server.who = who.clone();
            record
        }
    };
    let service = told((0..3).map(server(Attribution::Service(key("search", "es")))));
    assert_eq!(service[0].about, About::Service(key("search", "es")));
    assert!(told((0..3).map(server(Attribution::External))).is_empty());
    assert!(told((0..3).map(server(Attribution::Unknown(UnknownReason::PodNotSeenYet)))).is_empty());
}

#[test]
fn probes_other_classes_and_second_words_are_not_told() {
    let but = |change: fn(&mut FlowRecord)| {
        told((0..9).map(|second| {
            let mut record = at(second);
            change(&mut record);
            record
        }))
    };
    assert!(but(|record| record.traffic = Traffic::Probe).is_empty());
    assert!(but(|record| record.verdict.class = Class::Undetermined).is_empty());
    assert!(but(|record| record.revises = Some((Class::Rejected, Some(Reason::PlaintextToStrict)))).is_empty());
    assert_eq!(but(|record| record.revises = Some((Class::Undetermined, None))).len(), 1, "this is news");
}

/// Two daemons see one call; one of them tells.
#[test]
fn a_call_that_came_to_another_node_is_told_there() {
    assert!(told_on("n2", (0..3).map(at)).is_empty(), "its last leg came to n1");
    let never_came = |second| {
        let mut record = at(second);
        record.legs[1].outcome = Outcome::Refused;
        record
    };
    assert_eq!(told_on("n2", (0..3).map(never_came)).len(), 1, "no socket was there to see it");
    let seen_there = |second| {
        let mut record = at(second);
        let inbound = Leg { kind: LegKind::Inbound, ..record.legs[1].clone() };
        record.legs.push(inbound);
        record
    };
    assert_eq!(told_on("n2", (0..3).map(seen_there)).len(), 1, "both ends are here");
}

/// A scan of a whole network is one storm, and memory and API server stay as they were.
#[test]
fn a_storm_of_causes_is_bounded() {
    let from = |last: u32, second| {
        let mut record = at(second);
        record.client.who = Attribution::External;
        record.client.ip = std::net::Ipv4Addr::from(0x0a00_0000 + last).into();
        record
    };
    let once_each = (0..2000).map(|last| from(last, 0));
    let of_the_last = [0, 0].map(|_| from(1999, 0));
    let of_the_first = [0, 0].map(|_| from(0, 0));
    let notes: Vec<_> =
        told(once_each.chain(of_the_last).chain(of_the_first)).into_iter().map(|one| one.note).collect();
    assert!(notes.len() == 1 && notes[0].starts_with("10.0.0.0 -> "), "the first thousand are known: {notes:?}");
    let at_once = (0..100_000).flat_map(|last| [0, 0, 0].map(|second| from(last, second)));
    assert_eq!(told(at_once).len(), 25);
    let slower = (0..1000).flat_map(|last| [0, 0, 0].map(|_| from(last, u64::from(last))));
    assert_eq!(told(slower).len(), 25 + 99, "and one every ten seconds");
}
