//! A path's end as an outcome: what the kernel would show of it, its steps and its caveats.

use super::destination::{Arrived, Payload};
use super::journey::{CaptureKind, Chosen, Journey, Trip};
use super::landing::{Comes, Landing, Shown};
use super::outcome::{ArrivalEnd, Hop, HopBytes, HopTarget, Outcome, Outcomes, Path, Place};
use super::trail::Trail;
use super::{causes, caveats};
use crate::mesh::policy::spelled;
use crate::mesh::xds::client_tls::Begins;
use crate::net::Endpoint;
use crate::verdict::{Cause, Causes, Reason, Security};

/// Where ztunnel and sidecars take HBONE.
const HBONE: u16 = 15008;

/// A path that ends at the source.
#[derive(Clone, Copy)]
pub(super) struct SourceEnd {
    reason: Reason,
    cause: Option<Cause>,
    answers: Option<u16>,
}

/// A path that ends at the source's proxy: nothing goes on.
pub(super) fn at_source<'a, T: Trail>(
    journey: &Journey<'a>,
    mut trip: Trip<'a, T>,
    end: SourceEnd,
    out: &mut Outcomes,
) {
    let SourceEnd { reason, cause, answers } = end;
    let causes =
        cause.map_or_else(|| causes::of_route(journey, &trip.route, reason), |cause| Causes::from_slice(&[cause]));
    caveats::add(journey, &mut trip, std::iter::empty());
    let path = Path {
        captured: true,
        source_sniffs: trip.route.sniffs,
        http_chain: trip.route.http_chain,
        proxy_answers: answers,
        hop: None,
        arrival: None,
    };
    let Trip { sends, trail, caveats, .. } = trip;
    out.push(Outcome { reason, causes, security: Security::Unknown, sends, path, steps: trail.into_steps(), caveats });
}

pub(super) fn outcome<'a, T: Trail>(
    journey: &Journey<'a>,
    mut trip: Trip<'a, T>,
    shown: Shown,
    comes: Comes<'a>,
    group: &[&Landing<'a>],
) -> Outcome {
    let Comes { reason, causes, begins, arrived } = comes;
    let chosen = trip.route.cluster.as_ref();
    let (bytes, security) = match begins {
        Begins::MeshTls => {
            let sni = chosen.map_or_else(|| "".into(), Chosen::sni);
            (HopBytes::MeshTls { sni, http: trip.route.http_chain }, Security::MutualTls)
        }
        Begins::OneWayTls => (HopBytes::Tls, Security::Tls),
        Begins::Hbone => (HopBytes::Hbone, Security::MutualTls),
        Begins::AsSent if matches!(Payload::of(&trip.sends), Payload::Tls { .. }) => {
            (HopBytes::AsSent, Security::AppTls)
        }
        Begins::AsSent => (HopBytes::AsSent, Security::None),
    };
    let hop = Hop {
        to: match shown {
            Shown::Dialled(at) => HopTarget::Dialled(at),
            Shown::OneOf => HopTarget::OneOf(group.iter().map(|landing| landing.at).collect()),
            Shown::Hbone => {
                HopTarget::OneOf(group.iter().map(|landing| Endpoint { port: HBONE, ..landing.at }).collect())
            }
            Shown::Unknown => HopTarget::Unknown,
        },
        begins: bytes,
        cluster: chosen.map(Chosen::cluster),
    };
    tell(&mut trip, &hop, arrived.as_ref(), reason, group[0]);
    caveats::add(journey, &mut trip, group.iter().filter_map(|landing| landing.pod));
    let path = Path {
        captured: !matches!(trip.route.capture, CaptureKind::Not(_)),
        source_sniffs: trip.route.sniffs,
        http_chain: trip.route.http_chain,
        proxy_answers: None,
        hop: Some(hop),
        arrival: arrived.map(|arrived| arrived.arrival),
    };
    let security = if arrived.is_some() { security } else { Security::Unknown };
    let Trip { sends, trail, caveats, .. } = trip;
    Outcome { reason, causes, security, sends, path, steps: trail.into_steps(), caveats }
}

/// The last steps: the hop, and the other end.
fn tell<T: Trail>(
    trip: &mut Trip<'_, T>,
    hop: &Hop,
    arrived: Option<&Arrived<'_>>,
    reason: Reason,
    landing: &Landing<'_>,
) {
    if let Some(tls) = landing.tls {
        let what = match tls.begins {
            Begins::MeshTls => "mesh mTLS",
            Begins::OneWayTls => "TLS without a mesh certificate",
            Begins::Hbone => "HBONE",
            Begins::AsSent => "as the application sends it",
        };
        let to = || match &hop.to {
            HopTarget::Dialled(at) => at.to_string(),
            HopTarget::OneOf(any) => any.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "),
            HopTarget::Unknown => "wherever DNS says".to_owned(),
        };
        trip.trail.step(Place::SourceProxy, || format!("to {}: {what}", to()), || tls);
    }
    let who = || landing.pod.map_or_else(|| landing.at.to_string(), |pod| pod.key.to_string());
    let Some(arrived) = arrived else {
        trip.trail.step(
            Place::Network,
            || format!("{} answers for nobody: {reason}", landing.at),
            || "no live pod has it",
        );
        return;
    };
    let said = match arrived.arrival.end {
        ArrivalEnd::Delivered => "handed to the application",
        ArrivalEnd::NoFilterChain => "no filter chain takes it: closed unread",
        ArrivalEnd::HandshakeFails => "a client certificate is required and none is shown: the handshake fails",
        ArrivalEnd::CodecError => "the HTTP codec does not understand it: 400",
        ArrivalEnd::Stalls => "it waits for bytes that never come",
        ArrivalEnd::MtlsNotTerminated => "nobody there terminates mesh mTLS",
        ArrivalEnd::IdentityMismatch => "its certificate is none that the source accepts for this Service",
        ArrivalEnd::PolicyDenied => "ztunnel's policy denies it",
    };
    if let (true, Some(mode)) = (arrived.arrival.captured, arrived.mode) {
        let port = || match arrived.declared {
            Some(declared) => format!("{} port {}", declared.spelled(), landing.at.port),
            None => format!("undeclared port {}", landing.at.port),
        };
        let place =
            if arrived.arrival.end == ArrivalEnd::Delivered { Place::Application } else { Place::DestinationProxy };
        trip.trail.step(place, || format!("{}, {}, {}: {said}", who(), port(), spelled(mode.mode)), || mode.by);
    } else {
        trip.trail.step(Place::Application, || format!("{}: {said}", who()), || "no proxy takes it there");
    }
}

impl SourceEnd {
    pub(super) fn stall(cause: Cause) -> Self {
        Self { reason: Reason::ServerFirstStall, cause: Some(cause), answers: None }
    }

    pub(super) fn closed(reason: Reason) -> Self {
        Self { reason, cause: None, answers: None }
    }

    pub(super) fn answered(reason: Reason, status: u16) -> Self {
        Self { reason, cause: None, answers: Some(status) }
    }
}
