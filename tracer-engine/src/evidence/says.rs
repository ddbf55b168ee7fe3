//! One line of the record for each piece of evidence.

use super::{Begins, Evidence, LocalPayload, Responder};
use crate::net::Endpoint;
use crate::record::{self, EvidenceKind, LegKind};
use crate::socket::{ConnectError, HttpResponse, Payload, ResponseBody, Unreachable};
use std::borrow::Cow;

impl Evidence<'_> {
    /// As the record shows it. `app`: what the application's own leg is called; from the destination alone the leg
    /// between the pods is the first that is seen.
    pub fn line(&self, app: LegKind) -> record::Evidence {
        use EvidenceKind as K;
        use LegKind as L;
        let (kind, leg, says): (K, L, Cow<'static, str>) = match self {
            Evidence::Captured => (K::Captured, L::Capture, "the source's proxy accepted it".into()),
            Evidence::Uncaptured => (K::Captured, app, "not captured: another socket has its handshake".into()),
            Evidence::UpstreamConnect { to } => {
                (K::UpstreamConnect, L::Upstream, format!("the proxy dialled {to}").into())
            }
            Evidence::NoUpstream => (K::UpstreamConnect, L::Capture, "the proxy dialled nobody for it".into()),
            Evidence::AppSent(payload) => (K::FirstBytes, app, payload_says(payload)),
            Evidence::HopBegins(begins) => (K::FirstBytes, hop_of(app), begins_says(begins)),
            Evidence::HopAnswers { tls: true } => (K::FirstBytes, hop_of(app), "TLS is spoken there".into()),
            Evidence::HopAnswers { tls: false } => {
                (K::FirstBytes, hop_of(app), "the ClientHello was answered without TLS".into())
            }
            Evidence::Response { from, head } => (K::FirstBytes, app, response_says(*from, *head)),
            Evidence::Answer { tls, alert, http_status } => {
                let what: Cow<'static, str> = match (alert, tls, http_status) {
                    (true, ..) => "answered with a TLS alert".into(),
                    (_, true, _) => "answered in TLS".into(),
                    (_, _, Some(status)) => format!("answered HTTP {status} to what was no HTTP request").into(),
                    _ => "bytes came back".into(),
                };
                (K::FirstBytes, app, what)
            }
            Evidence::ArrivedAt { ip, port } => {
                let at = port.map_or_else(|| ip.to_string(), |port| Endpoint::new(*ip, port).to_string());
                (K::InboundCaptured, app, format!("arrived at {at}").into())
            }
            Evidence::InboundCaptured => (K::InboundCaptured, L::Inbound, "the destination's proxy accepted it".into()),
            Evidence::InboundUncaptured => {
                (K::InboundCaptured, hop_of(app), "not captured: the application itself accepted it".into())
            }
            Evidence::LocalLeg { payload } => {
                let what = match payload {
                    None => "connected, but handed nothing on",
                    Some(LocalPayload::MeshTls) => "handed on undecrypted mesh TLS",
                    Some(LocalPayload::Other) => "handed on to the application",
                    Some(LocalPayload::Nothing) => "hung up on both sides, and handed nothing on",
                };
                (K::LocalLeg, L::Local, what.into())
            }
            Evidence::LocalRefused => (K::LocalRefused, L::Local, "the application refused its proxy".into()),
            Evidence::RefusedByProxy => {
                (K::ClosedUnread, L::Inbound, "reset before anything was dialled: no filter chain took it".into())
            }
            Evidence::HopReset { answered_tls } => {
                let what =
                    if *answered_tls { "reset after the TLS handshake began" } else { "reset without an answer" };
                (K::Reset, hop_of(app), what.into())
            }
            Evidence::Cut { reset } => {
                (K::Reset, app, if *reset { "reset without an answer" } else { "closed without an answer" }.into())
            }
            Evidence::ConnectFailed { leg, error, to, by_proxy } => {
                let (kind, says) = failure_says(*error, *by_proxy);
                (kind, *leg, format!("{to}: {says}").into())
            }
            Evidence::SynRetransmitted { leg, count } => {
                (K::SynRetransmit, *leg, format!("sent again {count} times").into())
            }
            Evidence::Dropped { leg, reason, count, opening } => {
                let what = if *opening { "of the handshake" } else { "of the connection" };
                (K::Dropped, *leg, format!("the kernel dropped {count} packets {what}: {reason}").into())
            }
            Evidence::Hbone => (K::Hbone, hop_of(app), "by HBONE".into()),
            Evidence::Silent => (K::Silent, app, "established, and nobody said a byte".into()),
            Evidence::NoPayload => (K::Silent, app, "closed by its opener without a byte".into()),
            Evidence::AppMeshTls { .. } => {
                (K::FirstBytes, app, "the application itself begins TLS as a mesh proxy does".into())
            }
        };
        record::Evidence { kind, leg, says }
    }
}

