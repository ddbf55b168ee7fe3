//! Why no mesh route with mTLS carried a call (section 8): every cause that holds, the most specific first.

use super::destination::Arrived;
use super::journey::{CaptureKind, HostMatch, Journey, Route};
use super::landing::Landing;
use crate::mesh::facts::{Enrolment, MtlsMode};
use crate::mesh::index::Occupant;
use crate::mesh::protocol::Protocol;
use crate::mesh::registry::{Port, Registry, RegistryService, Resolution};
use crate::mesh::visibility::Scope;
use crate::mesh::xds::client_tls::{Because, Begins};
use crate::mesh::xds::listener::Bind;
use crate::verdict::{Cause, Causes, Reason};
use std::sync::Arc;

/// Of a path that ended at the other side.
pub(super) fn of_arrival<'a>(
    journey: &Journey<'a>,
    route: &Route<'a>,
    landing: &Landing<'a>,
    arrived: &Arrived<'a>,
    reason: Reason,
) -> Causes {
    match reason {
        Reason::PlaintextToStrict | Reason::AmbientPolicyDenied => {
            let mut causes = of_tls(route, landing);
            causes.extend(of_route(journey, route, reason));
            let ambient = of_ambient(route, landing);
            // Pods in ambient mode bear no label: that they are in it says more.
            let unlabelled = matches!(causes[..], [Cause::MixedHeadlessEndpoints | Cause::EndpointWithoutLabel]);
            let at = if unlabelled { 0 } else { causes.len() };
            causes.insert_many(at, ambient);
            causes
        }
        Reason::Passthrough => {
            let mut causes: Causes = service_entry_none(route).into_iter().collect();
            causes.extend(of_route(journey, route, reason));
            causes.extend(of_ambient(route, landing));
            causes
        }
        Reason::SourceUncaptured => of_route(journey, route, reason),
        Reason::TlsWithoutMeshCertificate => {
            let own = landing.tls.is_none_or(|tls| tls.begins == Begins::AsSent);
            one(if own { Cause::AppTls } else { Cause::DestinationRule })
        }
        Reason::ServerFirstStall if arrived.in_codec => one(Cause::HttpCodec),
        Reason::ServerFirstStall => one(Cause::DestinationSniffs),
        Reason::MtlsNotTerminated => not_terminated(landing, arrived),
        _ => Causes::new(),
    }
}

/// Of what the source decided before any cluster.
pub(super) fn of_route<'a>(journey: &Journey<'a>, route: &Route<'a>, reason: Reason) -> Causes {
    let asks = matches!(
        reason,
        Reason::PlaintextToStrict
            | Reason::AmbientPolicyDenied
            | Reason::Passthrough
            | Reason::Blackhole
            | Reason::NoVirtualHost
            | Reason::SourceUncaptured
    );
    match route.capture {
        CaptureKind::Not(cause) if asks => one(cause),
        CaptureKind::Sidecar if asks && route.too_new => one(Cause::EndpointTooNew),
        CaptureKind::Sidecar if asks && route.cluster.is_none() => undeclared(journey, route),
        _ => Causes::new(),
    }
}

/// S6: why a hop that a cluster chose was not in mTLS.
fn of_tls(route: &Route<'_>, landing: &Landing<'_>) -> Causes {
    let Some(tls) = landing.tls else { return Causes::new() };
    let mut causes = Causes::new();
    let by_namespace = tls.namespace.is_some_and(|namespace| namespace.mode == MtlsMode::Disable);
    causes.extend(by_namespace.then_some(Cause::WorkloadPolicyIgnoredByClient));
    causes.extend(match tls.because {
        Because::DestinationRule(_) => Some(Cause::DestinationRuleDisable),
        Because::AutoMtlsOff => Some(Cause::AutoMtlsOff),
        _ => None,
    });
    causes.extend(service_entry_none(route));
    causes.extend(match tls.because {
        Because::Mixed(_) => Some(Cause::MixedHeadlessEndpoints),
        Because::EndpointWithoutLabel(_) => Some(Cause::EndpointWithoutLabel),
        _ => None,
    });
    causes
}

