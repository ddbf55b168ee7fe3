//! From a judged flow to its record.

use super::call::Calls;
use super::name::Open;
use super::news;
use crate::evidence::{Seen, arrived_port};
use crate::flow::{FlowView, Leg, LegEnd, Role, Side};
use crate::mesh::facts::ObjectKey;
use crate::mesh::index::{Index, Occupant};
use crate::mesh::registry::CLUSTER_SUFFIX;
use crate::net::{Endpoint, Ktime};
use crate::record::{
    self, Attribution, FlowId, FlowRecord, LegKind, Outcome, Party, Reporter, ResetBy, Scope, SeenFrom, Traffic, Walked,
};
use crate::socket::{ConnectError, Payload};
use crate::verdict::{self, Class, Reason, Verdict};
use crate::walk;
use smallvec::SmallVec;

/// What is said of a flow, and from what.
#[derive(Clone, Debug)]
pub struct Opinion {
    pub verdict: Verdict,
    pub reporter: Reporter,
    pub scope: Scope,
    /// The Service whose cluster the source's proxy chose, where what remains agrees on one.
    pub service: Option<ObjectKey>,
    pub evidence: Vec<record::Evidence>,
    /// What the walk was asked.
    pub(super) calls: Calls,
    /// The ends of the walk that are left, whatever became of the flow there.
    pub(super) ends: SmallVec<[verdict::Candidate; 2]>,
}

/// Ports of a sidecar that only machines ask: health, and metrics.
const HEALTH: u16 = 15021;
const AGENT: u16 = 15020;
const METRICS: u16 = 15090;

impl Opinion {
    pub(super) fn new(
        verdict: Verdict,
        reporter: Reporter,
        flow: &FlowView<'_>,
        seen: &Seen<'_>,
        open: &Open<'_>,
    ) -> Self {
        let app = app_kind(flow);
        Self {
            verdict,
            reporter,
            scope: scope(flow),
            service: chosen_service(open.iter().map(|candidate| candidate.outcome)),
            evidence: seen.iter().map(|piece| piece.line(app)).collect(),
            calls: Calls::new(),
            ends: ends(open),
        }
    }

    /// It may be revised if bytes flow after all.
    pub fn is_stall(&self) -> bool {
        self.verdict.reason == Some(Reason::ServerFirstStall)
    }

    /// The record of it. `revises`: what was said before.
    pub fn record(
        self,
        index: &Index,
        flow: &FlowView<'_>,
        at: Ktime,
        revises: Option<(Class, Option<Reason>)>,
    ) -> FlowRecord {
        let since = news::as_of(index, flow);
        let (client, server) = addresses(flow);
        let dialler = flow.root.client.as_ref().map(|end| index.owner(&end.socket, since));
        let client = party(client, dialler.unwrap_or_else(|| index.occupant(client.ip, since)), None);
        // A captured client's own socket has the dialled address at its other end: whoever answers there is another's.
        let answered = flow.hop().and_then(|hop| hop.server.as_ref()).filter(|end| end.socket.local.ip == server.ip);
        let answerer = answered.map(|end| index.owner(&end.socket, since));
        let server = party(server, answerer.unwrap_or_else(|| index.occupant(server.ip, since)), self.service);
        FlowRecord {
            at,
            id: flow_id(flow),
            reporter: self.reporter,
            traffic: traffic(&client, &server),
            verdict: self.verdict,
            handshake: flow.hop().and_then(|hop| hop.handshake).or(flow.root.handshake),
            seen_from: if flow.adopted() { SeenFrom::Middle } else { SeenFrom::Start },
            legs_ambiguous: flow.ambiguous(),
            scope: self.scope,
            revises,
            outcome: outcome(flow),
            // Both at once: when it dialled was not seen.
            connect: flow
                .root
                .client
                .as_ref()
                .and_then(|end| Some(end.opened?.since(end.since)))
                .filter(|took| !took.is_zero()),
            bytes_sent: flow.root.client_bytes().unwrap_or(0),
            bytes_received: flow.root.server_bytes().unwrap_or(0),
            syn_retransmits: flow.retransmits(),
            legs: legs(flow),
            evidence: self.evidence,
            drops: drops(flow),
            events_lost: flow.events_lost,
            walked: Walked { since, calls: self.calls, ends: self.ends },
            client,
            server,
        }
    }
}

fn ends(open: &Open<'_>) -> SmallVec<[verdict::Candidate; 2]> {
    let mut ends = SmallVec::new();
    for candidate in open {
        let end = candidate.outcome;
        let end = verdict::Candidate { reason: end.reason, cause: end.causes.first().copied() };
        if !ends.contains(&end) {
            ends.push(end);
        }
    }
    ends
}

pub(crate) fn flow_id(flow: &FlowView<'_>) -> FlowId {
    FlowId(flow.root.key().serial())
}

/// What the root leg is called: the application's, unless only the destination's proxy was seen.
fn app_kind(flow: &FlowView<'_>) -> LegKind {
    match (&flow.root.client, &flow.root.server) {
        (None, Some(server)) if server.role == Role::Inbound => LegKind::Inbound,
        _ => LegKind::App,
    }
}

fn scope(flow: &FlowView<'_>) -> Scope {
    let handed_on = flow.local.iter().rev().find_map(|leg| leg.client_sent());
    let said = [flow.root.client_sent(), handed_on].into_iter().flatten();
    let mut http = said.filter(|first| matches!(first.payload, Payload::Http1 { .. } | Payload::Http2 { .. }));
    if http.next().is_some() { Scope::FirstRequest } else { Scope::Connection }
}

