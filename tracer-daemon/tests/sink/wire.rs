//! The record as JSON, to the byte, and back again.

use crate::sample::{epoch, ip, key, origin, pod, rejected};
use serde_json::{Value, json};
use tracer_daemon::sink::wire::{self, Line, Loss, Record};
use tracer_engine::record::{
    Attribution, EvidenceKind, FlowRecord, LegKind, Mesh, Outcome, PodIdentity, Reporter, ResetBy, Scope, SeenFrom,
    Traffic, UnknownReason,
};
use tracer_engine::verdict::{Basis, Candidate, Cause, Class, Reason, Security};

fn json(record: &FlowRecord) -> Value {
    serde_json::from_str(&wire::write(&Record::new(record, &origin(), epoch()))).unwrap()
}

/// SHA-256 of 00000001 00000002, its first 64 bits.
const HANDSHAKE: &str = "0f585dd518ed0644";

#[test]
fn a_record_to_the_byte() {
    let line = wire::write(&Record::new(&rejected(), &origin(), epoch()));
    let said: Value = serde_json::from_str(&line).unwrap();
    let (explanation, remedy) = (said["explanation"].as_str().unwrap(), said["remedy"].as_str().unwrap());
    assert!(!explanation.is_empty() && !remedy.is_empty(), "the engine's words are in: {line}");
    let expected = include_str!("wire.json")
        .lines()
        .map(str::trim)
        .collect::<String>()
        .replace("HANDSHAKE", HANDSHAKE)
        .replace("EXPLANATION", &serde_json::to_string(explanation).unwrap())
        .replace("REMEDY", &serde_json::to_string(remedy).unwrap());
    assert_eq!(line.trim_end(), expected);
    assert!(line.ends_with('\n'));
}

#[test]
fn what_is_unknown_is_null_and_says_why() {
    let mut record = rejected();
    record.client.who = Attribution::Unknown(UnknownReason::PodNotSeenYet);
    record.server.who = Attribution::External;
    record.handshake = None;
    record.connect = None;
    record.outcome = Outcome::TimedOut;
    let said = json(&record);
    assert_eq!(said["client"]["pod"], Value::Null);
    assert_eq!(said["client"]["pod_unknown"], "pod-not-seen-yet");
    assert_eq!(said["client"]["mesh"], "unknown");
    assert_eq!(said["server"]["pod_unknown"], "external");
    assert_eq!(said["server"]["mesh"], "none");
    assert_eq!(said["handshake"], Value::Null);
    assert_eq!(said["handshake_unknown"], "not-established");
    assert_eq!(said["connect_us_unknown"], "not-established");

    record.outcome = Outcome::Closed;
    record.seen_from = SeenFrom::Middle;
    let said = json(&record);
    assert_eq!(said["handshake_unknown"], "opened-before-the-tracer");
    assert_eq!(said["connect_us_unknown"], "opened-before-the-tracer");
}

#[test]
fn who_stands_behind_an_address() {
    let mut record = rejected();
    record.server.who = Attribution::Service(key("search", "es"));
    let said = json(&record)["server"].clone();
    assert_eq!(
        (&said["service"], &said["namespace"], &said["pod"]),
        (&json!("search/es"), &json!("search"), &Value::Null)
    );
    assert_eq!(said["pod_unknown"], "service");

    record.server.who = Attribution::Node("n2".into());
    let said = json(&record)["server"].clone();
    assert_eq!((&said["workload"], &said["workload_kind"]), (&json!("n2"), &json!("Node")));

    let Attribution::Pod(identity) = pod("search", "es-1", "es") else { unreachable!("a pod was made") };
    record.server.who = Attribution::Tombstone(PodIdentity { mesh: Mesh::None, ..identity });
    record.server.service = Some(key("search", "es-headless"));
    let said = json(&record)["server"].clone();
    assert_eq!((&said["pod"], &said["pod_gone"]), (&json!("es-1"), &json!(true)));
    assert_eq!(said["service"], "search/es-headless");
}

#[test]
fn an_undetermined_record_lists_what_is_open() {
    let mut record = rejected();
    record.verdict.class = Class::Undetermined;
    record.verdict.reason = None;
    record.verdict.causes.clear();
    record.verdict.candidates = vec![
        Candidate { reason: Reason::Blackhole, cause: Some(Cause::PortUndeclared) },
        Candidate { reason: Reason::HeadlessTcp, cause: None },
    ];
    record.revises = Some((Class::Rejected, Some(Reason::ServerFirstStall)));
    let said = json(&record);
    assert_eq!((&said["reason"], &said["cause"], &said["causes"]), (&Value::Null, &Value::Null, &json!([])));
    assert_eq!(
        said["candidates"],
        json!([
            {"class": "rejected", "reason": "blackhole", "cause": "port-undeclared"},
            {"class": "opaque-tcp", "reason": "headless-tcp", "cause": null}
        ])
    );
    assert_eq!(said["revises"], json!({"class": "rejected", "reason": "server-first-stall"}));
}

