//! Strike out: each piece of evidence removes the candidates that it contradicts, and never adds one. One function a
//! row of `classification.md` section 7.

use super::fates::{Candidate, Fate, app_mesh_tls, is_invalid_request, leads_to};
use crate::evidence::{Begins, Evidence, LocalPayload, Responder};
use crate::net::Endpoint;
use crate::socket::{HttpResponse, ResponseBody};
use crate::walk::outcome::{ArrivalEnd, HopBytes, HopTarget, Sends};
use std::net::IpAddr;

/// Whether this flow cannot have been that candidate.
pub(super) fn strikes(evidence: &Evidence<'_>, candidate: &Candidate<'_>) -> bool {
    let path = &candidate.outcome.path;
    match *evidence {
        Evidence::Captured => !path.captured,
        Evidence::Uncaptured => path.captured,
        Evidence::UpstreamConnect { to } => upstream_connect(to, candidate),
        Evidence::NoUpstream => no_upstream(candidate),
        Evidence::HopBegins(begins) => hop_begins(begins, candidate),
        Evidence::HopAnswers { tls } => hop_answers(tls, candidate),
        Evidence::Response { from, head } => response(from, head, candidate),
        Evidence::Answer { tls, http_status, .. } => answer(tls, http_status, candidate),
        Evidence::ArrivedAt { ip, port } => arrived_at(ip, port, candidate),
        Evidence::InboundCaptured => path.arrival.is_none_or(|arrival| !arrival.captured),
        Evidence::InboundUncaptured => path.arrival.is_some_and(|arrival| arrival.captured),
        Evidence::LocalLeg { payload } => local_leg(payload, candidate),
        Evidence::LocalRefused => {
            !(candidate.fate == Fate::AppNotListening || candidate.ends(ArrivalEnd::HandshakeFails))
        }
        Evidence::RefusedByProxy => refused_by_proxy(candidate),
        Evidence::HopReset { answered_tls } => hop_reset(answered_tls, candidate),
        Evidence::Cut { .. } => {
            candidate.outcome.reason == crate::verdict::Reason::ServerFirstStall && candidate.walked()
        }
        Evidence::ConnectFailed { by_proxy, .. } => {
            !matches!(candidate.fate, Fate::Unanswered(_)) || by_proxy && !path.captured
        }
        Evidence::Hbone => path.hop.as_ref().is_none_or(|hop| hop.begins != HopBytes::Hbone),
        Evidence::NoPayload => candidate.fate != Fate::NoPayload,
        Evidence::AppMeshTls { kept } => own_mesh_tls(kept, candidate),
        // The walk started from these, or they say nothing about the route.
        Evidence::AppSent(_) | Evidence::SynRetransmitted { .. } | Evidence::Dropped { .. } | Evidence::Silent => false,
    }
}

/// Nobody was dialled for it. HTTP and HBONE may ride on connections that were opened for others.
fn no_upstream(candidate: &Candidate<'_>) -> bool {
    let path = &candidate.outcome.path;
    let pooled = path.http_chain || path.hop.as_ref().is_some_and(|hop| hop.begins == HopBytes::Hbone);
    path.captured && !pooled && path.hop.is_some()
}

/// Somebody was dialled: no blackhole, no stall at the source, and nobody else.
fn upstream_connect(to: Endpoint, candidate: &Candidate<'_>) -> bool {
    candidate.outcome.path.hop.as_ref().is_none_or(|hop| !leads_to(&hop.to, to))
}

/// It got to this pod, by whatever address it was dialled.
fn arrived_at(ip: IpAddr, port: Option<u16>, candidate: &Candidate<'_>) -> bool {
    let Some(hop) = &candidate.outcome.path.hop else { return true };
    // A tunnel's own port is not that of what is in it.
    let port = port.filter(|_| hop.begins != HopBytes::Hbone);
    let other_port = |to: &Endpoint| port.is_some_and(|port| to.port != port);
    match &hop.to {
        HopTarget::Dialled(to) => to.ip == ip && other_port(to),
        HopTarget::OneOf(endpoints) => !endpoints.iter().any(|to| to.ip == ip && !other_port(to)),
        HopTarget::Unknown => false,
    }
}

