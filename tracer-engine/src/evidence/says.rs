//! One line of the record for each piece of evidence.

use super::{Begins, Evidence, LocalPayload, Responder};
use crate::net::Endpoint;
use crate::record::{self, EvidenceKind, LegKind};
use crate::socket::{ConnectError, HttpResponse, Payload, ResponseBody, Unreachable};

impl Evidence<'_> {
    /// As the record shows it. `app`: what the application's own leg is called; from the destination alone the leg
    /// between the pods is the first that is seen.
    pub fn line(&self, app: LegKind) -> record::Evidence {
        use EvidenceKind as K;
        use LegKind as L;
        let (kind, leg, says) = match self {
            Evidence::Captured => (K::Captured, L::Capture, "the source's proxy accepted it".to_owned()),
            Evidence::Uncaptured => (K::Captured, app, "not captured: another socket has its handshake".to_owned()),
            Evidence::UpstreamConnect { to } => (K::UpstreamConnect, L::Upstream, format!("the proxy dialled {to}")),
            Evidence::NoUpstream => (K::UpstreamConnect, L::Capture, "the proxy dialled nobody for it".to_owned()),
            Evidence::AppSent(payload) => (K::FirstBytes, app, payload_says(payload)),
            Evidence::HopBegins(begins) => (K::FirstBytes, hop_of(app), begins_says(begins)),
            Evidence::HopAnswers { tls: true } => (K::FirstBytes, hop_of(app), "TLS is spoken there".to_owned()),
            Evidence::HopAnswers { tls: false } => {
                (K::FirstBytes, hop_of(app), "the ClientHello was answered without TLS".to_owned())
            }
            Evidence::Response { from, head } => (K::FirstBytes, app, response_says(*from, *head)),
            Evidence::Answer { tls, alert, http_status } => {
                let what = match (alert, tls, http_status) {
                    (true, ..) => "answered with a TLS alert".to_owned(),
                    (_, true, _) => "answered in TLS".to_owned(),
                    (_, _, Some(status)) => format!("answered HTTP {status} to what was no HTTP request"),
                    _ => "bytes came back".to_owned(),
                };
                (K::FirstBytes, app, what)
            }
            Evidence::ArrivedAt { ip, port } => {
                let at = port.map_or_else(|| ip.to_string(), |port| Endpoint::new(*ip, port).to_string());
                (K::InboundCaptured, app, format!("arrived at {at}"))
            }
            Evidence::InboundCaptured => {
                (K::InboundCaptured, L::Inbound, "the destination's proxy accepted it".to_owned())
            }
            Evidence::InboundUncaptured => {
                (K::InboundCaptured, hop_of(app), "not captured: the application itself accepted it".to_owned())
            }
            Evidence::LocalLeg { payload } => {
                let what = match payload {
                    None => "connected, but handed nothing on",
                    Some(LocalPayload::MeshTls) => "handed on undecrypted mesh TLS",
                    Some(LocalPayload::Other) => "handed on to the application",
                    Some(LocalPayload::Nothing) => "hung up on both sides, and handed nothing on",
                };
                (K::LocalLeg, L::Local, what.to_owned())
            }
            Evidence::LocalRefused => (K::LocalRefused, L::Local, "the application refused its proxy".to_owned()),
            Evidence::RefusedByProxy => {
                (K::ClosedUnread, L::Inbound, "reset before anything was dialled: no filter chain took it".to_owned())
            }
            Evidence::HopReset { answered_tls } => {
                let what =
                    if *answered_tls { "reset after the TLS handshake began" } else { "reset without an answer" };
                (K::Reset, hop_of(app), what.to_owned())
            }
            Evidence::Cut { reset } => {
                (K::Reset, app, if *reset { "reset without an answer" } else { "closed without an answer" }.to_owned())
            }
            Evidence::ConnectFailed { leg, error, to, by_proxy } => {
                let (kind, says) = failure_says(*error, *by_proxy);
                (kind, *leg, format!("{to}: {says}"))
            }
            Evidence::SynRetransmitted { leg, count } => (K::SynRetransmit, *leg, format!("sent again {count} times")),
            Evidence::Dropped { leg, reason, count, opening } => {
                let what = if *opening { "of the handshake" } else { "of the connection" };
                (K::Dropped, *leg, format!("the kernel dropped {count} packets {what}: {reason}"))
            }
            Evidence::Hbone => (K::Hbone, hop_of(app), "by HBONE".to_owned()),
            Evidence::Silent => (K::Silent, app, "established, and nobody said a byte".to_owned()),
            Evidence::NoPayload => (K::Silent, app, "closed by its opener without a byte".to_owned()),
            Evidence::AppMeshTls { .. } => {
                (K::FirstBytes, app, "the application itself begins TLS as a mesh proxy does".to_owned())
            }
        };
        record::Evidence { kind, leg, says }
    }
}

/// What the leg between the pods is called: the application's own if nobody captured it.
fn hop_of(app: LegKind) -> LegKind {
    if app == LegKind::Inbound { LegKind::Inbound } else { LegKind::Upstream }
}

fn payload_says(payload: &Payload) -> String {
    let named = |what: &str, key: &str, name: &Option<crate::net::Name>| match name {
        Some(none) if none.is_empty() => format!("{what} without {key}"),
        Some(name) => format!("{what}, {key} {name}"),
        None => what.to_owned(),
    };
    match payload {
        Payload::Http1 { host } => named("HTTP/1.1 request", "Host", host),
        Payload::Http2 { authority } => named("HTTP/2 preface", "authority", authority),
        Payload::ClientHello(hello) => named("TLS ClientHello", "SNI", &hello.sni),
        Payload::TlsAnswer { .. } => "TLS record".to_owned(),
        Payload::HttpResponse(_) | Payload::Http2Response { .. } => "HTTP response".to_owned(),
        Payload::Other => "neither HTTP nor TLS".to_owned(),
    }
}

fn begins_says(begins: &Begins<'_>) -> String {
    match begins {
        Begins::MeshTls { sni: Some(sni) } => format!("mesh mTLS, SNI {sni}"),
        Begins::MeshTls { sni: None } => "mesh mTLS".to_owned(),
        Begins::Tls => "TLS, not the mesh's".to_owned(),
        Begins::Plain => "plaintext".to_owned(),
    }
}

fn response_says(from: Responder, head: HttpResponse) -> String {
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
    format!("HTTP {} {who}{body}", head.status)
}

fn failure_says(error: ConnectError, by_proxy: bool) -> (EvidenceKind, String) {
    use EvidenceKind as K;
    match error {
        ConnectError::Refused => (K::Refused, "connection refused".to_owned()),
        ConnectError::TimedOut => (K::TimedOut, "no answer to any SYN".to_owned()),
        ConnectError::RefusedByIcmp => (K::Refused, "refused by ICMP port unreachable, not by a RST".to_owned()),
        ConnectError::Unreachable(which) => (K::Unreachable, unreachable_says(which).to_owned()),
        ConnectError::Abandoned if by_proxy => (K::TimedOut, "the proxy gave up waiting for an answer".to_owned()),
        ConnectError::Abandoned => (K::Abandoned, "the application gave up first".to_owned()),
        ConnectError::NoLocalPort => (K::Abandoned, "no local port was left".to_owned()),
        ConnectError::Other(errno) => (K::Unreachable, format!("failed with errno {errno}")),
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