fn service_entry_none(route: &Route<'_>) -> Option<Cause> {
    let service = route.cluster.as_ref()?.service;
    let none = service.registry == Registry::ServiceEntry && service.resolution == Resolution::Passthrough;
    none.then_some(Cause::ServiceEntryNone)
}

fn of_ambient(route: &Route<'_>, landing: &Landing<'_>) -> Option<Cause> {
    let pod = landing.pod?;
    match (route.capture, &*pod.enrolment) {
        (CaptureKind::Ztunnel, Enrolment::Sidecar(_)) => Some(Cause::AmbientToSidecar),
        (CaptureKind::Sidecar, Enrolment::Ambient) => Some(Cause::SidecarToAmbient),
        _ => None,
    }
}

/// S2 to S4: why no listener or virtual host knew the dialled address.
fn undeclared<'a>(journey: &Journey<'a>, route: &Route<'a>) -> Causes {
    let Some(pod) = journey.source else { return Causes::new() };
    let scope = Scope::of(journey.index, pod, journey.as_of);
    let dialled = journey.to.port;
    let of_pod: Vec<(&Arc<RegistryService>, &Port, u16)> = journey.index.services_over(journey.to.ip).collect();
    let mut headless = of_pod.iter().filter(|(service, port, _)| {
        service.is_headless() && !port.is_datagram() && port.protocol != Protocol::Udp && port.number == dialled
    });
    let seen = |service: &RegistryService| scope.sees(service);
    let is_target =
        of_pod.iter().any(|(_, port, number)| *number == dialled && port.number != dialled && !port.is_datagram());
    let declared_in_sight = headless.clone().any(|(service, _, _)| seen(service));
    let vip = match journey.dialled {
        Occupant::Service(service) => {
            service.port(dialled).filter(|port| port.protocol != Protocol::Udp).map(|_| service)
        }
        _ => None,
    };
    let hidden = headless.clone().any(|(service, _, _)| !seen(service)) || vip.is_some_and(|service| !seen(service));
    let wildcard = route.bind == Some(Bind::Wildcard);
    [
        (wildcard && route.for_http && !route.http_chain, Cause::NonHttpOnHttpNamedPort),
        (
            wildcard && headless.clone().any(|(service, port, _)| port.protocol.is_http() && seen(service)),
            Cause::HttpNamedHeadlessPort,
        ),
        (is_target && !declared_in_sight, Cause::TargetPortDialled),
        (hidden, Cause::ServiceNotVisible),
        (route.host == HostMatch::DialledIp, Cause::HostIsPodIp),
        (route.host == HostMatch::Unknown, Cause::HostUnknown),
        (headless.next().is_none() && !is_target && vip.is_none(), Cause::PortUndeclared),
    ]
    .into_iter()
    .filter_map(|(holds, cause)| holds.then_some(cause))
    .collect()
}

/// Mesh mTLS reached somebody who cannot terminate it.
fn not_terminated(landing: &Landing<'_>, arrived: &Arrived<'_>) -> Causes {
    let sidecar = landing.pod.is_some_and(|pod| !pod.host_network && matches!(*pod.enrolment, Enrolment::Sidecar(_)));
    let ruled = landing.tls.is_some_and(|tls| matches!(tls.because, Because::DestinationRule(_)));
    [
        (arrived.arrival.captured && !ruled, Cause::WorkloadPolicyIgnoredByClient),
        (sidecar && !arrived.arrival.captured, Cause::InboundPortExcluded),
        (!sidecar && landing.pod.is_some_and(|pod| pod.tls_mode_istio), Cause::LabelWithoutSidecar),
        (ruled, Cause::DestinationRule),
    ]
    .into_iter()
    .filter_map(|(holds, cause)| holds.then_some(cause))
    .collect()
}

fn one(cause: Cause) -> Causes {
    Causes::from_slice(&[cause])
}
