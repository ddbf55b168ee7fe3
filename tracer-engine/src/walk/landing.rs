//! The end of a path: where a hop may land, what becomes of it there, and what that is called (section 8).

use super::destination::{Arrived, Payload, arrive};
use super::journey::{Journey, Trip, is_enrolled};
use super::outcome::{Arrival, ArrivalEnd, Outcomes};
use super::trail::Trail;
use super::{causes, ending};
use crate::mesh::facts::Pod;
use crate::mesh::index::{Occupant, ServiceEndpoint};
use crate::mesh::visibility::Scope;
use crate::mesh::xds::client_tls::{Begins, ClientTlsChoice};
use crate::mesh::xds::cluster::ClusterOf;
use crate::net::Endpoint;
use crate::verdict::{Causes, Reason};
use std::sync::Arc;

/// One place where a hop may end.
#[derive(Clone)]
pub(super) struct Landing<'a> {
    pub(super) at: Endpoint,
    pub(super) pod: Option<&'a Arc<Pod>>,
    pub(super) begins: Begins,
    pub(super) tls: Option<ClientTlsChoice<'a>>,
    /// The source takes the certificate that this pod would show.
    accepts: bool,
    lost: Option<Reason>,
}

/// What the kernel at the source shows of the hop.
#[derive(Clone, Copy)]
pub(super) enum Shown {
    Dialled(Endpoint),
    /// Each landing's own address.
    OneOf,
    /// Each landing's port 15008.
    Hbone,
    Unknown,
}

/// What one landing comes to.
#[derive(Clone, PartialEq)]
pub(super) struct Comes<'a> {
    pub(super) reason: Reason,
    pub(super) causes: Causes,
    pub(super) begins: Begins,
    pub(super) arrived: Option<Arrived<'a>>,
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
        out.push(ending::outcome(journey, trip.clone(), shown, comes, &group));
    }
}

/// A pod that dials its own ip never leaves its loopback interface.
pub(super) fn at_itself<'a, T: Trail>(journey: &Journey<'a>, trip: Trip<'a, T>, out: &mut Outcomes) {
    let arrival = Arrival { captured: false, end: ArrivalEnd::Delivered };
    let arrived = Arrived { arrival, in_codec: false, mode: None, declared: None };
    let comes = Comes { reason: Reason::Own, causes: Causes::new(), begins: Begins::AsSent, arrived: Some(arrived) };
    let landing = Landing::new(journey.to, journey.source, None, true);
    out.push(ending::outcome(journey, trip, Shown::Dialled(journey.to), comes, &[&landing]));
}

/// Where the dialled address leads: its pod, or what kube-proxy makes of a VIP.
pub(super) fn dialled<'a>(
    journey: &Journey<'a>,
    through: Option<(ClientTlsChoice<'a>, &ClusterOf<'a>, &Scope<'a>)>,
) -> Vec<Landing<'a>> {
    let tls = through.map(|(choice, _, _)| choice);
    let accepts =
        |pod: &Pod| through.is_none_or(|(choice, cluster, scope)| certificate_is_taken(scope, cluster, choice, pod));
    let land = |at, pod: Option<&'a Arc<Pod>>| Landing::new(at, pod, tls, pod.is_none_or(|pod| accepts(pod)));
    let to = journey.to;
    match journey.dialled {
        Occupant::Tombstone(_) => vec![Landing { lost: Some(Reason::StalePodIp), ..land(to, None) }],
        Occupant::Service(service) => {
            let Some(port) = service.port(to.port) else { return vec![land(to, None)] };
            let endpoints = journey.index.endpoints(service, port, journey.as_of);
            let ready = endpoints.iter().filter(|endpoint| endpoint.ready);
            let landings: Vec<_> = ready
                .map(|endpoint| {
                    let at = Endpoint { ip: endpoint.ip, port: endpoint.port };
                    land(at, endpoint.pod.or_else(|| journey.pod_at(endpoint.ip)))
                })
                .collect();
            if landings.is_empty() { vec![Landing { lost: Some(Reason::Refused), ..land(to, None) }] } else { landings }
        }
        Occupant::Pod(_) | Occupant::Node(_) | Occupant::External | Occupant::Unknown(_) => {
            vec![land(to, journey.dialled_pod())]
        }
    }
}

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
    let causes = causes::of_arrival(journey, &trip.route, landing, &arrived, reason);
    Comes { reason, causes, begins, arrived: Some(arrived) }
}

/// Whether anything of the mesh was on the way.
fn concerns_mesh(journey: &Journey<'_>, landing: &Landing<'_>) -> bool {
    [journey.source, landing.pod].into_iter().flatten().any(|pod| is_enrolled(pod))
}

fn certificate_is_taken(scope: &Scope<'_>, cluster: &ClusterOf<'_>, choice: ClientTlsChoice<'_>, pod: &Pod) -> bool {
    choice.begins != Begins::MeshTls || cluster.accepts(scope, &pod.key.namespace, &pod.service_account)
}

impl<'a> Landing<'a> {
    pub(super) fn new(
        at: Endpoint,
        pod: Option<&'a Arc<Pod>>,
        tls: Option<ClientTlsChoice<'a>>,
        accepts: bool,
    ) -> Self {
        Self { at, pod, begins: tls.map_or(Begins::AsSent, |tls| tls.begins), tls, accepts, lost: None }
    }

    pub(super) fn at_endpoint(
        journey: &Journey<'a>,
        scope: &Scope<'a>,
        cluster: &ClusterOf<'a>,
        endpoint: &ServiceEndpoint<'a>,
        choice: ClientTlsChoice<'a>,
    ) -> Self {
        let pod = endpoint.pod.or_else(|| journey.pod_at(endpoint.ip));
        let accepts = pod.is_none_or(|pod| certificate_is_taken(scope, cluster, choice, pod));
        Self::new(Endpoint { ip: endpoint.ip, port: endpoint.port }, pod, Some(choice), accepts)
    }

    pub(super) fn by_hbone(self) -> Self {
        Self { begins: Begins::Hbone, ..self }
    }

    /// Behind a DNS name: nothing is known of it.
    pub(super) fn elsewhere(journey: &Journey<'a>, choice: ClientTlsChoice<'a>) -> Self {
        Self::new(journey.to, None, Some(choice), true)
    }
}