/// The Service whose cluster all of these ends chose.
pub(crate) fn chosen_service<'a>(ends: impl Iterator<Item = &'a walk::outcome::Outcome>) -> Option<ObjectKey> {
    let mut chosen = ends.map(|end| end.path.hop.as_ref()?.cluster.as_ref());
    let first = chosen.next()??;
    if !chosen.all(|other| other.is_some_and(|cluster| cluster.host == first.host)) {
        return None;
    }
    let (name, namespace) = first.host.strip_suffix(CLUSTER_SUFFIX)?.split_once('.')?;
    Some(ObjectKey { namespace: namespace.into(), name: name.into() })
}

/// Who dialled and what; of what was only seen to arrive, where.
fn addresses(flow: &FlowView<'_>) -> (Endpoint, Endpoint) {
    let nobody = Endpoint::new(std::net::Ipv4Addr::UNSPECIFIED.into(), 0);
    match (&flow.root.client, &flow.root.server) {
        (Some(client), _) => (client.socket.local, client.socket.remote),
        (None, Some(server)) => {
            let port = arrived_port(flow).unwrap_or(server.socket.local.port);
            (server.socket.remote, Endpoint { port, ..server.socket.local })
        }
        (None, None) => (nobody, nobody),
    }
}

/// One end, and who that is.
pub(crate) fn party(at: Endpoint, who: Occupant<'_>, service: Option<ObjectKey>) -> Party {
    let vip = match &who {
        Occupant::Service(service) => Some(service.key.clone()),
        _ => None,
    };
    Party { ip: at.ip, port: at.port, who: who.attribution(), service: service.or(vip) }
}

pub(super) fn traffic(client: &Party, server: &Party) -> Traffic {
    match server.port {
        METRICS => Traffic::Scrape,
        HEALTH => Traffic::Probe,
        _ => match (&client.who, &server.who) {
            // kubelet probes from the address of the pod's own node.
            (Attribution::Node(node), Attribution::Pod(pod)) if *node == pod.node => Traffic::Probe,
            _ if server.port == AGENT => Traffic::Scrape,
            _ => Traffic::App,
        },
    }
}

fn outcome(flow: &FlowView<'_>) -> Outcome {
    let hop = flow.hop().filter(|hop| hop.failed().is_some() || hop.unanswered());
    of_leg(hop.unwrap_or(flow.root), flow.captured())
}

fn of_leg(leg: &Leg, by_proxy: bool) -> Outcome {
    match leg.failed() {
        Some(error) => outcome_of(error, by_proxy),
        None if leg.unanswered() => Outcome::StillConnecting,
        None if leg.reset_by().is_some() => Outcome::Reset,
        None if leg.closed_at().is_some() => Outcome::Closed,
        None => Outcome::Established,
    }
}

/// A proxy gives up by itself, without a kernel error: nobody answered it.
pub(crate) fn outcome_of(error: ConnectError, by_proxy: bool) -> Outcome {
    match error {
        ConnectError::Refused | ConnectError::RefusedByIcmp => Outcome::Refused,
        ConnectError::TimedOut => Outcome::TimedOut,
        ConnectError::Unreachable(_) | ConnectError::Other(_) => Outcome::Unreachable,
        ConnectError::Abandoned if by_proxy => Outcome::TimedOut,
        ConnectError::Abandoned | ConnectError::NoLocalPort => Outcome::Abandoned,
    }
}

fn legs(flow: &FlowView<'_>) -> Vec<record::Leg> {
    let mut legs = Vec::new();
    for leg in flow.legs() {
        let reset_by = leg.reset_by().map(|side| match side {
            Side::Client => ResetBy::Client,
            Side::Server => ResetBy::Server,
        });
        let by_proxy = leg.client.as_ref().is_some_and(|end| end.role != Role::App);
        let outcome = of_leg(leg, by_proxy);
        let mut push = |kind: LegKind, client: Endpoint, server: Endpoint| {
            legs.push(record::Leg { kind, client, server, outcome, reset_by });
        };
        if let Some(LegEnd { socket, role, .. }) = &leg.client {
            push(kind(*role, flow, leg), socket.local, socket.remote);
        }
        let shown = |end: &&LegEnd| end.role != Role::Accepted || leg.client.is_none();
        if let Some(LegEnd { socket, role, .. }) = leg.server.as_ref().filter(shown) {
            push(kind(*role, flow, leg), socket.remote, socket.local);
        }
    }
    legs
}

fn kind(role: Role, flow: &FlowView<'_>, leg: &Leg) -> LegKind {
    match role {
        Role::Capture => LegKind::Capture,
        Role::Inbound => LegKind::Inbound,
        Role::Local => LegKind::Local,
        Role::Proxy if leg.key() != flow.root.key() => LegKind::Upstream,
        Role::App | Role::Proxy | Role::Accepted => LegKind::App,
    }
}

fn drops(flow: &FlowView<'_>) -> Vec<record::Drop> {
    let mut all: Vec<record::Drop> = Vec::new();
    for (reason, count) in flow.dropped.iter().flat_map(|(_, losses)| &losses.reasons) {
        match all.iter_mut().find(|drop| drop.reason == *reason) {
            Some(drop) => drop.count += count,
            None => all.push(record::Drop { reason: reason.clone(), count: *count }),
        }
    }
    all
}
