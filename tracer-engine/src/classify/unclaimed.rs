//! A connection attempt of which this node has no socket at all: its SYN came from elsewhere and was dropped here, before
//! there could be one. Only the drop tells of it.

use super::fates::NO_SOCKET;
use super::report::{party, traffic};
use crate::flow::Losses;
use crate::mesh::facts::{Enrolment, Pod};
use crate::mesh::index::{Index, Occupant};
use crate::net::{Endpoint, Ktime};
use crate::record::{self, EvidenceKind, FlowId, FlowRecord, LegKind, Outcome, Reporter, Scope, SeenFrom, Walked};
use crate::verdict::{Basis, Causes, Reason, Security, Verdict};
use smallvec::SmallVec;

/// Redirected to a proxy that is not there.
fn is_proxys(pod: &Pod, port: u16) -> bool {
    matches!(&*pod.enrolment, Enrolment::Sidecar(proxy) if proxy.capture.inbound_port == port)
}

/// The record of it; `None` where no pod of the mesh's facts was dialled.
pub(crate) fn record(index: &Index, serial: u64, losses: &Losses, at: Ktime) -> Option<FlowRecord> {
    let Losses { first, client, server, opening: _, reasons } = losses;
    let refused = reasons.iter().all(|(why, _)| **why == *NO_SOCKET);
    let reason = match index.occupant(server.ip, *first) {
        Occupant::Tombstone(_) => Reason::StalePodIp,
        Occupant::Pod(_) if !refused => Reason::Dropped,
        Occupant::Pod(pod) if is_proxys(pod, server.port) => Reason::Refused,
        Occupant::Pod(_) => Reason::AppNotListening,
        _ => return None,
    };
    let who = |at: Endpoint| party(at, index.occupant(at.ip, *first), None);
    let (from, to) = (who(*client), who(*server));
    let said = |(reason, count): &(crate::net::Name, u64)| record::Evidence {
        kind: EvidenceKind::Dropped,
        leg: LegKind::App,
        says: format!("the kernel dropped {count} packets of the handshake: {reason}").into(),
    };
    Some(FlowRecord {
        at,
        id: FlowId(serial),
        reporter: Reporter::Destination,
        traffic: traffic(&from, &to),
        verdict: Verdict {
            class: reason.class(),
            reason: Some(reason),
            causes: Causes::new(),
            kernel: reasons.first().map(|(kernel, _)| kernel.clone()).filter(|_| reason == Reason::Dropped),
            security: Security::Unknown,
            basis: Basis::Observed,
            candidates: Vec::new(),
        },
        client: from,
        server: to,
        handshake: None,
        seen_from: SeenFrom::Start,
        legs_ambiguous: false,
        scope: Scope::Connection,
        revises: None,
        outcome: if refused { Outcome::Refused } else { Outcome::Dropped },
        connect: None,
        bytes_sent: 0,
        bytes_received: 0,
        syn_retransmits: 0,
        legs: Vec::new(),
        evidence: reasons.iter().map(said).collect(),
        drops: reasons.iter().map(|(reason, count)| record::Drop { reason: reason.clone(), count: *count }).collect(),
        events_lost: 0,
        // Who dialled what is known, but of a connection that never was there is no way to walk.
        walked: Walked { since: *first, calls: SmallVec::new(), ends: SmallVec::new() },
    })
}
