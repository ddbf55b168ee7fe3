//! S4: the virtual host of a shared listener that a Host names (`httproute.go BuildSidecarOutboundVirtualHosts`).

use super::virtual_service::{has_routes, in_order, of_service};
use crate::mesh::facts::VirtualService;
use crate::mesh::index::host::resolve_short_name;
use crate::mesh::registry::{CLUSTER_SUFFIX, Port, RegistryService};
use crate::mesh::visibility::{Egress, Scope, matches};
use crate::net::Name;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Clone, Copy, Debug)]
pub(crate) enum VirtualHost<'a> {
    /// A Service's names, with the routes of a VirtualService where one is for it.
    Service { service: &'a Arc<RegistryService>, port: &'a Port, routes: Option<&'a VirtualService> },
    /// Another host of a VirtualService.
    Routes(&'a VirtualService),
    /// `*`: `allow_any` or `block_all`.
    CatchAll,
    /// No virtual host at all: 404.
    None,
}

/// `HeaderUtility::authorityIsValid`: Envoy answers a request with any other Host with 400, as one without.
pub(crate) fn is_valid(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"#/<>?\\^`{|}".contains(&byte))
}

/// A Host as Envoy compares it: without port, whatever stands there, and in lower case (`HeaderUtility::getPortStart`).
pub(crate) fn normalized(host: &str) -> String {
    let literal = host.rfind(']');
    let end = host.rfind(':').filter(|at| literal.is_none_or(|end| end < *at));
    host[..end.unwrap_or(host.len())].to_ascii_lowercase()
}

/// The address that a Host spells, with or without brackets.
pub(crate) fn as_ip(host: &str) -> Option<IpAddr> {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse().ok(),
        None => host.parse().ok().filter(IpAddr::is_ipv4),
    }
}

/// The most specific virtual host for `host` (normalized) on `0.0.0.0:port`.
pub(crate) fn find<'a>(scope: &Scope<'a>, port: u16, host: &str) -> VirtualHost<'a> {
    let Some(egress) = scope.egress_for(port) else { return VirtualHost::CatchAll };
    let sight = Sight { scope, egress, port };
    if let Some(service) = sight.unregistered(host) {
        return VirtualHost::Routes(service);
    }
    if let Some(found) = sight.service_of(host, false) {
        return found;
    }
    for suffix in host.match_indices('.').map(|(at, _)| &host[at..]) {
        let wildcard = format!("*{suffix}");
        if let Some(service) = sight.unregistered(&wildcard) {
            return VirtualHost::Routes(service);
        }
        if let Some(found) = sight.pick(scope.index.services_with_host().named(&wildcard).iter()) {
            return found;
        }
        // Per-pod names of a headless Service; they are neither looked up nor compared with the dialled ip.
        if let Some(found) = sight.service_of(&suffix[1..], true) {
            return found;
        }
    }
    VirtualHost::CatchAll
}

/// `getVirtualHostsForSniffedServicePort`: the one virtual host of a listener that is one Service's own.
pub(crate) fn own<'a>(scope: &Scope<'a>, service: &'a Arc<RegistryService>, port: &'a Port) -> VirtualHost<'a> {
    // A `Sidecar` may have told the port's routes apart from its listeners.
    match scope.egress_for(port.number).filter(|egress| scope.imports(*egress, service)) {
        Some(egress) => VirtualHost::Service { service, port, routes: routes(scope, egress, service, port.number) },
        None => VirtualHost::None,
    }
}

/// What one egress listener has on one port.
struct Sight<'s, 'a> {
    scope: &'s Scope<'a>,
    egress: Egress<'a>,
    port: u16,
}

