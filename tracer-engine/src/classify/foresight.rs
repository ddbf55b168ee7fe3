//! What flows ask of the facts.

use super::call;
use super::fates::leads_to;
use super::walks::Walks;
use crate::flow::{FlowView, Foresight, Proxy};
use crate::mesh::facts::{Enrolment, InterceptionMode, Pod};
use crate::mesh::index::{Index, Occupant};
use crate::net::{Endpoint, Ktime};
use crate::socket::Payload;
use crate::walk::outcome::{ArrivalEnd, HopBytes, Outcome, Sends};
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;

/// The facts, as far as flows need them.
pub struct Facts<'a> {
    pub(crate) index: &'a Index,
    pub(super) walks: &'a mut Walks,
    /// First payloads are read at all: that nothing was said yet is known.
    pub(super) first_bytes: bool,
}

impl Foresight for Facts<'_> {
    fn proxy(&mut self, ip: IpAddr, at: Ktime) -> Option<Proxy> {
        match self.index.occupant(ip, at) {
            Occupant::Pod(pod) | Occupant::Tombstone(pod) => proxy_of(pod),
            Occupant::Unknown(_) => Some(Proxy::default()),
            Occupant::Service(_) | Occupant::Node(_) | Occupant::External => None,
        }
    }

    fn expects(&mut self, flow: &FlowView<'_>, to: Endpoint, by: Ktime) -> bool {
        let (said, first_bytes) = (flow.said_by(by), self.first_bytes);
        let sends = said.map_or(Sends::Unknown, call::sends_of);
        let Some(outcomes) = self.outcomes(flow, sends) else { return true };
        let leads = |outcome: &Outcome| {
            let ready = said.is_some() || !outcome.path.source_sniffs || !first_bytes;
            ready && outcome.path.captured && outcome.path.hop.as_ref().is_some_and(|hop| leads_to(&hop.to, to))
        };
        outcomes.is_empty() || outcomes.iter().any(leads)
    }

    fn confirms(&mut self, flow: &FlowView<'_>, to: Endpoint, seen: &str) -> bool {
        let sends = flow.root.client_sent().map_or(Sends::Unknown, |first| call::sends_of(&first.payload));
        let Some(outcomes) = self.outcomes(flow, sends) else { return true };
        let fits = |outcome: &Outcome| {
            outcome.path.hop.as_ref().is_some_and(|hop| {
                leads_to(&hop.to, to) && matches!(&hop.begins, HopBytes::MeshTls { sni, .. } if **sni == *seen)
            })
        };
        // Where no mesh mTLS is foreseen at all, the SNI tells nothing of whose leg it is.
        let foreseen = outcomes
            .iter()
            .any(|outcome| outcome.path.hop.as_ref().is_some_and(|hop| matches!(hop.begins, HopBytes::MeshTls { .. })));
        !foreseen || outcomes.iter().any(fits)
    }

    fn hands_on(&mut self, flow: &FlowView<'_>, said: Option<&Payload>, port: u16) -> bool {
        // What is not read tells nothing, mesh TLS hides what is in it, and a flow known from its source has said its port.
        let hidden = |payload: &Payload| matches!(payload, Payload::ClientHello(hello) if hello.is_mesh());
        if !self.first_bytes || said.is_some_and(|payload| hidden(payload) || flow.root.client.is_some()) {
            return true;
        }
        let sends = said.map_or(Sends::Nothing, call::sends_of);
        let as_sent = |outcome: &&Outcome| outcome.path.hop.as_ref().is_some_and(|hop| hop.begins == HopBytes::AsSent);
        let call = call::from_source(self.index, flow, sends.clone()).or_else(|| {
            let server = flow.root.server.as_ref()?;
            Some(call::between(self.index, &server.socket, server.since, port, sends))
        });
        let Some(call) = call else { return false };
        let outcomes = self.walks.outcomes(self.index, &call, flow.root.since());
        let mut plain = outcomes.iter().filter(as_sent).peekable();
        // Plaintext that the facts do not foresee at all may still be handed on.
        let unforeseen = said.is_some() && plain.peek().is_none();
        let dials = |outcome: &Outcome| {
            let dialling = [ArrivalEnd::Delivered, ArrivalEnd::HandshakeFails];
            outcome.path.arrival.is_some_and(|arrival| arrival.captured && dialling.contains(&arrival.end))
        };
        unforeseen || plain.any(dials)
    }
}

impl Facts<'_> {
    fn outcomes(&mut self, flow: &FlowView<'_>, sends: Sends) -> Option<Arc<[Outcome]>> {
        let call = call::from_source(self.index, flow, sends)?;
        Some(self.walks.outcomes(self.index, &call, flow.root.since()))
    }
}

fn proxy_of(pod: &Pod) -> Option<Proxy> {
    match &*pod.enrolment {
        Enrolment::Sidecar(sidecar) => Some(Proxy {
            outbound_port: sidecar.capture.outbound_port,
            inbound_ports: SmallVec::from_slice(&[sidecar.capture.inbound_port]),
            uids: sidecar.capture.proxy_uids.clone(),
            transparent: sidecar.capture.mode == InterceptionMode::Tproxy,
        }),
        // ztunnel listens inside the pod's namespace; its own sockets bear a mark, whatever their uid.
        Enrolment::Ambient => Some(Proxy { uids: SmallVec::new(), transparent: true, ..Proxy::default() }),
        Enrolment::Gateway | Enrolment::None => None,
    }
}
