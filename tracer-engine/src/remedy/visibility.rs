//! A Service that declares the port and is hidden from the client, shown to it.

use super::case::Case;
use super::{Manifest, Proposal};
use crate::mesh::facts::{ExportTo, Fact, Sidecar};
use crate::mesh::index::Occupant;
use crate::mesh::registry::RegistryService;
use crate::mesh::visibility::Scope;
use std::sync::Arc;

pub(super) fn show(case: &Case<'_>) -> Vec<Proposal> {
    let Some(scope) = case.scope() else { return Vec::new() };
    let number = case.call.to.port;
    let vip = match case.index.occupant(case.call.to.ip, case.as_of) {
        Occupant::Service(service) => Some(service),
        _ => None,
    };
    let over = case.index.services_over(case.call.to.ip);
    let hidden = over
        .filter(|(service, port, _)| service.is_headless() && port.number == number)
        .map(|(service, ..)| service)
        .chain(vip)
        .filter(|service| !scope.sees(service));
    let mut proposals: Vec<Proposal> = Vec::new();
    for service in hidden {
        proposals.extend(if scope.export_rank(service).is_none() {
            exported(&scope, service)
        } else {
            named(&scope, service)
        });
    }
    proposals
}

fn exported(scope: &Scope<'_>, service: &RegistryService) -> Option<Proposal> {
    let mut new = service.to_service()?;
    let (owner, client) = (service.key.namespace.clone(), scope.proxy.key.namespace.clone());
    let mut to = match new.export_to.take().unwrap_or_else(|| scope.mesh.default_service_export_to.clone()) {
        ExportTo::Namespaces(named) => named,
        ExportTo::OwnNamespace => vec![owner],
        ExportTo::Nobody => Vec::new(),
        ExportTo::All => return None,
    };
    to.push(client);
    new.export_to = Some(ExportTo::Namespaces(to));
    Some(Manifest::amending(Fact::Service(new)).into())
}

/// In the one egress listener of the client's `Sidecar`: a list is replaced whole when it is applied, and of one with
/// ports not all that it says is known here.
fn named(scope: &Scope<'_>, service: &Arc<RegistryService>) -> Option<Proposal> {
    let mut sidecar = Sidecar::clone(scope.sidecar?);
    let [listener] = &mut sidecar.egress[..] else { return None };
    if listener.port.is_some() || listener.bind.is_some() {
        return None;
    }
    listener.hosts.push(format!("{}/{}", service.key.namespace, service.hostname).into());
    Some(Manifest::amending(Fact::Sidecar(sidecar)).into())
}