impl<'a> Sight<'_, 'a> {
    /// `generateVirtualHostDomains`, backwards: the Service of which `name` is one.
    fn service_of(&self, name: &str, headless: bool) -> Option<VirtualHost<'a>> {
        let index = self.scope.index;
        let counts = |service: &&'a Arc<RegistryService>| !headless || service.is_headless();
        let named = |hostname: &str| {
            let own = index.services_named(hostname).iter().chain(self.aliased(hostname));
            self.pick(own.filter(counts))
        };
        if let Some(ip) = as_ip(name) {
            return self.pick(index.services_at(ip).iter().filter(counts));
        }
        if let Some(found) = named(name.strip_suffix('.').unwrap_or(name)) {
            return Some(found);
        }
        let labels: Vec<&str> = name.split('.').collect();
        match labels[..] {
            [service] => named(&format!("{service}.{}{CLUSTER_SUFFIX}", self.scope.proxy.key.namespace)),
            [service, namespace] | [service, namespace, "svc"] => {
                named(&format!("{service}.{namespace}{CLUSTER_SUFFIX}"))
            }
            _ => None,
        }
    }

    /// The Services that an ExternalName of this host stands for.
    fn aliased(&self, hostname: &str) -> impl Iterator<Item = &'a Arc<RegistryService>> + use<'a> {
        let index = self.scope.index;
        let aliases = index.services_named(hostname).iter().filter_map(|service| service.alias_of.as_ref());
        aliases.flat_map(move |target| index.services_named(target))
    }

    /// Of those in sight with an HTTP or auto port of this number, the one that Istio takes. An ExternalName counts
    /// with a VirtualService of its own only.
    fn pick(&self, services: impl Iterator<Item = &'a Arc<RegistryService>>) -> Option<VirtualHost<'a>> {
        let scope = self.scope;
        let in_sight = services.filter_map(|service| {
            let port = service.port(self.port).filter(|port| port.protocol.is_http_or_sniffed())?;
            let rank = scope.imports(self.egress, service).then(|| scope.export_rank(service))??;
            let routes = routes(scope, self.egress, service, self.port);
            (service.alias_of.is_none() || routes.is_some()).then_some((rank, service, port, routes))
        });
        let first = in_sight.min_by(|a, b| {
            (a.1.alias_of.is_none(), a.0, a.1.seniority()).cmp(&(b.1.alias_of.is_none(), b.0, b.1.seniority()))
        });
        first.map(|(_, service, port, routes)| VirtualHost::Service { service, port, routes })
    }

    /// `separateVSHostsAndServices`: a host that is no Service's on this port. On port 80 every VirtualService counts,
    /// elsewhere one that is also for a Service with this port.
    fn unregistered(&self, host: &str) -> Option<&'a VirtualService> {
        let found = self.scope.index.virtual_hosts().named(host);
        if found.is_empty() || self.is_registered(host, |_| true) {
            return None;
        }
        in_order(self.scope, self.egress, found.iter()).into_iter().find(|service| {
            let own = |host: &str| resolve_short_name(host, &service.key.namespace);
            let serves = |host: &Name| self.is_registered(&own(host), |port| port.protocol.is_http_or_sniffed());
            has_routes(self.scope, service, self.port) && (self.port == 80 || service.hosts.iter().any(serves))
        })
    }

    /// Whether a host of a VirtualService is, or covers, a Service in sight with such a port.
    fn is_registered(&self, host: &str, counts: impl Fn(&Port) -> bool) -> bool {
        if !host.starts_with('*') {
            return self.has_port(host, counts);
        }
        let on_port = self.scope.index.services_on(self.port);
        on_port.into_iter().flat_map(|on_port| on_port.namespaces.values().flatten()).any(|service| {
            matches(host, &service.hostname)
                && self.scope.imports(self.egress, service)
                && service.port(self.port).is_some_and(&counts)
        })
    }

    fn has_port(&self, hostname: &str, counts: impl Fn(&Port) -> bool) -> bool {
        let services = self.scope.index.services_named(hostname);
        services.iter().any(|s| self.scope.imports(self.egress, s) && s.port(self.port).is_some_and(&counts))
    }
}

/// The VirtualService whose routes a Service's virtual host has.
fn routes<'a>(
    scope: &Scope<'a>,
    egress: Egress<'a>,
    service: &RegistryService,
    port: u16,
) -> Option<&'a VirtualService> {
    of_service(scope, egress, &service.hostname).into_iter().find(|of| has_routes(scope, of, port))
}
