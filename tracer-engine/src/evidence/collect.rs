//! Reads the evidence off a flow's legs. What is absent is evidence only where nothing was lost.

use super::{Begins, Evidence, LocalPayload, Responder, Seen};
use crate::flow::{FirstBytes, FlowView, Leg, LegEnd, Role, Side};
use crate::net::Ktime;
use crate::record::LegKind;
use crate::socket::{End, HttpResponse, Payload, Reset};
use std::net::IpAddr;
use std::time::Duration;

/// Where ztunnel and waypoints take tunnels.
const HBONE: u16 = 15008;
/// An encrypted alert record is 24 bytes long, `close_notify` after it too.
const ALERT_AT_MOST: u64 = 64;
/// No pod network splits payloads shorter than this.
const SEGMENT_AT_LEAST: u16 = 1200;

/// What of the surroundings the reading depends on.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    pub now: Ktime,
    pub stall: Duration,
    /// The flow is over, or its deadline is: what did not happen by now is absent.
    pub over: bool,
    /// First payloads are read at all.
    pub first_bytes: bool,
}

pub fn collect<'a>(flow: &FlowView<'a>, at: Circumstances) -> Seen<'a> {
    let mut seen = Seen::new();
    let complete = flow.complete();
    let ended = flow.root.closed_at().is_some();
    application_leg(flow, &mut seen);
    upstream(flow, complete && ended, &mut seen);
    hop(flow, &mut seen);
    arrival(flow, complete, &mut seen);
    answers(flow, &mut seen);
    unanswered(flow, at.over, &mut seen);
    silence(flow, at, &mut seen);
    seen
}

fn application_leg<'a>(flow: &FlowView<'a>, seen: &mut Seen<'a>) {
    if let (Some(_), Some(server)) = (&flow.root.client, &flow.root.server) {
        seen.push(if server.role == Role::Capture { Evidence::Captured } else { Evidence::Uncaptured });
    }
    let Some(first) = flow.root.client_sent() else { return };
    if flow.root.client.is_some() {
        seen.push(Evidence::AppSent(&first.payload));
    }
    if matches!(&first.payload, Payload::ClientHello(hello) if hello.is_mesh()) {
        seen.push(Evidence::AppMeshTls { kept: kept(flow.root) });
    }
}

fn upstream<'a>(flow: &FlowView<'a>, absence_counts: bool, seen: &mut Seen<'a>) {
    for leg in &flow.upstream {
        if let Some(client) = &leg.client {
            seen.push(Evidence::UpstreamConnect { to: client.socket.remote });
        }
    }
    if flow.captured() && flow.upstream.is_empty() && absence_counts {
        seen.push(Evidence::NoUpstream);
    }
}

fn hop<'a>(flow: &FlowView<'a>, seen: &mut Seen<'a>) {
    let Some(hop) = flow.hop() else { return };
    let by_app = flow.root.client.is_some() && !flow.captured();
    let to_hbone = hop.client.as_ref().is_some_and(|end| end.socket.remote.port == HBONE);
    if to_hbone && !by_app {
        seen.push(Evidence::Hbone);
    }
    let Some(begin) = hop.client_sent() else { return };
    let begins = match &begin.payload {
        Payload::ClientHello(hello) if hello.is_mesh() => Begins::MeshTls { sni: hello.sni.as_deref() },
        Payload::ClientHello(_) => Begins::Tls,
        _ => Begins::Plain,
    };
    if !by_app {
        seen.push(Evidence::HopBegins(begins));
    }
    if let Some(answer) = hop.server_sent().filter(|_| begins != Begins::Plain && !by_app) {
        seen.push(Evidence::HopAnswers { tls: matches!(answer.payload, Payload::TlsAnswer { .. }) });
    }
}

