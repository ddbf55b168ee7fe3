//! Flows between as many workloads as are wanted, every other one rejected.

use std::time::Duration;
use tracer_engine::mesh::facts::{ObjectKey, Workload};
use tracer_engine::net::{Ktime, Name};
use tracer_engine::record::{
    Attribution, FlowId, FlowRecord, Mesh, Outcome, Party, PodIdentity, Reporter, Scope, SeenFrom, Traffic, Walked,
};
use tracer_engine::verdict::{Basis, Cause, Class, Reason, Security, Verdict};

pub(crate) fn flow(number: usize) -> FlowRecord {
    let who = |number: usize| {
        let namespace: Name = format!("team-{}", number % 100).into();
        Attribution::Pod(PodIdentity {
            pod: ObjectKey { namespace, name: format!("workload-{number}-0").into() },
            workload: Workload { kind: "StatefulSet".into(), name: format!("workload-{number}").into() },
            mesh: Mesh::Sidecar,
            node: "n1".into(),
        })
    };
    let party = |number, port| Party { ip: [10, 0, 0, 1].into(), port, who: who(number), service: None };
    let rejected = number.is_multiple_of(2);
    let (class, reason) =
        if rejected { (Class::Rejected, Reason::PlaintextToStrict) } else { (Class::MeshRouted, Reason::HostMatched) };
    FlowRecord {
        at: Ktime(1),
        id: FlowId(number as u64),
        reporter: Reporter::Source,
        client: party(number, 40_000),
        server: party(number + 1, 8080),
        verdict: Verdict {
            class,
            reason: Some(reason),
            causes: rejected.then_some(Cause::PortUndeclared).into_iter().collect(),
            security: Security::None,
            kernel: None,
            basis: Basis::Observed,
            candidates: Vec::new(),
        },
        handshake: None,
        seen_from: SeenFrom::Start,
        traffic: Traffic::App,
        legs_ambiguous: false,
        scope: Scope::Connection,
        revises: None,
        outcome: Outcome::Closed,
        connect: Some(Duration::from_micros(300)),
        bytes_sent: 1,
        bytes_received: 1,
        syn_retransmits: 0,
        legs: Vec::new(),
        evidence: Vec::new(),
        drops: Vec::new(),
        events_lost: 0,
        walked: Walked { since: Ktime(0), calls: [].into_iter().collect(), ends: [].into_iter().collect() },
    }
}
