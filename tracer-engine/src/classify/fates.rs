//! What can become of a flow beyond what the configuration decides: nobody listens, nobody answers, a policy denies.
//! The walk presumes the best; each of these is open only where some evidence speaks for it.

use crate::evidence::{Evidence, LocalPayload, Responder, Seen};
use crate::mesh::index::{Index, Occupant};
use crate::net::{Ktime, Name};
use crate::socket::{ConnectError, ResponseBody, Unreachable};
use crate::verdict::{Cause, Causes, Reason, Security};
use crate::walk::outcome::{ArrivalEnd, Caveat, HopTarget, Outcome, Sends};
use smallvec::SmallVec;
use std::net::IpAddr;

/// One end that a flow can have met, on top of one end of the walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// What the walk says.
    Walked,
    AppNotListening,
    AuthorizationDenied,
    /// The application's own mesh certificate was accepted.
    AppMtls,
    /// It sent a mesh ClientHello, but had no certificate to show.
    NoCertificate,
    NoPayload,
    /// A proxy on the way said that this is no request.
    InvalidRequest,
    /// The SYN that leaves the pod got no connection.
    Unanswered(Reason),
}

/// A walk's end and what became of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) outcome: &'a Outcome,
    pub(super) fate: Fate,
}

/// Which fates the evidence speaks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    not_listening: bool,
    denied: bool,
    denied_in_words: bool,
    app_mtls: bool,
    no_payload: bool,
    /// Somebody may have answered, and nobody reads what: where a proxy speaks HTTP it may have been the proxy.
    unread: bool,
    /// The application may have spoken, and nobody reads what: TLS may have been its own mesh TLS.
    unheard: bool,
    invalid_request: bool,
    unanswered: SmallVec<[Reason; 4]>,
    no_local_port: bool,
    /// Why the kernel says that the SYN got no answer.
    kernel: Option<Name>,
}

/// The kernel's word for a SYN to a port that nobody listens on. It answers with a RST: that is the refusal itself.
pub(super) const NO_SOCKET: &str = "NO_SOCKET";
/// A firewall rule, a NetworkPolicy; `reject` answers beside it, and both are one incident (trap 7).
const NETFILTER_DROP: &str = "NETFILTER_DROP";

impl Hints {
    pub(super) fn new(index: &Index, seen: &Seen<'_>, dialled: Option<IpAddr>, at: Ktime) -> Self {
        let mut hints = Self::default();
        let stale = dialled.is_some_and(|ip| matches!(index.occupant(ip, at), Occupant::Tombstone(_)));
        let hop_seen = seen.iter().any(|e| matches!(e, Evidence::UpstreamConnect { .. }));
        let captured = seen.contains(&Evidence::Captured);
        let tunnelled = seen.contains(&Evidence::Hbone);
        let dropped = seen.iter().find_map(|evidence| match evidence {
            Evidence::Dropped { reason, opening: true, .. } if &***reason != NO_SOCKET => Some(*reason),
            _ => None,
        });
        for evidence in seen {
            match evidence {
                Evidence::LocalRefused => hints.not_listening = true,
                Evidence::HopReset { .. } => {
                    hints.not_listening = true;
                    hints.denied = true;
                }
                Evidence::LocalLeg { payload: None | Some(LocalPayload::Nothing) }
                | Evidence::HopAnswers { tls: true } => hints.denied = true,
                Evidence::Response { from: Responder::SourceProxy, head } if head.status == 503 => {
                    hints.not_listening = true;
                    hints.denied = true;
                    if !hop_seen {
                        hints.unreached(stale);
                    }
                }
                Evidence::Response { head, .. } => {
                    let broke = matches!(
                        head.body,
                        Some(ResponseBody::UpstreamConnectionFailure | ResponseBody::UpstreamConnectError) | None
                    );
                    hints.not_listening |= matches!(head.status, 502..=504) && broke;
                    hints.denied |= head.status == 403;
                    hints.denied_in_words |= head.body == Some(ResponseBody::AccessDenied);
                    hints.invalid_request |= is_invalid_request(head.status);
                }
                // Where the hop was not seen, whatever can happen to it can have happened; a tunnel hides the end of it.
                Evidence::Cut { .. } if captured && (!hop_seen || tunnelled) => {
                    hints.not_listening = true;
                    hints.denied = true;
                    if !hop_seen {
                        hints.unreached(stale);
                    }
                }
                Evidence::ConnectFailed { error, to, by_proxy, .. } => {
                    hints.no_local_port |= *error == ConnectError::NoLocalPort;
                    let reason = match (stale, discarded(*error, dropped)) {
                        (true, _) => Reason::StalePodIp,
                        (false, true) => Reason::Dropped,
                        (false, false) => failure(index, *error, *by_proxy, to.ip, at),
                    };
                    hints.kernel = dropped.cloned().or_else(|| errno(*error).map(Name::from));
                    hints.unanswered.push(reason);
                }
                Evidence::NoPayload => hints.no_payload = true,
                Evidence::AppMeshTls { .. } => hints.app_mtls = true,
                _ => {}
            }
        }
        hints
    }

