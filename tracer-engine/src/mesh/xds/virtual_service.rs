//! VirtualServices that are for a host, and what their `http` routes make of a request.

use crate::mesh::facts::{Destination, HttpMatch, HttpRoute, ObjectKey, StringMatch, VirtualService};
use crate::mesh::visibility::{Egress, Scope};
use crate::net::Name;
use std::sync::Arc;

/// Where one request may be routed to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Routed<'a> {
    To(&'a Destination),
    /// A redirect or a direct response: the proxy answers itself.
    Answered,
    /// 404
    NotFound,
}

/// One way that the routes of a VirtualService may go, and whether that depends on what is never read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpWay<'a> {
    pub(crate) routed: Routed<'a>,
    pub(crate) unseen: bool,
}

/// All that a match can be compared with.
pub(crate) struct Request<'a> {
    pub(crate) port: u16,
    pub(crate) authority: Option<&'a str>,
    pub(crate) path: Option<&'a Name>,
}

/// `None`: it cannot be said.
type Holds = Option<bool>;

/// `getConfigsForHost`: every VirtualService one of whose hosts matches, in the order in which Istio tries them.
pub(crate) fn for_host<'a>(scope: &Scope<'a>, egress: Egress<'_>, hostname: &str) -> Vec<&'a VirtualService> {
    let found = scope.index.virtual_hosts().matching(hostname).flatten();
    in_order(scope, egress, found)
}

/// Those of which `hostname` is the own host: an exact one before the most specific wildcard
/// (`computeWildcardHostVirtualServiceIndex`).
pub(crate) fn of_service<'a>(scope: &Scope<'a>, egress: Egress<'_>, hostname: &str) -> Vec<&'a VirtualService> {
    let hosts = scope.index.virtual_hosts();
    let exact = in_order(scope, egress, hosts.exact(hostname).iter());
    if !exact.is_empty() {
        return exact;
    }
    hosts
        .wildcards(hostname)
        .map(|found| in_order(scope, egress, found.iter()))
        .find(|f| !f.is_empty())
        .unwrap_or_default()
}

pub(crate) fn in_order<'a>(
    scope: &Scope<'a>,
    egress: Egress<'_>,
    found: impl Iterator<Item = &'a Arc<VirtualService>>,
) -> Vec<&'a VirtualService> {
    let mut services: Vec<_> = found.map(AsRef::as_ref).filter(|service| scope.applies(egress, service)).collect();
    services.sort_by_key(|service| (scope.virtual_service_rank(service), service.created, &service.key));
    services.dedup_by_key(|service| &service.key);
    services
}

/// Whether any `http` route is left for this proxy and port (`BuildHTTPRoutesForVirtualService`).
pub(crate) fn has_routes(scope: &Scope<'_>, service: &VirtualService, port: u16) -> bool {
    service.http.iter().any(|route| {
        route.matches.is_empty() || route.matches.iter().any(|matched| matches_statically(scope, port, matched))
    })
}

/// Every way that the routes may go, in order, until one surely matches.
pub(crate) fn ways<'a>(scope: &Scope<'_>, service: &'a VirtualService, request: &Request<'_>) -> Vec<HttpWay<'a>> {
    let mut ways = Vec::new();
    let mut unseen = false;
    for route in &service.http {
        let mut holds = if route.matches.is_empty() { Some(true) } else { Some(false) };
        for matched in route.matches.iter().filter(|matched| matches_statically(scope, request.port, matched)) {
            holds = match (holds, matches_request(matched, request)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (None, _) | (_, None) => None,
                (Some(false), Some(false)) => Some(false),
            };
        }
        if holds != Some(false) {
            unseen |= holds.is_none();
            ways.extend(targets(route).map(|routed| HttpWay { routed, unseen }));
        }
        if holds == Some(true) {
            return ways;
        }
    }
    ways.push(HttpWay { routed: Routed::NotFound, unseen });
    ways
}

/// `applyHTTPRouteDestination`: of several destinations those with weight.
fn targets(route: &HttpRoute) -> impl Iterator<Item = Routed<'_>> {
    let alone = route.route.len() == 1;
    let weighted = route.route.iter().filter(move |destination| alone || destination.weight > 0).map(Routed::To);
    let answered = (route.answers || route.route.is_empty()).then_some(Routed::Answered);
    weighted.filter(move |_| !route.answers).chain(answered)
}

/// `sourceMatchHTTP` and the port: what can be said before a request comes.
fn matches_statically(scope: &Scope<'_>, port: u16, matched: &HttpMatch) -> bool {
    let by_source = || {
        matched.source_labels.selects(&scope.proxy.labels)
            && matched.source_namespace.as_ref().is_none_or(|own| *own == scope.proxy.key.namespace)
    };
    let by_gateway = matched.gateways.iter().any(|gateway| &**gateway == "mesh");
    matched.port.is_none_or(|own| own == port) && if matched.gateways.is_empty() { by_source() } else { by_gateway }
}

fn matches_request(matched: &HttpMatch, request: &Request<'_>) -> Holds {
    let uri = string_matches(matched.uri.as_ref(), request.path.map(|path| &**path));
    let authority = string_matches(matched.authority.as_ref(), request.authority);
    match (uri, authority, matched.unseen) {
        (Some(false), _, _) | (_, Some(false), _) => Some(false),
        (Some(true), Some(true), false) => Some(true),
        _ => None,
    }
}

fn string_matches(matched: Option<&StringMatch>, with: Option<&str>) -> Holds {
    match matched {
        None => Some(true),
        Some(StringMatch::Prefix(prefix)) if &**prefix == "/" => Some(true),
        Some(StringMatch::Regex(regex)) => matches!(&**regex, ".*" | "/.*" | "*").then_some(true),
        Some(StringMatch::Exact(exact)) => with.map(|with| *with == **exact),
        Some(StringMatch::Prefix(prefix)) => with.map(|with| with.starts_with(&**prefix)),
    }
}

impl HttpWay<'_> {
    /// The policy that must be named where the way depends on what is never read.
    pub(crate) fn depends_on(self, service: &VirtualService) -> Option<ObjectKey> {
        self.unseen.then(|| service.key.clone())
    }
}