/// What the leg between the pods is called: the application's own if nobody captured it.
fn hop_of(app: LegKind) -> LegKind {
    if app == LegKind::Inbound { LegKind::Inbound } else { LegKind::Upstream }
}

fn payload_says(payload: &Payload) -> Cow<'static, str> {
    let named = |what: &'static str, key: &str, name: &Option<crate::net::Name>| match name {
        Some(none) if none.is_empty() => format!("{what} without {key}").into(),
        Some(name) => format!("{what}, {key} {name}").into(),
        None => Cow::Borrowed(what),
    };
    match payload {
        Payload::Http1 { host } => named("HTTP/1.1 request", "Host", host),
        Payload::Http2 { authority } => named("HTTP/2 preface", "authority", authority),
        Payload::ClientHello(hello) => named("TLS ClientHello", "SNI", &hello.sni),
        Payload::TlsAnswer { .. } => "TLS record".into(),
        Payload::HttpResponse(_) | Payload::Http2Response { .. } => "HTTP response".into(),
        Payload::Other => "neither HTTP nor TLS".into(),
    }
}

fn begins_says(begins: &Begins<'_>) -> Cow<'static, str> {
    match begins {
        Begins::MeshTls { sni: Some(sni) } => format!("mesh mTLS, SNI {sni}").into(),
        Begins::MeshTls { sni: None } => "mesh mTLS".into(),
        Begins::Tls => "TLS, not the mesh's".into(),
        Begins::Plain => "plaintext".into(),
    }
}

fn response_says(from: Responder, head: HttpResponse) -> Cow<'static, str> {
    let who = match from {
        Responder::SourceProxy => "by the source's proxy itself",
        Responder::Upstream => "from upstream",
        Responder::DestinationProxy => "by the destination's proxy itself",
        Responder::Application => "by the application",
        Responder::Unknown => "by whom was not seen",
    };
    let body = match head.body {
        Some(ResponseBody::UpstreamConnectionFailure) => ": upstream connection failure",
        Some(ResponseBody::UpstreamConnectError) => ": upstream connect error",
        Some(ResponseBody::NoHealthyUpstream) => ": no healthy upstream",
        Some(ResponseBody::AccessDenied) => ": RBAC: access denied",
        Some(ResponseBody::Other) | None => "",
    };
    format!("HTTP {} {who}{body}", head.status).into()
}

fn failure_says(error: ConnectError, by_proxy: bool) -> (EvidenceKind, Cow<'static, str>) {
    use EvidenceKind as K;
    match error {
        ConnectError::Refused => (K::Refused, "connection refused".into()),
        ConnectError::TimedOut => (K::TimedOut, "no answer to any SYN".into()),
        ConnectError::RefusedByIcmp => (K::Refused, "refused by ICMP port unreachable, not by a RST".into()),
        ConnectError::Unreachable(which) => (K::Unreachable, unreachable_says(which).into()),
        ConnectError::Abandoned if by_proxy => (K::TimedOut, "the proxy gave up waiting for an answer".into()),
        ConnectError::Abandoned => (K::Abandoned, "the application gave up first".into()),
        ConnectError::NoLocalPort => (K::Abandoned, "no local port was left".into()),
        ConnectError::Other(errno) => (K::Unreachable, format!("failed with errno {errno}").into()),
    }
}

fn unreachable_says(which: Unreachable) -> &'static str {
    match which {
        Unreachable::Host => "host unreachable (EHOSTUNREACH: an ICMP error, or its neighbour entry failed)",
        Unreachable::Network => "network unreachable (ENETUNREACH)",
        Unreachable::Protocol => "protocol unreachable (ICMP)",
        Unreachable::Prohibited => "administratively prohibited (ICMP)",
        Unreachable::Other => "unreachable (ICMP)",
    }
}
