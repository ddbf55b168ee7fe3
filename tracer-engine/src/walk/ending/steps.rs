//! The last steps: the hop, and the other end.

use crate::mesh::facts::Enrolment;
use crate::mesh::index::Occupant;
use crate::mesh::policy::spelled;
use crate::mesh::xds::client_tls::Begins;
use crate::verdict::Reason;
use crate::walk::destination::Arrived;
use crate::walk::journey::{Journey, Trip};
use crate::walk::landing::Landing;
use crate::walk::outcome::{ArrivalEnd, Hop, HopTarget, Place};
use crate::walk::trail::Trail;

pub(super) fn tell<T: Trail>(
    journey: &Journey<'_>,
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
            || format!("nobody answers at {}: {reason}", landing.at),
            || match journey.dialled {
                Occupant::Tombstone(pod) => format!("Pod {} had this ip and is gone", pod.key),
                Occupant::Service(service) => format!("{} has no ready endpoint", service.told()),
                _ => "no live pod has it".to_owned(),
            },
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
        trip.trail.step(
            Place::Application,
            || format!("{}: {said}", who()),
            || match landing.pod {
                Some(_) if reason == Reason::Own => "its own loopback interface",
                Some(pod) if pod.host_network => "hostNetwork: no proxy takes it there",
                Some(pod) if matches!(*pod.enrolment, Enrolment::Sidecar(_)) => {
                    "excludeInboundPorts (istio-init -d, -b)"
                }
                Some(_) => "no sidecar",
                None => "no pod of this cluster",
            },
        );
    }
}
