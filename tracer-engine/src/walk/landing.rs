//! The end of a path: where a hop may land, what becomes of it there, and what that is called (section 8).

use super::causes;
use super::destination::{Arrived, Payload, arrive};
use super::journey::{CaptureKind, Journey, Trip};
use super::outcome::{
    Arrival, ArrivalEnd, Caveat, Hop, HopBytes, HopTarget, Outcome, Outcomes, Path, Place,
};
use super::source::cluster::ClusterOf;
use super::source::concerns_mesh;
use super::source::security::{Begins, ClientTlsChoice};
use super::trail::Trail;
use crate::mesh::facts::{Enrolment, Pod};
use crate::mesh::index::{Occupant, ServiceEndpoint};
use crate::mesh::policy::spelled;
use crate::mesh::visibility::Scope;
use crate::net::Endpoint;
use crate::verdict::{Cause, Causes, Reason, Security};
use std::sync::Arc;

/// Where ztunnel and sidecars take HBONE.
const HBONE: u16 = 15008;

/// Versions of Istio that the rules were checked against.
const TESTED: &str = "1.30";

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

/// A path that ends at the source.
pub(super) struct SourceEnd {
    reason: Reason,
    cause: Option<Cause>,
    answers: Option<u16>,
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
        out.push(outcome(journey, trip.clone(), shown, comes, &group));
    }
}

/// A path that ends at the source's proxy: nothing goes on.
pub(super) fn end<'a, T: Trail>(journey: &Journey<'a>, mut trip: Trip<'a, T>, end: SourceEnd, out: &mut Outcomes) {
    let SourceEnd { reason, cause, answers } = end;
    let causes = cause.map_or_else(|| causes::of_route(journey, &trip.route, reason), |cause| Causes::from_slice(&[cause]));
    add_caveats(journey, &mut trip, &[]);
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

/// A pod that dials its own ip never leaves its loopback interface.
pub(super) fn at_itself<'a, T: Trail>(journey: &Journey<'a>, trip: Trip<'a, T>, out: &mut Outcomes) {
    let arrival = Arrival { captured: false, end: ArrivalEnd::Delivered };
    let arrived = Arrived { arrival, in_codec: false, mode: None, declared: None };
    let comes = Comes { reason: Reason::Own, causes: Causes::new(), begins: Begins::AsSent, arrived: Some(arrived) };
    let landing = Landing::new(journey.to, journey.source, None, true);
    out.push(outcome(journey, trip, Shown::Dialled(journey.to), comes, &[&landing]));
}

/// Where the dialled address leads: its pod, or what kube-proxy makes of a VIP.
pub(super) fn dialled<'a>(
    journey: &Journey<'a>,
    through: Option<(ClientTlsChoice<'a>, &ClusterOf<'a>, &Scope<'a>)>,
) -> Vec<Landing<'a>> {
    let tls = through.map(|(choice, _, _)| choice);
    let accepts = |pod: &Pod| through.is_none_or(|(choice, cluster, scope)| certificate_is_taken(scope, cluster, choice, pod));
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
    let arrived = match landing.pod {
        Some(pod) => {
            arrive(journey.index, pod, landing.at.port, begins, payload, || landing.accepts, journey.as_of)
        }
        None => {
            let end = if begins == Begins::MeshTls { ArrivalEnd::MtlsNotTerminated } else { ArrivalEnd::Delivered };
            Arrived { arrival: Arrival { captured: false, end }, in_codec: false, mode: None, declared: None }
        }
    };
    let tls_in_clear = begins == Begins::OneWayTls || (begins == Begins::AsSent && matches!(payload, Payload::Tls { .. }));
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
            let sni = chosen.map_or_else(|| "".into(), super::journey::Chosen::sni);
            (HopBytes::MeshTls { sni, http: trip.route.http_chain }, Security::MutualTls)
        }
        Begins::OneWayTls => (HopBytes::Tls, Security::Tls),
        Begins::Hbone => (HopBytes::Hbone, Security::MutualTls),
        Begins::AsSent if matches!(Payload::of(&trip.sends), Payload::Tls { .. }) => (HopBytes::AsSent, Security::AppTls),
        Begins::AsSent => (HopBytes::AsSent, Security::None),
    };
    let hop = Hop {
        to: match shown {
            Shown::Dialled(at) => HopTarget::Dialled(at),
            Shown::OneOf => HopTarget::OneOf(group.iter().map(|landing| landing.at).collect()),
            Shown::Hbone => HopTarget::OneOf(group.iter().map(|landing| Endpoint { port: HBONE, ..landing.at }).collect()),
            Shown::Unknown => HopTarget::Unknown,
        },
        begins: bytes,
        cluster: chosen.map(super::journey::Chosen::cluster),
    };
    tell(&mut trip, &hop, arrived.as_ref(), reason, group[0]);
    add_caveats(journey, &mut trip, group);
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
fn tell<T: Trail>(trip: &mut Trip<'_, T>, hop: &Hop, arrived: Option<&Arrived<'_>>, reason: Reason, landing: &Landing<'_>) {
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
        trip.trail.step(Place::Network, || format!("{} answers for nobody: {reason}", landing.at), || "no live pod has it");
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
        let place = if arrived.arrival.end == ArrivalEnd::Delivered { Place::Application } else { Place::DestinationProxy };
        trip.trail.step(place, || format!("{}, {}, {}: {said}", who(), port(), spelled(mode.mode)), || mode.by);
    } else {
        trip.trail.step(Place::Application, || format!("{}: {said}", who()), || "no proxy takes it there");
    }
}

fn add_caveats<T: Trail>(journey: &Journey<'_>, trip: &mut Trip<'_, T>, group: &[&Landing<'_>]) {
    let landed = group.iter().filter_map(|landing| landing.pod);
    for pod in landed.clone() {
        for namespace in [&pod.key.namespace, &journey.index.mesh_config(None).root_namespace] {
            for policy in journey.index.authorization_policies(namespace) {
                let selects = policy.selector.as_ref().is_none_or(|selector| selector.selects(&pod.labels));
                let caveat = Caveat::AuthorizationPolicy { policy: policy.key.clone(), pod: pod.key.name.clone() };
                if selects && super::journey::is_enrolled(pod) && !trip.caveats.contains(&caveat) {
                    trip.caveats.push(caveat);
                }
            }
        }
    }
    if landed.clone().any(|pod| pod.enrolment == Enrolment::Ambient) && !trip.caveats.contains(&Caveat::Ambient) {
        trip.caveats.push(Caveat::Ambient);
    }
    for pod in journey.source.into_iter().chain(landed) {
        if let Enrolment::Sidecar(proxy) = &pod.enrolment {
            let untested = proxy.version.as_ref().filter(|version| !is_tested(version));
            let caveat = untested.map(|version| Caveat::UntestedProxyVersion {
                pod: pod.key.name.clone(),
                version: version.clone(),
            });
            trip.caveats.extend(caveat.filter(|caveat| !trip.caveats.contains(caveat)));
        }
    }
}

fn is_tested(version: &str) -> bool {
    version.strip_prefix(TESTED).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
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
