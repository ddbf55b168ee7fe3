//! The walk at the source, S1 to S5: from the application's connect to the hop.

mod ambient;
mod assumed;
mod request;
mod sniff;

use super::ending::{self, SourceEnd};
use super::journey::{CaptureKind, Chosen, Journey, Trip};
use super::landing::{self, Landing, Shown};
use super::outcome::{Outcomes, Place, Sends, Source};
use super::trail::Trail;
use crate::mesh::capture::{self, Uncaptured};
use crate::mesh::facts::{Destination, Enrolment, ObjectKey, OutboundPolicy};
use crate::mesh::registry::{Registry, Resolution};
use crate::mesh::visibility::Scope;
use crate::mesh::xds::client_tls;
use crate::mesh::xds::cluster::{ClusterOf, Hops};
use crate::mesh::xds::listener::{self, Bind, Listener, TcpChain};
use crate::verdict::{Cause, Reason};
use sniff::Chain;

/// S1: does the source's proxy see it?
pub(super) fn leave<T: Trail>(journey: &Journey<'_>, mut trail: T, out: &mut Outcomes) {
    let uncaptured = match journey.source {
        None if matches!(journey.call.from, Source::Ip(ip) if ip.to_canonical() == journey.to.ip) => Uncaptured::Own,
        None => Uncaptured::Because(Cause::SourceNotInMesh),
        Some(pod) if capture::is_own(pod, journey.to.ip) => Uncaptured::Own,
        Some(pod) if pod.host_network => Uncaptured::Because(Cause::SourceNotInMesh),
        Some(pod) => match &*pod.enrolment {
            Enrolment::Ambient => return ambient::leave(journey, trail, out),
            Enrolment::Gateway | Enrolment::None => Uncaptured::Because(Cause::SourceNotInMesh),
            Enrolment::Sidecar(proxy) => match capture::outbound(pod, &proxy.capture, journey.call.uid, journey.to) {
                Ok(()) => {
                    trail.step(
                        Place::Source,
                        || format!("{} is captured", journey.to),
                        || format!("Pod {}: its capture rules", pod.key),
                    );
                    let scope = Scope::of(journey.index, pod, journey.as_of);
                    return Proxy { journey, scope }.accept(trail, out);
                }
                Err(uncaptured) => uncaptured,
            },
        },
    };
    let (cause, reason) = match uncaptured {
        Uncaptured::Own => (Cause::SourceNotInMesh, Reason::Own),
        Uncaptured::Because(cause) => (cause, Reason::SourceUncaptured),
    };
    trail.step(
        Place::Source,
        || format!("{} goes out as it is", journey.to),
        || match journey.source {
            Some(pod) => format!("Pod {}: {uncaptured}", pod.key),
            None => format!("no pod: {uncaptured}"),
        },
    );
    for sends in assumed::without_listener(&journey.call.sends) {
        let mut trip = Trip::new(journey, sends, trail.clone(), CaptureKind::Not(cause));
        trip.route.delivered_as = reason;
        if reason == Reason::Own {
            ending::at_itself(journey, trip, out);
        } else {
            ending::land(journey, &trip, Shown::Dialled(journey.to), &landing::dialled(journey, None), out);
        }
    }
}

/// A source's sidecar with one connection to decide on.
struct Proxy<'j, 'a> {
    journey: &'j Journey<'a>,
    scope: Scope<'a>,
}

