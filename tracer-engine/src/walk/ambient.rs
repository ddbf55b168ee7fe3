//! Ambient, at both ends (section 8). No truth covers it: every answer bears a caveat.

use super::destination::Arrived;
use super::journey::{CaptureKind, Journey, Trip, is_enrolled};
use super::landing::{self, Landing, Shown};
use super::outcome::{Arrival, ArrivalEnd, Caveat, Known, Outcomes, Place, Sends};
use super::trail::Trail;
use crate::mesh::facts::{Enrolment, MtlsMode, Pod};
use crate::mesh::index::Index;
use crate::mesh::policy::port_mode;
use crate::mesh::xds::client_tls::Begins;
use crate::verdict::Reason;
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
        landing::land(journey, &trip, Shown::Dialled(journey.to), &plain, out);
        let hbone: Vec<_> = hbone.into_iter().map(Landing::by_hbone).collect();
        trip.route.delivered_as = Reason::AmbientHbone;
        landing::land(journey, &trip, Shown::Hbone, &hbone, out);
    }
}

/// `serviceregistry/ambient/workloads.go`: ambient pods, and sidecars that say so.
fn takes_hbone(landing: &Landing<'_>) -> bool {
    let sidecar = |pod: &Pod| pod.hbone && matches!(pod.enrolment, Enrolment::Sidecar(_));
    landing.pod.is_some_and(|pod| is_enrolled(pod) && (pod.enrolment == Enrolment::Ambient || sidecar(pod)))
}

/// ztunnel's plaintext port: STRICT denies whoever shows no identity; nothing is sniffed, so nothing stalls.
pub(super) fn arrive<'a>(index: &'a Index, pod: &'a Pod, port: u16, begins: Begins) -> Arrived<'a> {
    let mode = port_mode(index, index.mesh_config(None), &pod.key.namespace, &pod.labels, port);
    let end = match begins {
        Begins::Hbone => ArrivalEnd::Delivered,
        _ if mode.mode == MtlsMode::Strict => ArrivalEnd::PolicyDenied,
        Begins::MeshTls => ArrivalEnd::MtlsNotTerminated,
        Begins::OneWayTls | Begins::AsSent => ArrivalEnd::Delivered,
    };
    Arrived { arrival: Arrival { captured: true, end }, in_codec: false, mode: Some(mode), declared: None }
}
