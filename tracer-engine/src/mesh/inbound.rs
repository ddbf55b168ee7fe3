//! What a destination's proxy knows of its own ports.

use crate::mesh::facts::{Labels, ObjectKey, Pod};
use crate::mesh::index::Index;
use crate::mesh::protocol::{ListenerProtocol, Protocol};
use crate::mesh::registry::RegistryService;
use crate::mesh::visibility::Scope;
use std::sync::Arc;

/// Ports of the proxy's own listeners: no Service gets one there (`conflictWithReservedListener`).
pub(crate) const RESERVED: [u16; 4] = [15001, 15006, 15021, 15090];

/// A port that a pod's proxy has filter chains for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Declared<'a> {
    pub protocol: ListenerProtocol,
    /// The Service, or the Sidecar with `ingress`, that declares it.
    pub by: DeclaredBy<'a>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum DeclaredBy<'a> {
    Service(&'a RegistryService),
    Sidecar(&'a ObjectKey),
}

impl Declared<'_> {
    /// For a step's text.
    pub(crate) fn spelled(&self) -> String {
        let protocol = match self.protocol {
            ListenerProtocol::Http => "HTTP",
            ListenerProtocol::Tcp => "TCP",
            ListenerProtocol::Auto => "auto",
        };
        match self.by {
            DeclaredBy::Service(service) => format!("{protocol} (by {})", service.told()),
            DeclaredBy::Sidecar(key) => format!("{protocol} (by Sidecar {key})"),
        }
    }
}

/// `listener_inbound.go buildInboundChainConfigs`: by the port that arrives at the pod. A Sidecar's `ingress` stands
/// alone; of two Services the oldest decides.
pub fn declared<'a>(scope: &Scope<'a>, port: u16) -> Option<Declared<'a>> {
    if let Some(sidecar) = scope.sidecar.filter(|sidecar| !sidecar.ingress.is_empty()) {
        let listener = sidecar.ingress.iter().find(|listener| listener.port.number == port)?;
        let protocol = Protocol::parse(&listener.port.protocol).inbound();
        return Some(Declared { protocol, by: DeclaredBy::Sidecar(&sidecar.key) });
    }
    if RESERVED.contains(&port) {
        return None;
    }
    let (protocol, service) = service_targets(scope.index, scope.proxy)
        .filter(|(_, _, number)| *number == port)
        .min_by_key(|(service, _, _)| (service.created, service.hostname.clone()))
        .map(|(service, protocol, _)| (protocol, service))?;
    Some(Declared { protocol: protocol.inbound(), by: DeclaredBy::Service(service) })
}

/// `GetProxyServiceTargets`: Services of the pod's own namespace only, whoever may see them. Where some select the pod,
/// those without a selector do not count.
fn service_targets<'a>(
    index: &'a Index,
    pod: &'a Pod,
) -> impl Iterator<Item = (&'a Arc<RegistryService>, Protocol, u16)> {
    let own = &pod.key.namespace;
    let over = move || {
        let ips = pod.ips.iter().flat_map(|ip| index.services_over(ip.to_canonical()));
        ips.filter(move |(service, port, _)| service.key.namespace == *own && !port.is_datagram())
    };
    let selecting = |selector: &Labels| !selector.is_empty() && selector.selects(&pod.labels);
    let selected = over().any(|(service, _, _)| selecting(&service.selector));
    let slices = over()
        .filter(move |(service, _, _)| !selected || selecting(&service.selector))
        .map(|(service, port, number)| (service, port.protocol, number));
    let ips = pod.ips.iter().flat_map(move |ip| index.entries_over(ip.to_canonical(), Some(pod)).map(move |e| (e, ip)));
    let entries = ips.filter(move |(entry, _)| entry.key.namespace == *own).flat_map(move |(entry, ip)| {
        let named = entry.endpoints().iter().find(|e| e.address.parse() == Ok(ip.to_canonical()));
        entry.ports.iter().map(move |port| {
            let own =
                named.and_then(|e| e.ports.iter().find(|(name, _)| *name == port.name)).map(|(_, number)| *number);
            (entry, port.protocol, own.or(port.target).unwrap_or(port.number))
        })
    });
    slices.chain(entries)
}