impl<'a> Proxy<'_, 'a> {
    /// S2
    fn accept<T: Trail>(&self, trail: T, out: &mut Outcomes) {
        let to = self.journey.to;
        let listener = listener::outbound(&self.scope, to);
        let at_endpoint = listener.as_ref().is_some_and(Listener::is_at_endpoint);
        if at_endpoint && self.journey.index.is_new(to.ip, self.journey.as_of) {
            self.take(trail.clone(), listener::without_endpoint(&self.scope, to).as_ref(), true, out);
        }
        self.take(trail, listener.as_ref(), false, out);
    }

    /// S3. `too_new`: for a proxy that was not told of the endpoint yet.
    fn take<T: Trail>(&self, mut trail: T, listener: Option<&Listener<'a>>, too_new: bool, out: &mut Outcomes) {
        let to = self.journey.to;
        trail.step(
            Place::SourceProxy,
            || told(listener, to),
            || match listener {
                _ if too_new => format!("{} is not told of the pod yet", self.scope.proxy.key),
                Some(listener) => listener.declared_by(&self.scope, to),
                None => format!("no Service or ServiceEntry in sight of {} makes one", self.scope.proxy.key),
            },
        );
        for sends in assumed::with_listener(&self.scope, to, &self.journey.call.sends, listener) {
            let mut trip = Trip::new(self.journey, sends, trail.clone(), CaptureKind::Sidecar);
            trip.route.bind = Some(listener.map_or(Bind::CatchAll, |listener| listener.bind));
            trip.route.for_http = listener.is_some_and(|listener| listener.http.is_some());
            trip.route.sniffs = listener.is_some_and(Listener::inspects);
            trip.route.too_new = too_new;
            match listener.map_or(Chain::CatchAll, |listener| listener.chain(&self.scope, to, &trip.sends)) {
                Chain::Stalls => {
                    trip.trail.step(
                        Place::SourceProxy,
                        || "the listener waits for the first bytes, for ever".to_owned(),
                        || "protocolDetectionTimeout: 0s",
                    );
                    ending::at_source(self.journey, trip, SourceEnd::stall(Cause::SourceSniffs), out);
                }
                Chain::NotHttp if trip.sends == Sends::Nothing => {
                    trip.trail.step(
                        Place::SourceProxy,
                        || "its HTTP codec waits for a request".to_owned(),
                        || "appProtocol http_proxy: no inspector",
                    );
                    ending::at_source(self.journey, trip, SourceEnd::stall(Cause::HttpCodec), out);
                }
                Chain::NotHttp => {
                    trip.route.http_chain = true;
                    trip.trail.step(
                        Place::SourceProxy,
                        || "its HTTP codec does not understand it: 400".to_owned(),
                        || "appProtocol http_proxy: no inspector",
                    );
                    ending::at_source(self.journey, trip, SourceEnd::answered(Reason::NotHttpOnHttpPort, 400), out);
                }
                Chain::CatchAll => self.catch_all(trip, out),
                Chain::Tcp(chain) => self.tcp(trip, chain, out),
                Chain::Http(chain) => self.http(trip, chain, out),
            }
        }
    }

    /// `buildOutboundCatchAllNetworkFiltersOnly`: PassthroughCluster or BlackHoleCluster.
    fn catch_all<T: Trail>(&self, mut trip: Trip<'a, T>, out: &mut Outcomes) {
        let (policy, by) = self.scope.outbound();
        let loops = self.journey.to.port == 15001;
        let passes = policy == OutboundPolicy::AllowAny && !loops;
        let cluster = if passes { "PassthroughCluster: on as it is" } else { "BlackHoleCluster: closed" };
        trip.trail.step(Place::SourceProxy, || cluster.to_owned(), || spelled(policy, by));
        if passes {
            self.pass_through(&trip, out);
        } else {
            ending::at_source(self.journey, trip, SourceEnd::closed(Reason::Blackhole), out);
        }
    }

    fn pass_through<T: Trail>(&self, trip: &Trip<'a, T>, out: &mut Outcomes) {
        ending::land(self.journey, trip, Shown::Dialled(self.journey.to), &landing::dialled(self.journey, None), out);
    }

    fn tcp<T: Trail>(&self, trip: Trip<'a, T>, chain: &TcpChain<'a>, out: &mut Outcomes) {
        let own = || ClusterOf::of_service(&self.scope, chain.service, chain.port);
        let Some((by, destinations)) = chain.route else {
            let cluster = own();
            let reason = natural(&cluster);
            return self.go(trip, &cluster, reason, out);
        };
        let alone = destinations.len() == 1;
        for destination in destinations.iter().filter(|destination| alone || destination.weight > 0) {
            let Some(cluster) = self.routed(destination, by, true) else {
                ending::at_source(self.journey, trip.clone(), SourceEnd::closed(Reason::NoHealthyUpstream), out);
                continue;
            };
            let elsewhere = cluster.service.hostname != chain.service.hostname || cluster.port != chain.port;
            let reason = if elsewhere { Reason::VirtualServiceTcp } else { natural(&cluster) };
            self.go(trip.clone(), &cluster, reason, out);
        }
    }

    fn routed(&self, destination: &Destination, by: &'a ObjectKey, tcp: bool) -> Option<ClusterOf<'a>> {
        ClusterOf::of_route(&self.scope, destination, by, self.journey.to.port, tcp)
    }

    /// S5 and S6: the hops that the cluster may choose.
    fn go<T: Trail>(&self, mut trip: Trip<'a, T>, cluster: &ClusterOf<'a>, reason: Reason, out: &mut Outcomes) {
        let journey = self.journey;
        trip.route.delivered_as = reason;
        let hops = cluster.hops(&self.scope, journey.to);
        trip.trail.step(
            Place::SourceProxy,
            || format!("cluster {}: {}", cluster.name(), hops.told()),
            || cluster.service.told(),
        );
        trip.route.cluster = Some(Chosen::new(cluster));
        match hops {
            Hops::Dialled(at) => {
                for choice in client_tls::of_original_dst(&self.scope, cluster) {
                    let landings = landing::dialled(journey, Some((choice, cluster, &self.scope)));
                    ending::land(journey, &trip, Shown::Dialled(at), &landings, out);
                }
            }
            Hops::Endpoints(endpoints) if endpoints.is_empty() => {
                let end = if trip.route.http_chain {
                    SourceEnd::answered(Reason::NoHealthyUpstream, 503)
                } else {
                    SourceEnd::closed(Reason::NoHealthyUpstream)
                };
                ending::at_source(journey, trip, end, out);
            }
            Hops::Endpoints(endpoints) => {
                let landings: Vec<_> = endpoints
                    .iter()
                    .flat_map(|endpoint| {
                        let choices = client_tls::of_endpoint(&self.scope, cluster, endpoint);
                        choices
                            .into_iter()
                            .map(|choice| Landing::at_endpoint(journey, &self.scope, cluster, endpoint, choice))
                    })
                    .collect();
                ending::land(journey, &trip, Shown::OneOf, &landings, out);
            }
            Hops::Elsewhere => {
                let choice = client_tls::of_dns(&self.scope, cluster);
                ending::land(journey, &trip, Shown::Unknown, &[Landing::elsewhere(journey, choice)], out);
            }
        }
    }
}

