//! An ambient source: ztunnel takes everything and sniffs nothing (section 8). No truth covers it: every answer bears a
//! caveat.

use crate::mesh::facts::{Enrolment, Pod};
use crate::mesh::index::Occupant;
use crate::mesh::waypoint::{self, Waypoint};
use crate::verdict::Reason;
use crate::walk::ending;
use crate::walk::journey::{CaptureKind, Journey, Trip, is_enrolled};
use crate::walk::landing::{self, Landing, Shown};
use crate::walk::outcome::{Caveat, Known, Outcomes, Place, Sends};
use crate::walk::trail::Trail;
use smallvec::SmallVec;

/// `proxy/outbound.rs build_request`: HBONE to whoever takes it, whatever the port; else on as it is.
pub(super) fn leave<T: Trail>(journey: &Journey<'_>, mut trail: T, out: &mut Outcomes) {
    trail.step(
        Place::Source,
        || format!("{} is captured by ztunnel", journey.to),
        || "ambient.istio.io/redirection: enabled",
    );
    let landings = landing::dialled(journey, None);
    let kinds: &[Sends] = &[
        Sends::Nothing,
        Sends::Other,
        Sends::Tls { sni: Known::No, alpn: SmallVec::new() },
        Sends::Http { http2: false, host: Known::No },
    ];
    let known = std::slice::from_ref(&journey.call.sends);
    for sends in if journey.call.sends == Sends::Unknown { kinds } else { known } {
        let mut trip = Trip::new(journey, sends.clone(), trail.clone(), CaptureKind::Ztunnel);
        trip.caveats.push(Caveat::Ambient);
        let (hbone, plain): (Vec<_>, Vec<_>) = landings.iter().cloned().partition(takes_hbone);
        ending::land(journey, &trip, Shown::Dialled(journey.to), &plain, out);
        trip.route.delivered_as = Reason::AmbientHbone;
        let mut shown = Shown::OneOf;
        let waypoint = match before(journey, &hbone) {
            Waypoint::None => SmallVec::new(),
            Waypoint::Pods(pods) => pods,
            Waypoint::Unknown(name) => {
                trip.caveats.push(Caveat::Missing(format!("waypoint {name} is asked for, and no pod of it is known")));
                shown = Shown::Unknown;
                SmallVec::new()
            }
        };
        let hbone: Vec<_> = hbone.into_iter().map(|landing| landing.by_hbone(&waypoint)).collect();
        ending::land(journey, &trip, shown, &hbone, out);
    }
}

/// The waypoint that stands before what was dialled.
fn before(journey: &Journey<'_>, hbone: &[Landing<'_>]) -> Waypoint {
    match (journey.dialled, hbone.first().and_then(|landing| landing.pod)) {
        (Occupant::Service(service), Some(_)) => waypoint::of_service(journey.index, service),
        (_, Some(pod)) => waypoint::of_workload(journey.index, pod),
        (_, None) => Waypoint::None,
    }
}

/// `serviceregistry/ambient/workloads.go`: ambient pods, and sidecars that say so.
fn takes_hbone(landing: &Landing<'_>) -> bool {
    let sidecar = |pod: &Pod| pod.accepts_hbone() && matches!(*pod.enrolment, Enrolment::Sidecar(_));
    landing.pod.is_some_and(|pod| is_enrolled(pod) && (*pod.enrolment == Enrolment::Ambient || sidecar(pod)))
}
