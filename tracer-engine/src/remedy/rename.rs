//! A Service port named by what is spoken on it.

use super::case::Case;
use super::{Manifest, Proposal, slices};
use crate::mesh::facts::{Fact, ObjectKey, ServiceKind, ServicePort};
use crate::mesh::inbound::{DeclaredBy, declared};
use crate::mesh::index::Occupant;
use crate::mesh::registry::Registry;
use crate::mesh::visibility::Scope;

/// What a port's name is to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Speaks {
    Tcp,
    Tls,
    /// Left to be told apart.
    Anything,
}

/// The port of the pod's own headless Service that is named as HTTP, where that is what keeps its ip from a route.
pub(super) fn own_http_port(case: &Case<'_>) -> Option<Proposal> {
    let scope = case.scope()?;
    let number = case.call.to.port;
    let over = case.index.services_over(case.call.to.ip);
    let (service, ..) = over
        .filter(|(_, port, _)| port.number == number && port.protocol.is_http())
        .find(|(service, ..)| service.is_headless() && scope.sees(service))?;
    let speaks = if case.sends_http() { Speaks::Anything } else { Speaks::Tcp };
    renamed(case, &service.key, number, speaks)
}

/// The port of the dialled address's own Service: where a client's proxy waits to tell it apart.
pub(super) fn dialled_port(case: &Case<'_>) -> Option<Proposal> {
    let number = case.call.to.port;
    let scope = case.scope()?;
    let vip = match case.index.occupant(case.call.to.ip, case.as_of) {
        Occupant::Service(service) => Some(service),
        _ => None,
    };
    let over = case
        .index
        .services_over(case.call.to.ip)
        .filter(|(service, port, _)| port.number == number && service.is_headless() && scope.sees(service));
    let service = vip.or_else(|| over.map(|(service, ..)| service).min_by_key(|service| service.seniority()))?;
    renamed(case, &service.key, number, Speaks::Tcp)
}

/// The port of the Service by which the destination's proxy goes.
pub(super) fn landed_port(case: &Case<'_>, speaks: Speaks) -> Vec<Proposal> {
    let Some((pod, number)) = case.landed else { return Vec::new() };
    let scope = Scope::of(case.index, pod, case.as_of);
    let Some(DeclaredBy::Service(service)) = declared(&scope, number).map(|declared| declared.by) else {
        return Vec::new();
    };
    if service.registry != Registry::Kubernetes {
        return Vec::new();
    }
    let over = case.index.services_over(pod.ips.first().copied().unwrap_or(case.call.to.ip));
    let of_service = over.filter(|(own, _, target)| own.key == service.key && *target == number);
    let ports: Vec<u16> = of_service.map(|(_, port, _)| port.number).collect();
    ports.into_iter().filter_map(|port| renamed(case, &service.key, port, speaks)).collect()
}

/// Only of a Service with a selector: the EndpointSlices of another are written by hand, and name its ports.
fn renamed(case: &Case<'_>, key: &ObjectKey, number: u16, speaks: Speaks) -> Option<Proposal> {
    let old = case.index.service(key)?.to_service()?;
    if old.selector.is_empty() || matches!(old.kind, ServiceKind::ExternalName(_)) {
        return None;
    }
    let mut new = old.clone();
    let at = new.ports.iter().position(|port| port.port == number)?;
    let taken = |name: &str| old.ports.iter().enumerate().any(|(other, port)| other != at && *port.name == *name);
    let port = &mut new.ports[at];
    let name = [spelled(port, speaks, false), spelled(port, speaks, true)].into_iter().find(|name| !taken(name))?;
    port.name = name.into();
    // It overrides the name, and cannot be taken away by applying: so it says the same.
    port.app_protocol = port.app_protocol.as_ref().map(|_| if speaks == Speaks::Tls { "tls" } else { "tcp" }.into());
    let slices = slices::of_amended(case, &old, &new);
    Some(Proposal { manifests: vec![Manifest::amending(Fact::Service(new))], slices })
}

fn spelled(port: &ServicePort, speaks: Speaks, by_number: bool) -> String {
    let token = match speaks {
        Speaks::Tcp => "tcp",
        Speaks::Tls => "tls",
        Speaks::Anything => return format!("port-{}", port.port),
    };
    match port.name.split_once('-') {
        Some((_, rest)) if !by_number && !rest.is_empty() => format!("{token}-{rest}"),
        _ => format!("{token}-{}", port.port),
    }
}
