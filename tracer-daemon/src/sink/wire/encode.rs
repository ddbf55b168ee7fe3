//! From the engine's record to the public one. Every field of the engine's is taken apart by name, so a new one does
//! not compile until somebody has decided what the public sees of it.

use super::codes::Spell;
use super::record::{Candidate, Drop, Evidence, Leg, Party, Record, Revised, Server};
use super::{Code, VERSION};
use crate::clock::Epoch;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::time::Duration;
use tracer_engine::mesh::facts::{ObjectKey, Workload};
use tracer_engine::net::Name;
use tracer_engine::record::{self as engine, Attribution, FlowId, FlowRecord, Outcome, PodIdentity, SeenFrom};
use tracer_engine::socket::Handshake;
use tracer_engine::verdict::{self, Text, Verdict};

/// What a record does not know of itself: where and when the daemon that tells it was started.
#[derive(Clone, Debug)]
pub struct Origin {
    pub node: Name,
    /// Start of the daemon: keeps ids of one start apart from those of the next.
    pub started: Timestamp,
}

impl Origin {
    /// The id that a flow's records bear.
    pub fn spell(&self, id: FlowId) -> String {
        format!("{}-{:x}-{}", self.node, self.started.as_millisecond(), id.0)
    }

    /// `None`: another node's, or of another start of the daemon.
    pub fn flow(&self, id: &str) -> Option<FlowId> {
        let started = format!("{:x}-", self.started.as_millisecond());
        let serial = id.strip_prefix(&*self.node)?.strip_prefix('-')?.strip_prefix(&started)?;
        serial.parse().ok().map(FlowId)
    }
}

impl Record {
    pub fn new(record: &FlowRecord, origin: &Origin, epoch: Epoch) -> Self {
        let Text { explanation, remedy, promise: _ } = said(record);
        let causes: Vec<Code> = record.verdict.spelled_causes().map(|cause| Code::Owned(cause.to_owned())).collect();
        let FlowRecord {
            at,
            id,
            reporter,
            client,
            server,
            verdict: Verdict { class, reason, causes: _, kernel: _, security, basis, candidates },
            handshake,
            seen_from,
            traffic,
            legs_ambiguous,
            scope,
            revises,
            outcome,
            connect,
            bytes_sent,
            bytes_received,
            syn_retransmits,
            legs,
            evidence,
            drops,
            events_lost,
            walked: _,
        } = record;
        Self {
            version: Code::Borrowed(VERSION),
            time: epoch.at(*at),
            node: origin.node.clone(),
            id: origin.spell(*id),
            reporter: reporter.code().into(),
            client: client.into(),
            server: server.into(),
            class: class.code().into(),
            reason: reason.map(|reason| reason.code().into()),
            cause: causes.first().cloned(),
            causes,
            security: security.code().into(),
            basis: basis.code().into(),
            candidates: candidates.iter().map(Candidate::from).collect(),
            scope: scope.code().into(),
            handshake: handshake.map(fingerprint),
            handshake_unknown: handshake.is_none().then(|| unread(*seen_from, *outcome, connect.is_some())),
            seen_from: seen_from.code().into(),
            traffic: traffic.code().into(),
            legs_ambiguous: *legs_ambiguous,
            revises: revises.map(|(class, reason)| Revised {
                class: class.code().into(),
                reason: reason.map(|reason| reason.code().into()),
            }),
            outcome: outcome.code().into(),
            connect_us: connect.map(micros),
            connect_us_unknown: connect.is_none().then(|| unmeasured(*reporter, *seen_from, *outcome)),
            bytes_sent: *bytes_sent,
            bytes_received: *bytes_received,
            syn_retransmits: *syn_retransmits,
            legs: legs.iter().map(Leg::from).collect(),
            evidence: evidence.iter().map(Evidence::from).collect(),
            drops: drops.iter().map(Drop::from).collect(),
            explanation: explanation.to_owned(),
            remedy: remedy.to_owned(),
            events_lost: *events_lost,
        }
    }
}

impl From<&engine::Party> for Party {
    fn from(party: &engine::Party) -> Self {
        let Server { ip, port, namespace, pod, pod_unknown, pod_gone, workload, workload_kind, service: _, mesh } =
            Server::from(party);
        Self { ip, port, namespace, pod, pod_unknown, pod_gone, workload, workload_kind, mesh }
    }
}

