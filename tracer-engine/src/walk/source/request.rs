//! S4: the virtual host that a request's Host names, and the routes that it has.

use super::{Proxy, spelled};
use crate::mesh::facts::OutboundPolicy;
use crate::mesh::registry::Registry;
use crate::mesh::xds::cluster::ClusterOf;
use crate::mesh::xds::listener::HttpChain;
use crate::mesh::xds::virtual_host::{self, VirtualHost};
use crate::mesh::xds::virtual_service::{self, Request, Routed};
use crate::verdict::Reason;
use crate::walk::ending::{self, SourceEnd};
use crate::walk::journey::{HostMatch, Trip};
use crate::walk::outcome::{Caveat, Known, Outcomes, Place, Sends};
use crate::walk::trail::Trail;

impl<'a> Proxy<'_, 'a> {
    /// S4
    pub(super) fn http<T: Trail>(&self, mut trip: Trip<'a, T>, chain: HttpChain<'a>, out: &mut Outcomes) {
        trip.route.http_chain = true;
        let authority = match &trip.sends {
            Sends::Http { host: Known::Yes(Some(host)), .. } => Some(host.clone()),
            _ => None,
        };
        if trip.sends.is_invalid_request() {
            let said = authority.as_deref().filter(|host| !host.is_empty());
            trip.trail.step(
                Place::SourceProxy,
                || said.map_or_else(|| "no Host: 400".to_owned(), |host| format!("Host {host} is no authority: 400")),
                || "Envoy's HTTP codec",
            );
            return ending::at_source(self.journey, trip, SourceEnd::invalid_request(), out);
        }
        let host = authority.as_deref().map(virtual_host::normalized);
        let found = match chain {
            HttpChain::Own { service, port } => virtual_host::own(&self.scope, service, port),
            HttpChain::Shared { .. } => host
                .as_deref()
                .map_or(VirtualHost::CatchAll, |host| virtual_host::find(&self.scope, self.journey.to.port, host)),
        };
        let own_listener = matches!(chain, HttpChain::Own { .. });
        if !own_listener {
            let dialled = host.as_deref().and_then(virtual_host::as_ip) == Some(self.journey.to.ip);
            trip.route.host = match found {
                VirtualHost::CatchAll if dialled => HostMatch::DialledIp,
                VirtualHost::CatchAll => HostMatch::Unknown,
                VirtualHost::Service { .. } | VirtualHost::Routes(_) | VirtualHost::None => HostMatch::Known,
            };
        }
        let said = host.unwrap_or_else(|| "a Host that nobody knows".to_owned());
        let routes = match found {
            VirtualHost::CatchAll => return self.catch_all_host(trip, &said, out),
            VirtualHost::None => {
                return ending::at_source(self.journey, trip, SourceEnd::answered(Reason::NoRoute, 404), out);
            }
            VirtualHost::Service { service, port, routes: None } => {
                trip.trail.step(
                    Place::SourceProxy,
                    || format!("Host {said}: the routes of {}", service.hostname),
                    || service.told(),
                );
                let cluster = ClusterOf::of_service(&self.scope, service, port);
                let reason = self.http_reason(&cluster, own_listener);
                return self.go(trip, &cluster, reason, out);
            }
            VirtualHost::Service { routes: Some(routes), .. } | VirtualHost::Routes(routes) => routes,
        };
        let request = Request {
            port: self.journey.to.port,
            authority: authority.as_deref(),
            path: self.journey.call.path.as_ref(),
        };
        for way in virtual_service::ways(&self.scope, routes, &request) {
            let mut trip = trip.clone();
            trip.caveats.extend(way.depends_on(routes).map(|virtual_service| Caveat::UnseenMatch { virtual_service }));
            let by = || format!("VirtualService {}", routes.key);
            match way.routed {
                Routed::To(destination) => {
                    let cluster = self.routed(destination, &routes.key, false);
                    let known = if cluster.is_some() { "" } else { ", which is no cluster: 503" };
                    trip.trail.step(
                        Place::SourceProxy,
                        || format!("Host {said}: a route to {}{known}", destination.host),
                        by,
                    );
                    if let Some(cluster) = cluster {
                        let reason = self.http_reason(&cluster, own_listener);
                        self.go(trip, &cluster, reason, out);
                    } else {
                        ending::at_source(self.journey, trip, SourceEnd::answered(Reason::NoHealthyUpstream, 503), out);
                    }
                }
                Routed::Answered => {
                    trip.trail.step(Place::SourceProxy, || format!("Host {said}: the proxy answers itself"), by);
                    ending::at_source(self.journey, trip, SourceEnd::closed(Reason::NoRoute), out);
                }
                Routed::NotFound => {
                    trip.trail.step(Place::SourceProxy, || format!("Host {said}: none of its routes matches: 404"), by);
                    ending::at_source(self.journey, trip, SourceEnd::answered(Reason::NoRoute, 404), out);
                }
            }
        }
    }

    /// `buildCatchAllVirtualHost`: `allow_any`, or `block_all` with a 502.
    fn catch_all_host<T: Trail>(&self, mut trip: Trip<'a, T>, said: &str, out: &mut Outcomes) {
        let (policy, by) = self.scope.outbound();
        let passes = policy == OutboundPolicy::AllowAny;
        let what = if passes { "allow_any: PassthroughCluster, on as it is" } else { "block_all: 502" };
        trip.trail.step(Place::SourceProxy, || format!("no virtual host for {said}: {what}"), || spelled(policy, by));
        if passes {
            self.pass_through(&trip, out);
        } else {
            ending::at_source(self.journey, trip, SourceEnd::answered(Reason::NoVirtualHost, 502), out);
        }
    }

    /// Section 8: what a request that gets through is called.
    fn http_reason(&self, cluster: &ClusterOf<'_>, own_listener: bool) -> Reason {
        let entry = cluster.service.registry == Registry::ServiceEntry;
        if cluster.service.has_vip(self.journey.to.ip) && !entry {
            Reason::ServiceVip
        } else if cluster.keeps_destination() {
            if own_listener && cluster.service.is_headless() { Reason::AnyHost } else { Reason::HostMatched }
        } else if own_listener && entry && cluster.by.is_none() {
            Reason::ServiceEntryTakeover
        } else {
            Reason::HostBalanced
        }
    }
}