fn arrival<'a>(flow: &FlowView<'a>, complete: bool, seen: &mut Seen<'a>) {
    let Some(hop) = flow.hop() else { return };
    if let (None, Some(server)) = (&flow.root.client, &flow.root.server) {
        seen.push(Evidence::ArrivedAt { ip: role_ip(server), port: arrived_port(flow) });
    }
    if let Some(server) = &hop.server {
        match server.role {
            Role::Inbound => seen.push(Evidence::InboundCaptured),
            Role::Accepted => seen.push(Evidence::InboundUncaptured),
            _ => {}
        }
    }
    let through = flow.local.iter().filter(|leg| leg.opened().is_some());
    let payload = through.clone().rev().find_map(|leg| leg.client_sent()).map(|first| match &first.payload {
        Payload::ClientHello(hello) if hello.is_mesh() => LocalPayload::MeshTls,
        _ => LocalPayload::Other,
    });
    if let Some(last) = through.clone().next_back() {
        let payload = payload.or_else(|| hung_up(flow, last).then_some(LocalPayload::Nothing));
        seen.push(Evidence::LocalLeg { payload });
    } else if flow.local.last().is_some_and(|leg| leg.failed().is_some()) {
        seen.push(Evidence::LocalRefused);
    }
    let reset = hop.reset_by() == Some(Side::Server);
    let inbound_seen = hop.server.as_ref().is_some_and(|end| end.role == Role::Inbound && !end.adopted);
    if inbound_seen && reset && flow.local.is_empty() && complete && !hop.server_spoke() {
        seen.push(Evidence::RefusedByProxy);
    }
    if hop.failed().is_none() && reset && payload.is_none() {
        let answer = hop.server_sent().map(|first| &first.payload);
        match answer {
            None if !hop.server_spoke() => seen.push(Evidence::HopReset { answered_tls: false }),
            Some(Payload::TlsAnswer { .. }) if !flow.root.server_spoke() && flow.captured() => {
                seen.push(Evidence::HopReset { answered_tls: true });
            }
            _ => {}
        }
    }
}

/// The destination's proxy closed both its sides without handing on what the application had sent.
fn hung_up(flow: &FlowView<'_>, local: &Leg) -> bool {
    let sent_none = local.client.as_ref().and_then(|end| end.closed).is_some_and(|closed| closed.how.sent == 0);
    sent_none && flow.events_lost == 0 && flow.root.client_spoke() && cut(flow.root).is_some()
}

/// The port of the pod that the connection was for; the proxy's own port hides it until it dials on.
pub fn arrived_port(flow: &FlowView<'_>) -> Option<u16> {
    let server = flow.hop()?.server.as_ref()?;
    match server.role {
        Role::Inbound => flow.local.last().and_then(|leg| leg.client.as_ref()).map(|end| end.socket.remote.port),
        _ => Some(server.socket.local.port),
    }
}

/// The pod's own address, which a connection of the pod to itself hides behind loopback.
fn role_ip(server: &LegEnd) -> IpAddr {
    if server.socket.local.ip.is_loopback() { server.socket.remote.ip } else { server.socket.local.ip }
}

fn answers<'a>(flow: &FlowView<'a>, seen: &mut Seen<'a>) {
    if let Some(first) = flow.root.server_sent() {
        // From the destination alone the answer to a proxy's ClientHello is the hop's, and was taken as that.
        let to_mesh_tls = flow
            .root
            .client_sent()
            .is_some_and(|sent| matches!(&sent.payload, Payload::ClientHello(hello) if hello.is_mesh()));
        let hop_only =
            flow.root.client.is_none() && (to_mesh_tls || matches!(first.payload, Payload::TlsAnswer { .. }));
        match &first.payload {
            _ if hop_only => {}
            Payload::HttpResponse(head) if asked_by_http(flow.root) => {
                seen.push(Evidence::Response { from: responder(flow, *head), head: *head });
            }
            Payload::Http2Response { status: Some(status) } if *status < 400 => {
                let head = HttpResponse {
                    status: *status,
                    upstream_service_time: None,
                    envoy: false,
                    empty_body: None,
                    body: None,
                };
                seen.push(Evidence::Response { from: Responder::Upstream, head });
            }
            // SETTINGS come first, from whoever speaks HTTP/2: any proxy on the way.
            Payload::Http2Response { .. } => {}
            other => seen.push(Evidence::Answer {
                tls: matches!(other, Payload::TlsAnswer { .. }),
                alert: matches!(other, Payload::TlsAnswer { alert: true, .. }),
                http_status: if let Payload::HttpResponse(head) = other { Some(head.status) } else { None },
            }),
        }
    } else if let Some(how) = cut(flow.root) {
        seen.push(how);
    }
}

fn asked_by_http(leg: &Leg) -> bool {
    leg.client_sent().is_none_or(|first| matches!(first.payload, Payload::Http1 { .. } | Payload::Http2 { .. }))
}

fn responder(flow: &FlowView<'_>, head: HttpResponse) -> Responder {
    match (flow.captured(), head.upstream_service_time) {
        (_, Some(true)) => Responder::Upstream,
        // Every answer that passes a proxy's HTTP chain bears its `server`; on a TCP chain it is the application's own.
        (true, Some(false)) if head.envoy => Responder::SourceProxy,
        (false, Some(false)) if head.envoy => Responder::DestinationProxy,
        (_, Some(false)) => Responder::Application,
        (_, None) => Responder::Unknown,
    }
}