    /// Of each side's payload no more than how much it was is known, and that when the connection is closed.
    pub(super) fn without_first_bytes(&mut self, sent: Option<u64>, received: Option<u64>) {
        let silent = received == Some(0);
        self.not_listening |= silent;
        self.denied |= silent;
        self.unread = !silent;
        self.unheard = sent != Some(0);
    }

    fn unreached(&mut self, stale: bool) {
        if stale {
            self.unanswered.push(Reason::StalePodIp);
        } else {
            self.unanswered.extend([Reason::Refused, Reason::TimedOut, Reason::Unreachable]);
        }
    }

    /// Every candidate that this end of the walk stands for.
    pub(super) fn forks<'a>(&self, outcome: &'a Outcome) -> SmallVec<[Candidate<'a>; 4]> {
        let mut fates: SmallVec<[Fate; 4]> = SmallVec::from_slice(&[Fate::Walked]);
        let path = &outcome.path;
        let end = path.arrival.map(|arrival| arrival.end);
        let delivered = path.hop.is_some() && matches!(end, None | Some(ArrivalEnd::Delivered));
        let by_proxy = path.http_chain || !path.captured && path.arrival.is_some_and(|arrival| arrival.captured);
        let in_its_words = self.unread && by_proxy;
        if delivered && (self.not_listening || in_its_words) {
            fates.push(Fate::AppNotListening);
        }
        let policy = outcome.caveats.iter().any(|caveat| matches!(caveat, Caveat::AuthorizationPolicy { .. }));
        if delivered && (self.denied_in_words || (self.denied || in_its_words) && policy) {
            fates.push(Fate::AuthorizationDenied);
        }
        if self.app_mtls && app_mesh_tls(outcome) || self.unheard && may_be_mesh_tls(outcome) {
            fates.push(Fate::AppMtls);
            if path.arrival.is_some_and(|arrival| arrival.captured) {
                fates.push(Fate::NoCertificate);
            }
        }
        if self.no_payload {
            fates.push(Fate::NoPayload);
        }
        if self.invalid_request && (path.http_chain || path.arrival.is_some_and(|arrival| arrival.captured)) {
            fates.push(Fate::InvalidRequest);
        }
        if path.hop.is_some() {
            fates.extend(self.unanswered.iter().map(|reason| Fate::Unanswered(placed(*reason, outcome))));
        }
        fates.into_iter().map(|fate| Candidate { outcome, fate }).collect()
    }

    /// The kernel's own word for why this flow got no connection: a drop reason, or an errno.
    pub(super) fn kernel(&self, reason: Reason) -> Option<Name> {
        self.kernel.clone().filter(|_| matches!(reason, Reason::Dropped | Reason::Unreachable))
    }

    pub(super) fn causes(&self, candidate: &Candidate<'_>) -> Causes {
        match candidate.fate {
            Fate::Walked => candidate.outcome.causes.clone(),
            Fate::NoCertificate => Causes::from_slice(&[Cause::AppTls]),
            Fate::InvalidRequest => Causes::from_slice(&[Cause::InvalidRequest]),
            Fate::Unanswered(Reason::Abandoned) if self.no_local_port => Causes::from_slice(&[Cause::NoLocalPort]),
            _ => Causes::new(),
        }
    }
}