impl From<&engine::Party> for Server {
    fn from(engine::Party { ip, port, who, service }: &engine::Party) -> Self {
        match who {
            Attribution::Pod(identity) => Self { service: key(service.as_ref()), ..pod(*ip, *port, identity) },
            Attribution::Tombstone(identity) => {
                Self { service: key(service.as_ref()), pod_gone: true, ..pod(*ip, *port, identity) }
            }
            Attribution::Service(own) => Self {
                namespace: Some(own.namespace.clone()),
                service: key(Some(service.as_ref().unwrap_or(own))),
                ..nobody(*ip, *port, "service", engine::Mesh::Unknown)
            },
            Attribution::Node(name) => Self {
                workload: Some(name.clone()),
                workload_kind: Some("Node".into()),
                service: key(service.as_ref()),
                ..nobody(*ip, *port, "node", engine::Mesh::None)
            },
            Attribution::External => {
                Self { service: key(service.as_ref()), ..nobody(*ip, *port, "external", engine::Mesh::None) }
            }
            Attribution::Unknown(why) => {
                Self { service: key(service.as_ref()), ..nobody(*ip, *port, why.code(), engine::Mesh::Unknown) }
            }
        }
    }
}

impl From<&verdict::Candidate> for Candidate {
    fn from(verdict::Candidate { reason, cause }: &verdict::Candidate) -> Self {
        Self {
            class: reason.class().code().into(),
            reason: reason.code().into(),
            cause: cause.map(|cause| cause.code().into()),
        }
    }
}

impl From<&engine::Leg> for Leg {
    fn from(engine::Leg { kind, client, server, outcome, reset_by }: &engine::Leg) -> Self {
        Self {
            kind: kind.code().into(),
            client: client.to_string(),
            server: server.to_string(),
            outcome: outcome.code().into(),
            reset_by: reset_by.map(|by| by.code().into()),
        }
    }
}

impl From<&engine::Evidence> for Evidence {
    fn from(engine::Evidence { kind, leg, says }: &engine::Evidence) -> Self {
        Self { kind: kind.code().into(), leg: leg.code().into(), says: says.clone().into_owned() }
    }
}

impl From<&engine::Drop> for Drop {
    fn from(engine::Drop { reason, count }: &engine::Drop) -> Self {
        Self { reason: reason.clone(), count: *count }
    }
}

fn pod(ip: IpAddr, port: u16, identity: &PodIdentity) -> Server {
    let PodIdentity { pod: ObjectKey { namespace, name }, workload: Workload { kind, name: workload }, mesh, node: _ } =
        identity;
    Server {
        ip,
        port,
        namespace: Some(namespace.clone()),
        pod: Some(name.clone()),
        pod_unknown: None,
        pod_gone: false,
        workload: Some(workload.clone()),
        workload_kind: Some(kind.clone()),
        service: None,
        mesh: mesh.code().into(),
    }
}

fn nobody(ip: IpAddr, port: u16, why: &'static str, mesh: engine::Mesh) -> Server {
    Server {
        ip,
        port,
        namespace: None,
        pod: None,
        pod_unknown: Some(why.into()),
        pod_gone: false,
        workload: None,
        workload_kind: None,
        service: None,
        mesh: mesh.code().into(),
    }
}

fn key(service: Option<&ObjectKey>) -> Option<String> {
    service.map(|ObjectKey { namespace, name }| format!("{namespace}/{name}"))
}

/// The first 64 bits of SHA-256 over both ISNs, the client's first, big-endian: both ends' nodes compute the same,
/// and nobody can inject into a connection by a log.
fn fingerprint(Handshake { client_isn, server_isn }: Handshake) -> String {
    use std::fmt::Write;
    let digest = Sha256::new().chain_update(client_isn.to_be_bytes()).chain_update(server_isn.to_be_bytes()).finalize();
    digest.iter().take(8).fold(String::with_capacity(16), |mut hex, byte| {
        // Writing into a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn unread(seen_from: SeenFrom, outcome: Outcome, connected: bool) -> Code {
    match (seen_from, outcome) {
        (SeenFrom::Middle, _) => "opened-before-the-tracer",
        (SeenFrom::Start, outcome) if !connected && never_established(outcome) => "not-established",
        (SeenFrom::Start, _) => "not-seen",
    }
    .into()
}

fn unmeasured(reporter: engine::Reporter, seen_from: SeenFrom, outcome: Outcome) -> Code {
    match (reporter, seen_from) {
        (engine::Reporter::Destination, _) => "seen-at-destination",
        (engine::Reporter::Source, SeenFrom::Middle) => "opened-before-the-tracer",
        (engine::Reporter::Source, SeenFrom::Start) if never_established(outcome) => "not-established",
        (engine::Reporter::Source, SeenFrom::Start) => "not-seen",
    }
    .into()
}

fn never_established(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Refused
        | Outcome::TimedOut
        | Outcome::Unreachable
        | Outcome::Abandoned
        | Outcome::Dropped
        | Outcome::StillConnecting => true,
        Outcome::Established | Outcome::Reset | Outcome::Closed => false,
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros().try_into().unwrap_or(u64::MAX)
}

fn said(FlowRecord { verdict, outcome, .. }: &FlowRecord) -> Text {
    match (verdict.reason, outcome) {
        (None, Outcome::StillConnecting) => verdict::still_connecting(),
        _ => verdict.text(),
    }
}
