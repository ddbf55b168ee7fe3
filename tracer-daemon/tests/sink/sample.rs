//! One flow with something to say in every field: Elasticsearch peers on an undeclared port under STRICT.

use smallvec::smallvec;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tracer_daemon::clock::Epoch;
use tracer_daemon::sink::wire::Origin;
use tracer_engine::mesh::facts::{ObjectKey, Workload};
use tracer_engine::net::{Endpoint, Ktime};
use tracer_engine::record::{
    Attribution, Drop, Evidence, EvidenceKind, FlowId, FlowRecord, Leg, LegKind, Mesh, Outcome, Party, PodIdentity,
    Reporter, ResetBy, Scope, SeenFrom, Traffic, Walked,
};
use tracer_engine::socket::Handshake;
use tracer_engine::verdict::{Basis, Cause, Class, Reason, Security, Verdict};

pub(crate) fn origin() -> Arc<Origin> {
    Arc::new(Origin { node: "n1".into(), started: "2026-11-23T09:00:00Z".parse().unwrap() })
}

pub(crate) fn epoch() -> Epoch {
    Epoch::from_boot("2026-11-23T10:00:00Z".parse().unwrap())
}

pub(crate) fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 244, 0, last).into()
}

pub(crate) fn pod(namespace: &str, name: &str, workload: &str) -> Attribution {
    Attribution::Pod(PodIdentity {
        pod: key(namespace, name),
        workload: Workload { kind: "StatefulSet".into(), name: workload.into() },
        mesh: Mesh::Sidecar,
        node: "n1".into(),
    })
}

pub(crate) fn key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey { namespace: namespace.into(), name: name.into() }
}

pub(crate) fn rejected() -> FlowRecord {
    let client = Endpoint::new(ip(5), 57282);
    let server = Endpoint::new(ip(7), 9300);
    FlowRecord {
        at: Ktime(123_456_789),
        id: FlowId(42),
        reporter: Reporter::Source,
        client: Party { ip: client.ip, port: client.port, who: pod("shop", "web-0", "web"), service: None },
        server: Party { ip: server.ip, port: server.port, who: pod("search", "es-2", "es"), service: None },
        verdict: Verdict {
            class: Class::Rejected,
            reason: Some(Reason::PlaintextToStrict),
            causes: smallvec![Cause::PortUndeclared, Cause::EndpointTooNew],
            security: Security::None,
            kernel: None,
            basis: Basis::Observed,
            candidates: Vec::new(),
        },
        handshake: Some(Handshake { client_isn: 1, server_isn: 2 }),
        seen_from: SeenFrom::Start,
        traffic: Traffic::App,
        legs_ambiguous: false,
        scope: Scope::FirstRequest,
        revises: None,
        outcome: Outcome::Reset,
        connect: Some(Duration::from_micros(410)),
        bytes_sent: 78,
        bytes_received: 0,
        syn_retransmits: 0,
        legs: vec![
            Leg { kind: LegKind::App, client, server, outcome: Outcome::Closed, reset_by: None },
            Leg {
                kind: LegKind::Upstream,
                client: Endpoint::new(ip(5), 57288),
                server,
                outcome: Outcome::Reset,
                reset_by: Some(ResetBy::Server),
            },
        ],
        evidence: vec![Evidence { kind: EvidenceKind::FirstBytes, leg: LegKind::Upstream, says: "plaintext".into() }],
        drops: vec![Drop { reason: "NETFILTER_DROP".into(), count: 1 }],
        events_lost: 0,
        walked: Walked { since: Ktime(0), calls: smallvec![], ends: smallvec![] },
    }
}