/// ClientHello with ALPN `istio*` is mesh mTLS, and its SNI names the Service that the proxy chose.
fn hop_begins(begins: Begins<'_>, candidate: &Candidate<'_>) -> bool {
    let Some(hop) = &candidate.outcome.path.hop else { return true };
    let sends = &candidate.outcome.sends;
    let as_sent_mesh = || matches!(sends, Sends::Tls { alpn, .. } if alpn.iter().any(|p| p.starts_with("istio")));
    match (&hop.begins, begins) {
        (HopBytes::MeshTls { sni, .. }, Begins::MeshTls { sni: Some(seen) }) => **sni != *seen,
        (HopBytes::MeshTls { .. }, Begins::MeshTls { sni: None }) | (HopBytes::Tls | HopBytes::Hbone, Begins::Tls) => {
            false
        }
        (HopBytes::AsSent, Begins::Plain) => matches!(sends, Sends::Tls { .. }),
        (HopBytes::AsSent, Begins::Tls) => !matches!(sends, Sends::Tls { .. } | Sends::Nothing),
        (HopBytes::AsSent, Begins::MeshTls { .. }) => !as_sent_mesh(),
        _ => true,
    }
}

/// To a ClientHello: a TLS record says that TLS is spoken there, anything else that mesh mTLS is not terminated.
fn hop_answers(tls: bool, candidate: &Candidate<'_>) -> bool {
    let begins_tls = candidate.outcome.path.hop.as_ref().is_some_and(|hop| hop.begins != HopBytes::AsSent);
    let at_proxy = candidate.outcome.path.arrival.is_some_and(|arrival| arrival.captured);
    let not_terminated = candidate.ends(ArrivalEnd::MtlsNotTerminated);
    if tls { not_terminated && at_proxy } else { begins_tls && !not_terminated }
}

/// Who answered the request.
fn response(from: Responder, head: HttpResponse, candidate: &Candidate<'_>) -> bool {
    let path = &candidate.outcome.path;
    if candidate.fate == Fate::InvalidRequest {
        let by_proxy = matches!(from, Responder::SourceProxy | Responder::DestinationProxy);
        return !(by_proxy && is_invalid_request(head.status));
    }
    match from {
        // On a TCP chain the source's proxy speaks no HTTP: the words are those of the proxy at the other end.
        Responder::SourceProxy if !path.http_chain && path.proxy_answers.is_none() => {
            response(Responder::DestinationProxy, head, candidate)
        }
        Responder::SourceProxy => match path.proxy_answers {
            Some(status) => !candidate.walked() || status != head.status,
            // The proxy says 503 where its hop failed, 504 where it took too long.
            None => !matches!(head.status, 503 | 504) || served(candidate) || path.hop.is_none(),
        },
        Responder::Upstream => by_upstream(head, candidate),
        Responder::DestinationProxy => unserved(candidate) || in_words(head, candidate) || candidate.delivered(),
        Responder::Application => !candidate.delivered(),
        Responder::Unknown => false,
    }
}

/// It came from the next hop, so the hop was reached and took the request.
fn by_upstream(head: HttpResponse, candidate: &Candidate<'_>) -> bool {
    candidate.outcome.path.proxy_answers.is_some() || unserved(candidate) || in_words(head, candidate)
}

/// What the status and the beginning of the body leave open between the application and the proxy beside it.
fn in_words(head: HttpResponse, candidate: &Candidate<'_>) -> bool {
    let broke = matches!(head.status, 502..=504);
    let by_app = head.body == Some(ResponseBody::Other) || head.empty_body == Some(true);
    match candidate.fate {
        Fate::AppNotListening => !broke || by_app || head.body == Some(ResponseBody::AccessDenied),
        Fate::AuthorizationDenied => head.status != 403 || by_app,
        _ if candidate.ends(ArrivalEnd::CodecError) => head.status != 400,
        _ => {
            let nobody_home = head.status == 503 && head.body == Some(ResponseBody::UpstreamConnectionFailure);
            head.body == Some(ResponseBody::AccessDenied) || nobody_home
        }
    }
}

/// Some other bytes came back to the application.
fn answer(tls: bool, http_status: Option<u16>, candidate: &Candidate<'_>) -> bool {
    let path = &candidate.outcome.path;
    if path.proxy_answers.is_some_and(|status| candidate.walked() && Some(status) == http_status) {
        return false;
    }
    match candidate.fate {
        Fate::AppNotListening | Fate::NoPayload | Fate::InvalidRequest | Fate::Unanswered(_) => true,
        Fate::AuthorizationDenied => !tls,
        Fate::AppMtls | Fate::NoCertificate => false,
        Fate::Walked => match path.arrival.map(|arrival| arrival.end) {
            _ if path.hop.is_none() => true,
            None | Some(ArrivalEnd::Delivered) => false,
            Some(ArrivalEnd::HandshakeFails) => !tls,
            Some(ArrivalEnd::CodecError) => http_status != Some(400),
            Some(ArrivalEnd::MtlsNotTerminated | ArrivalEnd::IdentityMismatch) => path.captured,
            Some(ArrivalEnd::NoFilterChain | ArrivalEnd::Stalls | ArrivalEnd::PolicyDenied) => true,
        },
    }
}

