//! The dialled port in a headless Service of the pod, so that its ip gets a route of its own.

use super::case::{Case, NEW, named};
use super::{Manifest, Proposal, selector, slices};
use crate::mesh::facts::{ExportTo, Fact, Pod, Service, ServiceKind, ServicePort, TargetPort, Transport};
use crate::net::Name;

/// In one that is there, and else in one that is new.
pub(super) fn declare(case: &Case<'_>) -> Vec<Proposal> {
    let Some(pod) = case.dialled.filter(|pod| !pod.host_network) else { return Vec::new() };
    let mut proposals: Vec<Proposal> = own(case, pod).map(|service| amended(case, &service)).collect();
    for selector in selector::candidates(case, pod) {
        let service = Service {
            key: new_key(case, pod),
            created: NEW,
            kind: ServiceKind::Headless,
            ports: vec![port(case)],
            selector,
            export_to: exported(case, pod),
            waypoint: None,
        };
        let slices = slices::of_new(case, &service);
        proposals.push(Proposal { manifests: vec![Manifest::new(Fact::Service(service))], slices });
    }
    proposals
}

/// Named as what is spoken: what is HTTP is left to be told apart, so that any Host is taken; the rest needs no look.
fn port(case: &Case<'_>) -> ServicePort {
    let number = case.call.to.port;
    let token = if case.sends_http() { "port" } else { "tcp" };
    ServicePort {
        name: format!("{token}-{number}").into(),
        port: number,
        target: TargetPort::Number(number),
        transport: Transport::Tcp,
        app_protocol: None,
    }
}

/// Headless Services of the pod that a port can be added to: with a selector, and with names for all their ports.
fn own<'a>(case: &Case<'a>, pod: &'a Pod) -> impl Iterator<Item = Service> {
    let number = case.call.to.port;
    let index = case.index;
    let mut keys: Vec<_> = index
        .services_over(case.call.to.ip)
        .filter(|(service, ..)| service.is_headless() && service.key.namespace == pod.key.namespace)
        .map(|(service, ..)| &service.key)
        .collect();
    keys.sort();
    keys.dedup();
    let takes = move |service: &Service| {
        let selects = !service.selector.is_empty() && service.selector.selects(&pod.labels);
        selects && service.ports.iter().all(|port| !port.name.is_empty() && port.port != number)
    };
    keys.into_iter().filter_map(move |key| index.service(key)?.to_service()).filter(takes)
}

fn amended(case: &Case<'_>, old: &Service) -> Proposal {
    let mut new = old.clone();
    let mut port = port(case);
    if new.ports.iter().any(|known| known.name == port.name) {
        port.name = format!("{}-ip", port.name).into();
    }
    new.ports.push(port);
    let slices = slices::of_amended(case, old, &new);
    Proposal { manifests: vec![Manifest::amending(Fact::Service(new))], slices }
}

fn new_key(case: &Case<'_>, pod: &Pod) -> crate::mesh::facts::ObjectKey {
    let port = case.call.to.port.to_string();
    let namespace = &pod.key.namespace;
    let key = named(namespace, &[&pod.workload.name, "headless"]);
    if case.index.service(&key).is_none() { key } else { named(namespace, &[&pod.workload.name, "headless", &port]) }
}

/// Where the mesh hides Services by default, the client's namespace is named.
fn exported(case: &Case<'_>, pod: &Pod) -> Option<ExportTo> {
    let scope = case.scope()?;
    let client: &Name = &scope.proxy.key.namespace;
    let hidden = scope.mesh.default_service_export_to != ExportTo::All && *client != pod.key.namespace;
    hidden.then(|| ExportTo::Namespaces(vec![pod.key.namespace.clone(), client.clone()]))
}