/// The application's leg ended without an answer, and not by the application.
fn cut<'a>(leg: &Leg) -> Option<Evidence<'a>> {
    let near = leg.client.as_ref().or(leg.server.as_ref())?;
    let closed = near.closed?.how;
    if leg.server_spoke() || leg.client.is_none() {
        return None;
    }
    let reset = closed.reset == Some(Reset::Received);
    (reset || closed.first_fin == Some(End::Peer)).then_some(Evidence::Cut { reset })
}

fn unanswered<'a>(flow: &FlowView<'a>, over: bool, seen: &mut Seen<'a>) {
    for (kind, leg) in kinds(flow) {
        if let Some(end) = leg.client.as_ref().filter(|end| end.retransmits > 0) {
            seen.push(Evidence::SynRetransmitted { leg: kind, count: u32::from(end.retransmits) });
        }
    }
    dropped(flow, seen);
    let Some(hop) = flow.hop() else { return };
    let (Some(error), Some(client)) = (hop.failed(), &hop.client) else { return };
    let by_proxy = client.role == Role::Proxy && flow.captured();
    let got_through = flow.upstream.iter().any(|leg| leg.opened().is_some());
    if !got_through && (!by_proxy || over || flow.root.server_spoke()) {
        let leg = if by_proxy { LegKind::Upstream } else { LegKind::App };
        seen.push(Evidence::ConnectFailed { leg, error, to: client.socket.remote, by_proxy });
    }
}

fn dropped<'a>(flow: &FlowView<'a>, seen: &mut Seen<'a>) {
    for (leg, losses) in &flow.dropped {
        let kind = kinds(flow).find(|(_, of)| of.key() == leg.key()).map_or(LegKind::App, |(kind, _)| kind);
        for (reason, count) in &losses.reasons {
            seen.push(Evidence::Dropped { leg: kind, reason, count: *count, opening: losses.opening });
        }
    }
}

fn silence<'a>(flow: &FlowView<'a>, at: Circumstances, seen: &mut Seen<'a>) {
    let (Some(near), Some(opened)) = (flow.near(), flow.opened()) else { return };
    if flow.root.client_spoke() || flow.root.server_spoke() {
        return;
    }
    let all_seen = at.first_bytes && flow.events_lost == 0 && !flow.adopted();
    match near.closed {
        None if all_seen && at.now.since(opened) >= at.stall => seen.push(Evidence::Silent),
        Some(closed) if closed.at.since(opened) < at.stall && closed_by_opener(flow.root, near) => {
            seen.push(Evidence::NoPayload);
        }
        _ => {}
    }
}

/// The client ended it: by FIN, or by aborting.
fn closed_by_opener(leg: &Leg, near: &LegEnd) -> bool {
    let how = near.closed.map(|closed| closed.how);
    let (opener, peer_reset) = match leg.client {
        Some(_) => (End::This, Reset::Sent),
        None => (End::Peer, Reset::Received),
    };
    how.is_some_and(|how| how.first_fin == Some(opener) || (how.first_fin.is_none() && how.reset == Some(peer_reset)))
}

/// Whether the exchange that a mesh ClientHello of the application began went on. Who closes first does not tell (an
/// HTTP server may), but how much comes back does: a proxy that gets no certificate says nothing after its flight but
/// an alert. Envoy writes its flight at once; where it fills a segment the rest of it cannot be told from an answer.
fn kept(leg: &Leg) -> Option<bool> {
    let near = leg.client.as_ref().or(leg.server.as_ref())?;
    let how = near.closed?.how;
    let from_server = if leg.client.is_some() { how.received } else { how.sent };
    let Some(FirstBytes { payload: Payload::TlsAnswer { length, .. }, .. }) = leg.server_sent() else {
        return Some(false);
    };
    if from_server.saturating_sub(u64::from(*length)) <= ALERT_AT_MOST {
        return Some(false);
    }
    (*length < SEGMENT_AT_LEAST).then_some(true)
}

/// Each leg with what the record calls it.
pub(super) fn kinds<'v, 'a>(flow: &'v FlowView<'a>) -> impl Iterator<Item = (LegKind, &'a Leg)> + use<'v, 'a> {
    let upstream = flow.upstream.iter().map(|leg| (LegKind::Upstream, *leg));
    let local = flow.local.iter().map(|leg| (LegKind::Local, *leg));
    [(LegKind::App, flow.root)].into_iter().chain(upstream).chain(local)
}