impl Candidate<'_> {
    pub(super) fn reason(&self) -> Reason {
        match self.fate {
            Fate::Walked => self.outcome.reason,
            Fate::AppNotListening => Reason::AppNotListening,
            Fate::AuthorizationDenied => Reason::AuthorizationDenied,
            Fate::AppMtls => Reason::AppMtls,
            Fate::NoCertificate => Reason::TlsWithoutMeshCertificate,
            Fate::NoPayload => Reason::NoPayload,
            Fate::InvalidRequest => Reason::NotHttpOnHttpPort,
            Fate::Unanswered(reason) => reason,
        }
    }

    pub(super) fn security(&self) -> Security {
        match self.fate {
            Fate::Walked | Fate::AppNotListening | Fate::AuthorizationDenied => self.outcome.security,
            Fate::AppMtls => Security::MutualTls,
            Fate::NoCertificate => Security::AppTls,
            Fate::NoPayload | Fate::InvalidRequest | Fate::Unanswered(_) => Security::Unknown,
        }
    }

    pub(super) fn walked(&self) -> bool {
        self.fate == Fate::Walked
    }

    /// The application gets the bytes, as far as the configuration goes.
    pub(super) fn delivered(&self) -> bool {
        let path = &self.outcome.path;
        self.walked()
            && path.hop.is_some()
            && matches!(path.arrival.map(|arrival| arrival.end), None | Some(ArrivalEnd::Delivered))
    }

    /// Where the walk ends at the destination.
    pub(super) fn ends(&self, end: ArrivalEnd) -> bool {
        self.walked() && self.outcome.path.arrival.is_some_and(|arrival| arrival.end == end)
    }
}

/// The application's own bytes are a mesh ClientHello on this path.
pub(super) fn app_mesh_tls(outcome: &Outcome) -> bool {
    let hello = matches!(&outcome.sends, Sends::Tls { alpn, .. } if alpn.iter().any(|p| p.starts_with("istio")));
    hello && outcome.path.hop.as_ref().is_some_and(|hop| hop.begins == crate::walk::outcome::HopBytes::AsSent)
}

/// As `app_mesh_tls`, of bytes that nobody read.
fn may_be_mesh_tls(outcome: &Outcome) -> bool {
    let path = &outcome.path;
    let as_sent = path.hop.as_ref().is_some_and(|hop| hop.begins == crate::walk::outcome::HopBytes::AsSent);
    as_sent && path.arrival.is_some_and(|arrival| arrival.captured) && matches!(outcome.sends, Sends::Tls { .. })
}

/// How Envoy's codec and its connection manager turn a request away that is none: 400, 413, 426, 431.
pub(super) fn is_invalid_request(status: u16) -> bool {
    matches!(status, 400 | 413 | 426 | 431)
}

/// A SYN refused at a pod whose port is not captured: its application does not listen.
fn placed(reason: Reason, outcome: &Outcome) -> Reason {
    let at_proxy = outcome.path.arrival.is_some_and(|arrival| arrival.captured);
    if reason == Reason::AppNotListening && at_proxy { Reason::Refused } else { reason }
}

/// Whether the drop is why nobody answered, rather than what came of it.
fn discarded(error: ConnectError, dropped: Option<&Name>) -> bool {
    match error {
        ConnectError::Unreachable(_) | ConnectError::Other(_) => dropped.is_some_and(|why| **why == *NETFILTER_DROP),
        ConnectError::NoLocalPort => false,
        ConnectError::Refused | ConnectError::RefusedByIcmp | ConnectError::TimedOut | ConnectError::Abandoned => {
            dropped.is_some()
        }
    }
}

fn errno(error: ConnectError) -> Option<&'static str> {
    match error {
        ConnectError::Unreachable(Unreachable::Host) => Some("EHOSTUNREACH"),
        ConnectError::Unreachable(Unreachable::Network) => Some("ENETUNREACH"),
        ConnectError::Unreachable(Unreachable::Protocol) => Some("EPROTO"),
        ConnectError::Unreachable(Unreachable::Prohibited) => Some("EACCES"),
        _ => None,
    }
}

/// What the kernel's word for it means here.
fn failure(index: &Index, error: ConnectError, by_proxy: bool, to: IpAddr, at: Ktime) -> Reason {
    match error {
        ConnectError::Refused if index.pod_at(to, at).is_some() => Reason::AppNotListening,
        ConnectError::Refused | ConnectError::RefusedByIcmp => Reason::Refused,
        ConnectError::TimedOut => Reason::TimedOut,
        ConnectError::Unreachable(_) | ConnectError::Other(_) => Reason::Unreachable,
        // Envoy gives up by itself, without a kernel error.
        ConnectError::Abandoned if by_proxy => Reason::TimedOut,
        ConnectError::Abandoned | ConnectError::NoLocalPort => Reason::Abandoned,
    }
}

/// Whether a hop to this target can have been to `ip:port`.
pub(super) fn leads_to(target: &HopTarget, to: crate::net::Endpoint) -> bool {
    match target {
        HopTarget::Dialled(dialled) => *dialled == to,
        HopTarget::OneOf(endpoints) => endpoints.contains(&to),
        HopTarget::Unknown => true,
    }
}