/// What a TCP chain of a Service's own is called.
fn natural(cluster: &ClusterOf<'_>) -> Reason {
    match (cluster.service.registry, cluster.service.resolution) {
        (Registry::Kubernetes, Resolution::Passthrough) => Reason::HeadlessTcp,
        (Registry::Kubernetes, _) => Reason::ServiceVipTcp,
        (Registry::ServiceEntry, _) if cluster.keeps_destination() => Reason::Passthrough,
        (Registry::ServiceEntry, _) => Reason::ServiceEntryTakeover,
    }
}

fn spelled(policy: OutboundPolicy, by: Option<&ObjectKey>) -> String {
    let policy = match policy {
        OutboundPolicy::AllowAny => "ALLOW_ANY",
        OutboundPolicy::RegistryOnly => "REGISTRY_ONLY",
    };
    match by {
        Some(key) => format!("{policy} (Sidecar {key})"),
        None => format!("{policy} (mesh config)"),
    }
}

fn told(listener: Option<&Listener<'_>>, to: crate::net::Endpoint) -> String {
    match listener {
        None => format!("no listener for {to}"),
        Some(listener) if listener.bind == Bind::Exact => format!("listener {}_{}", to.ip, to.port),
        Some(_) => format!("listener 0.0.0.0_{}", to.port),
    }
}