/// The public codes, every one of them, as they were first published: changing one breaks somebody's query.
#[test]
fn every_code_as_published() {
    let mut record = rejected();
    let mut codes = Vec::new();
    let mut take = |record: &FlowRecord, pointer: &str| codes.push(json(record).pointer(pointer).unwrap().clone());
    for reporter in [Reporter::Source, Reporter::Destination] {
        record.reporter = reporter;
        take(&record, "/reporter");
    }
    for class in Class::ALL {
        record.verdict.class = *class;
        take(&record, "/class");
    }
    for reason in Reason::ALL {
        record.verdict.reason = Some(*reason);
        take(&record, "/reason");
    }
    for cause in Cause::ALL {
        record.verdict.causes = smallvec::smallvec![*cause];
        take(&record, "/cause");
    }
    for security in Security::ALL {
        record.verdict.security = *security;
        take(&record, "/security");
    }
    for basis in Basis::ALL {
        record.verdict.basis = *basis;
        take(&record, "/basis");
    }
    for scope in [Scope::Connection, Scope::FirstRequest] {
        record.scope = scope;
        take(&record, "/scope");
    }
    for seen_from in [SeenFrom::Start, SeenFrom::Middle] {
        record.seen_from = seen_from;
        take(&record, "/seen_from");
    }
    for traffic in [Traffic::App, Traffic::Probe, Traffic::Scrape] {
        record.traffic = traffic;
        take(&record, "/traffic");
    }
    for outcome in [
        Outcome::Established,
        Outcome::Refused,
        Outcome::Reset,
        Outcome::TimedOut,
        Outcome::Unreachable,
        Outcome::Abandoned,
        Outcome::Dropped,
        Outcome::StillConnecting,
        Outcome::Closed,
    ] {
        record.outcome = outcome;
        take(&record, "/outcome");
    }
    for kind in [LegKind::App, LegKind::Capture, LegKind::Upstream, LegKind::Inbound, LegKind::Local] {
        record.legs[0].kind = kind;
        take(&record, "/legs/0/kind");
    }
    for by in [ResetBy::Client, ResetBy::Server] {
        record.legs[0].reset_by = Some(by);
        take(&record, "/legs/0/reset_by");
    }
    for kind in EVIDENCE {
        record.evidence[0].kind = kind;
        take(&record, "/evidence/0/kind");
    }
    for mesh in [Mesh::Sidecar, Mesh::Ambient, Mesh::None, Mesh::Unknown] {
        let Attribution::Pod(identity) = pod("shop", "web-0", "web") else { unreachable!("a pod was made") };
        record.client.who = Attribution::Pod(PodIdentity { mesh, ..identity });
        take(&record, "/client/mesh");
    }
    for why in [UnknownReason::FactsNotSynced, UnknownReason::PodNotSeenYet, UnknownReason::AddressNotUnique] {
        record.client.who = Attribution::Unknown(why);
        take(&record, "/client/pod_unknown");
    }
    let said: Vec<&str> = codes.iter().map(|code| code.as_str().unwrap()).collect();
    let published: Vec<&str> = include_str!("codes.txt").split_whitespace().collect();
    assert_eq!(said, published);
}

const EVIDENCE: [EvidenceKind; 16] = [
    EvidenceKind::Captured,
    EvidenceKind::UpstreamConnect,
    EvidenceKind::FirstBytes,
    EvidenceKind::InboundCaptured,
    EvidenceKind::LocalLeg,
    EvidenceKind::LocalRefused,
    EvidenceKind::Reset,
    EvidenceKind::ClosedUnread,
    EvidenceKind::Hbone,
    EvidenceKind::Dropped,
    EvidenceKind::SynRetransmit,
    EvidenceKind::TimedOut,
    EvidenceKind::Unreachable,
    EvidenceKind::Abandoned,
    EvidenceKind::Refused,
    EvidenceKind::Silent,
];

#[test]
fn a_line_is_read_as_it_was_written() {
    let record = Record::new(&rejected(), &origin(), epoch());
    assert_eq!(wire::read(&wire::write(&record)).unwrap(), Line::Record(Box::new(record)));

    let loss = Loss { events: 3, records: 1 };
    let line = loss.line("2026-11-23T10:00:00Z".parse().unwrap(), &"n1".into());
    assert_eq!(wire::read(&line).unwrap(), Line::Lost(loss));
}

#[test]
fn later_fields_are_no_obstacle_and_garbage_is_told_from_another_version() {
    let record = Record::new(&rejected(), &origin(), epoch());
    let mut value: Value = serde_json::from_str(&wire::write(&record)).unwrap();
    value["invented_later"] = json!({"a": [1]});
    value["client"]["zone"] = json!("eu-1a");
    value["evidence"][0]["kind"] = json!("a-kind-of-tomorrow");
    let Ok(Line::Record(read)) = wire::read(&value.to_string()) else { panic!("added fields are ignored") };
    assert_eq!(read.evidence[0].kind, "a-kind-of-tomorrow");

    value["version"] = json!("v2");
    assert!(matches!(wire::read(&value.to_string()), Err(wire::Garbage::Version(version)) if version == "v2"));
    for garbage in ["", "{", "null", "[]", "{}", "flow", r#"{"version":"v1"}"#, "\u{0}\u{1}"] {
        assert!(matches!(wire::read(garbage), Err(wire::Garbage::Json(_))), "{garbage:?}");
    }
}

#[test]
fn ids_differ_by_node_start_and_flow() {
    let id = |record: &FlowRecord, origin: &wire::Origin| Record::new(record, origin, epoch()).id;
    let one = rejected();
    let mut two = rejected();
    two.id = tracer_engine::record::FlowId(43);
    let mut restarted = (*origin()).clone();
    restarted.started = "2026-11-23T09:00:00.001Z".parse().unwrap();
    let ids = [id(&one, &origin()), id(&two, &origin()), id(&one, &restarted)];
    assert!(ids[0] != ids[1] && ids[0] != ids[2], "{ids:?}");
    assert_eq!(id(&one, &origin()), ids[0]);
}

#[test]
fn ipv6_ends_are_bracketed_in_legs() {
    let mut record = rejected();
    record.legs[0].server = tracer_engine::net::Endpoint::new("fd00::7".parse().unwrap(), 9300);
    record.client.ip = ip(9);
    assert_eq!(json(&record)["legs"][0]["server"], "[fd00::7]:9300");
}