/// The destination's proxy dialled the application. On TCP chains it does so before TLS or authorization refuse, so
/// only payload shows that it was let through.
fn local_leg(payload: Option<LocalPayload>, candidate: &Candidate<'_>) -> bool {
    let refused = matches!(candidate.fate, Fate::AppNotListening | Fate::InvalidRequest | Fate::Unanswered(_))
        || candidate.ends(ArrivalEnd::NoFilterChain)
        || candidate.outcome.path.hop.is_none();
    let Some(payload) = payload else { return refused };
    let not_terminated = candidate.ends(ArrivalEnd::MtlsNotTerminated);
    let by_mesh = candidate.outcome.path.hop.as_ref().is_some_and(|hop| hop.begins != HopBytes::AsSent);
    let delivered = match payload {
        LocalPayload::MeshTls => not_terminated || candidate.delivered() && !by_mesh,
        LocalPayload::Other => candidate.delivered() || candidate.fate == Fate::AppMtls,
        LocalPayload::Nothing => return refused || candidate.delivered() || candidate.fate == Fate::AppMtls,
    };
    !delivered
}

/// Reset before it dialled anybody: no filter chain.
fn refused_by_proxy(candidate: &Candidate<'_>) -> bool {
    !(candidate.ends(ArrivalEnd::NoFilterChain) || candidate.ends(ArrivalEnd::PolicyDenied))
}

/// The hop's server end reset it without an answer: refused by the proxy there, or by the application behind it.
fn hop_reset(answered_tls: bool, candidate: &Candidate<'_>) -> bool {
    match candidate.fate {
        Fate::AppNotListening | Fate::AuthorizationDenied => false,
        Fate::NoCertificate => !answered_tls,
        Fate::NoPayload | Fate::InvalidRequest | Fate::Unanswered(_) | Fate::AppMtls => true,
        Fate::Walked => match candidate.outcome.path.arrival.map(|arrival| arrival.end) {
            Some(ArrivalEnd::NoFilterChain) => answered_tls,
            Some(ArrivalEnd::PolicyDenied | ArrivalEnd::MtlsNotTerminated | ArrivalEnd::IdentityMismatch) => false,
            Some(ArrivalEnd::HandshakeFails) => !answered_tls,
            None | Some(ArrivalEnd::Delivered | ArrivalEnd::CodecError | ArrivalEnd::Stalls) => true,
        },
    }
}

/// An application with a mesh certificate of its own is let through as a proxy would be; one without is not.
fn own_mesh_tls(kept: Option<bool>, candidate: &Candidate<'_>) -> bool {
    let at_proxy = candidate.outcome.path.arrival.is_some_and(|arrival| arrival.captured);
    match candidate.fate {
        Fate::AppMtls => !at_proxy || kept == Some(false),
        Fate::NoCertificate => kept == Some(true),
        Fate::Walked => {
            let either = candidate.delivered() || candidate.ends(ArrivalEnd::HandshakeFails);
            at_proxy && either && app_mesh_tls(candidate.outcome)
        }
        _ => false,
    }
}

/// Whether the request cannot have got as far as an answer from upstream.
fn unserved(candidate: &Candidate<'_>) -> bool {
    match candidate.fate {
        Fate::NoPayload | Fate::InvalidRequest | Fate::Unanswered(_) | Fate::NoCertificate => true,
        Fate::AppNotListening | Fate::AuthorizationDenied | Fate::AppMtls => false,
        Fate::Walked => {
            candidate.outcome.path.hop.is_none()
                || !matches!(
                    candidate.outcome.path.arrival.map(|arrival| arrival.end),
                    None | Some(ArrivalEnd::Delivered | ArrivalEnd::CodecError)
                )
        }
    }
}

/// Whether the request got an answer from upstream for certain.
fn served(candidate: &Candidate<'_>) -> bool {
    candidate.delivered()
        || candidate.ends(ArrivalEnd::CodecError)
        || candidate.ends(ArrivalEnd::Stalls)
        || matches!(candidate.fate, Fate::AppMtls | Fate::NoPayload)
}
