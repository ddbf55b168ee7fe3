//! The end of a path as an outcome: what becomes of it where it lands, what that is called (section 8), and what the
//! kernel would show of it.

mod steps;

use super::destination::{Arrived, Payload, arrive};
use super::journey::{CaptureKind, Chosen, Journey, Trip, is_enrolled};
use super::landing::{Landing, Shown};
use super::outcome::{Arrival, ArrivalEnd, Hop, HopBytes, HopTarget, Outcome, Outcomes, Path};
use super::trail::Trail;
use super::{causes, caveats};
use crate::mesh::xds::client_tls::Begins;
use crate::verdict::{Cause, Causes, Reason, Security};

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

/// What one landing comes to.
#[derive(Clone, PartialEq)]
struct Comes<'a> {
    reason: Reason,
    causes: Causes,
    begins: Begins,
    arrived: Option<Arrived<'a>>,
}

/// Follows each landing to its end. Those that come to the same are one outcome.
pub(super) fn land<'a, T: Trail>(
    journey: &Journey<'a>,
    trip: &Trip<'a, T>,
    shown: Shown,
    landings: &[Landing<'a>],
    out: &mut Outcomes,
) {
    let mut groups: Vec<(Comes<'a>, Vec<&Landing<'a>>)> = Vec::new();
    for landing in landings {
        let comes = comes(journey, trip, landing);
        let alike = |known: &Comes<'_>| {
            known.reason == comes.reason
                && known.causes == comes.causes
                && known.begins == comes.begins
                && known.arrived.map(|a| a.arrival) == comes.arrived.map(|a| a.arrival)
        };
        match groups.iter_mut().find(|(known, _)| alike(known)) {
            Some((_, group)) => group.push(landing),
            None => groups.push((comes, vec![landing])),
        }
    }
    for (comes, group) in groups {
        out.push(outcome(journey, trip.clone(), shown, comes, &group));
    }
}

/// A pod that dials its own ip never leaves its loopback interface.
pub(super) fn at_itself<'a, T: Trail>(journey: &Journey<'a>, trip: Trip<'a, T>, out: &mut Outcomes) {
    let arrival = Arrival { captured: false, end: ArrivalEnd::Delivered };
    let arrived = Arrived { arrival, in_codec: false, mode: None, declared: None };
    let comes = Comes { reason: Reason::Own, causes: Causes::new(), begins: Begins::AsSent, arrived: Some(arrived) };
    let landing = Landing::new(journey.to, journey.source, None, true);
    out.push(outcome(journey, trip, Shown::Dialled(journey.to), comes, &[&landing]));
}

/// D1 and D2 for one landing, and the name of what comes of it.
fn comes<'a, T: Trail>(journey: &Journey<'a>, trip: &Trip<'a, T>, landing: &Landing<'a>) -> Comes<'a> {
    let begins = landing.begins;
    let payload = Payload::of(&trip.sends);
    if let Some(reason) = landing.lost {
        return Comes { reason, causes: Causes::new(), begins, arrived: None };
    }
    let arrived = if let Some(pod) = landing.pod {
        arrive(journey.index, pod, landing.at.port, begins, payload, || landing.accepts, journey.as_of)
    } else {
        let end = if begins == Begins::MeshTls { ArrivalEnd::MtlsNotTerminated } else { ArrivalEnd::Delivered };
        Arrived { arrival: Arrival { captured: false, end }, in_codec: false, mode: None, declared: None }
    };
    let tls_in_clear =
        begins == Begins::OneWayTls || (begins == Begins::AsSent && matches!(payload, Payload::Tls { .. }));
    let reason = match arrived.arrival.end {
        ArrivalEnd::Delivered => match trip.route.delivered_as {
            Reason::SourceUncaptured if !concerns_mesh(journey, landing) => Reason::NotInMesh,
            delivered => delivered,
        },
        ArrivalEnd::NoFilterChain | ArrivalEnd::CodecError if tls_in_clear => Reason::TlsToHttpPort,
        ArrivalEnd::NoFilterChain => Reason::PlaintextToStrict,
        ArrivalEnd::CodecError => Reason::NotHttpOnHttpPort,
        ArrivalEnd::HandshakeFails => Reason::TlsWithoutMeshCertificate,
        ArrivalEnd::Stalls => Reason::ServerFirstStall,
        ArrivalEnd::MtlsNotTerminated => Reason::MtlsNotTerminated,
        ArrivalEnd::IdentityMismatch => Reason::IdentityMismatch,
        ArrivalEnd::PolicyDenied => Reason::AmbientPolicyDenied,
    };
    let causes = match (reason, payload) {
        (Reason::NotHttpOnHttpPort, Payload::InvalidHttp) => Causes::from_slice(&[Cause::InvalidRequest]),
        _ => causes::of_arrival(journey, &trip.route, landing, &arrived, reason),
    };
    Comes { reason, causes, begins, arrived: Some(arrived) }
}

/// Whether anything of the mesh was on the way.
fn concerns_mesh(journey: &Journey<'_>, landing: &Landing<'_>) -> bool {
    [journey.source, landing.pod].into_iter().flatten().any(|pod| is_enrolled(pod))
}

fn outcome<'a, T: Trail>(
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
            Shown::OneOf => HopTarget::OneOf(group.iter().flat_map(|landing| landing.shown()).copied().collect()),
            Shown::Unknown => HopTarget::Unknown,
        },
        begins: bytes,
        cluster: chosen.map(Chosen::cluster),
    };
    steps::tell(journey, &mut trip, &hop, arrived.as_ref(), reason, group[0]);
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

impl SourceEnd {
    pub(super) fn stall(cause: Cause) -> Self {
        Self { reason: Reason::ServerFirstStall, cause: Some(cause), answers: None }
    }

    pub(super) fn closed(reason: Reason) -> Self {
        Self { reason, cause: None, answers: None }
    }

    pub(super) fn invalid_request() -> Self {
        Self { cause: Some(Cause::InvalidRequest), ..Self::answered(Reason::NotHttpOnHttpPort, 400) }
    }

    pub(super) fn answered(reason: Reason, status: u16) -> Self {
        Self { reason, cause: None, answers: Some(status) }
    }
}
