//! S2: which of the proxy's listeners takes a connection, and what chains it has. Listeners key on the Service port.

mod tcp_chain;

pub(crate) use tcp_chain::TcpChain;

use crate::mesh::inbound::RESERVED;
use crate::mesh::protocol::{ListenerProtocol, Protocol};
use crate::mesh::registry::{Port, RegistryService, is_host};
use crate::mesh::visibility::{Egress, Scope};
use crate::net::Endpoint;
use ipnet::IpNet;
use smallvec::SmallVec;
use std::sync::Arc;
use tcp_chain::tcp_chains;

#[derive(Clone, Debug)]
pub(crate) struct Listener<'a> {
    pub(crate) bind: Bind,
    pub(crate) tcp: SmallVec<[TcpChain<'a>; 1]>,
    pub(crate) http: Option<HttpChain<'a>>,
    made_by: &'a Arc<RegistryService>,
    /// What it is merged as so far (`outboundListenerEntry.protocol`).
    merged_as: Protocol,
}

/// Which listener of the source's proxy takes a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bind {
    /// `ip:port`
    Exact,
    /// `0.0.0.0:port`
    Wildcard,
    /// `virtualOutbound`
    CatchAll,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum HttpChain<'a> {
    /// Routes of this Service alone, for any Host.
    Own { service: &'a Arc<RegistryService>, port: &'a Port },
    /// Routes of every Service on the port.
    Shared {
        /// Chosen by the first bytes; else it takes everything (`http_proxy`).
        inspected: bool,
    },
}

/// One Service port that wants the listener.
struct Offer<'a> {
    rank: u8,
    service: &'a Arc<RegistryService>,
    port: &'a Port,
    protocol: Protocol,
    cidr: Option<IpNet>,
}

/// `listener.go buildSidecarOutboundListeners` for one address: the exact one, else `0.0.0.0:port`, else none.
pub(crate) fn outbound<'a>(scope: &Scope<'a>, to: Endpoint) -> Option<Listener<'a>> {
    build(scope, to, Bind::Exact).or_else(|| build(scope, to, Bind::Wildcard))
}

/// The same for a proxy that does not know this endpoint yet.
pub(crate) fn without_endpoint<'a>(scope: &Scope<'a>, to: Endpoint) -> Option<Listener<'a>> {
    build(scope, to, Bind::Wildcard)
}

fn build<'a>(scope: &Scope<'a>, to: Endpoint, bind: Bind) -> Option<Listener<'a>> {
    if bind == Bind::Wildcard && RESERVED.contains(&to.port) {
        return None;
    }
    let mut listener = None;
    for egress in scope.egress() {
        match egress.port() {
            Some(port) if port.number != to.port => continue,
            // The one for all ports adds nothing to a listener that a `Sidecar` asked for by its port.
            None if listener.is_some() => break,
            _ => {}
        }
        let mut offers = offers(scope, egress, to, bind);
        offers.sort_by(|a, b| (a.rank, a.service.seniority()).cmp(&(b.rank, b.service.seniority())));
        for offer in offers {
            listener = merge(scope, egress, bind, listener, &offer);
        }
    }
    listener
}

/// Who has a listener at this address. Of the plain HTTP ones, which change nothing after the first, one is enough.
fn offers<'a>(scope: &Scope<'a>, egress: Egress<'a>, to: Endpoint, bind: Bind) -> Vec<Offer<'a>> {
    let index = scope.index;
    let offer = |service: &'a Arc<RegistryService>, port: &'a Port| -> Option<Offer<'a>> {
        let protocol = egress.port().map_or(port.protocol, |own| Protocol::parse(&own.protocol));
        let (at, cidr) = binds(service, port, protocol, egress, to)?;
        let counts = at == bind && service.alias_of.is_none() && scope.imports(egress, service);
        let rank = counts.then(|| scope.export_rank(service))??;
        Some(Offer { rank, service, port, protocol, cidr })
    };
    if egress.port().is_some() {
        let on_port = index.services_on(to.port);
        let namespaces = on_port.into_iter().flat_map(|on_port| on_port.namespaces.values().flatten());
        return namespaces.filter_map(|service| offer(service, service.port(to.port)?)).collect();
    }
    if bind == Bind::Exact {
        let over = index.services_over(to.ip).map(|(service, port, _)| (service, port));
        let entries = index.entries_over(to.ip, index.pod_at(to.ip, scope.as_of).map(AsRef::as_ref));
        let vips = index.services_at(to.ip).iter().chain(entries);
        let vips = vips.filter_map(|service| Some((service, service.port(to.port)?)));
        let all = over.filter(|(_, port)| port.number == to.port).chain(vips);
        return all.filter_map(|(service, port)| offer(service, port)).collect();
    }
    let Some(on_port) = index.services_on(to.port) else { return Vec::new() };
    let mut offers: Vec<_> = on_port.wide.iter().filter_map(|service| offer(service, service.port(to.port)?)).collect();
    let http = |service: &'a Arc<RegistryService>| offer(service, service.port(to.port)?);
    let by_namespace = |namespace: &str| on_port.http.get(namespace).into_iter().flatten();
    let mut plain: Box<dyn Iterator<Item = Offer<'a>>> = match egress.namespaces(&scope.proxy.key.namespace) {
        Some(named) => Box::new(named.flat_map(by_namespace).filter_map(http)),
        None => Box::new(on_port.http.values().flatten().filter_map(http)),
    };
    if offers.is_empty() {
        offers.extend(plain.next());
    } else {
        offers.extend(plain.min_by(|a, b| (a.rank, a.service.seniority()).cmp(&(b.rank, b.service.seniority()))));
    }
    offers
}

/// Where the listener of a Service port is, as far as the dialled address has to do with it.
fn binds(
    service: &RegistryService,
    port: &Port,
    protocol: Protocol,
    egress: Egress<'_>,
    to: Endpoint,
) -> Option<(Bind, Option<IpNet>)> {
    if let Some(bind) = egress.listener.and_then(|listener| listener.bind) {
        let wildcard = bind.is_unspecified().then_some((Bind::Wildcard, None));
        return if bind.to_canonical() == to.ip { Some((Bind::Exact, None)) } else { wildcard };
    }
    match protocol.outbound()? {
        ListenerProtocol::Http => Some((Bind::Wildcard, None)),
        ListenerProtocol::Tcp | ListenerProtocol::Auto => {
            if egress.port().is_none() && (service.is_headless() || service.listens_at_endpoints(port)) {
                return Some((Bind::Exact, None));
            }
            if service.addresses.is_empty() {
                return Some((Bind::Wildcard, None));
            }
            if service.has_vip(to.ip) {
                return Some((Bind::Exact, None));
            }
            let cidr = service.addresses.iter().find(|net| !is_host(net) && net.contains(&to.ip))?;
            Some((Bind::Wildcard, Some(*cidr)))
        }
    }
}

/// `buildSidecarOutboundListener`: the first comer makes the listener; HTTP beside TCP makes it sniff.
fn merge<'a>(
    scope: &Scope<'a>,
    egress: Egress<'a>,
    bind: Bind,
    listener: Option<Listener<'a>>,
    offer: &Offer<'a>,
) -> Option<Listener<'a>> {
    let Offer { service, port, protocol, .. } = *offer;
    let shared = HttpChain::Shared { inspected: bind == Bind::Wildcard };
    if protocol == Protocol::HttpProxy {
        let http = Some(HttpChain::Shared { inspected: false });
        return Some(Listener { bind, tcp: SmallVec::new(), http, made_by: service, merged_as: Protocol::HttpProxy });
    }
    let Some(kind) = protocol.outbound() else { return listener };
    let tcp = || tcp_chains(scope, egress, bind, offer);
    let own = if bind == Bind::Wildcard { shared } else { HttpChain::Own { service, port } };
    let Some(mut listener) = listener.filter(|l| kind != ListenerProtocol::Auto || l.merged_as != Protocol::HttpProxy)
    else {
        let (tcp, http, merged_as) = match kind {
            ListenerProtocol::Http if bind == Bind::Wildcard => (SmallVec::new(), Some(shared), Protocol::Auto),
            ListenerProtocol::Http => (SmallVec::new(), Some(shared), protocol),
            ListenerProtocol::Tcp => (tcp(), None, protocol),
            ListenerProtocol::Auto => (tcp(), Some(own), Protocol::Auto),
        };
        return Some(Listener { bind, tcp, http, made_by: service, merged_as });
    };
    let held_as_tcp = listener.merged_as.outbound() == Some(ListenerProtocol::Tcp);
    let keeps_apart = |p: Protocol| matches!(p, Protocol::Mongo | Protocol::MySql);
    // `isConflictWithWellKnownPort`
    let apart = (keeps_apart(protocol) || keeps_apart(listener.merged_as)) && protocol != listener.merged_as;
    match kind {
        _ if apart => {}
        ListenerProtocol::Http if held_as_tcp => {
            listener.http = Some(shared);
            listener.merged_as = Protocol::Auto;
        }
        ListenerProtocol::Auto if held_as_tcp => {
            listener.merge_chains(tcp());
            listener.http = Some(own);
            listener.merged_as = Protocol::Auto;
        }
        ListenerProtocol::Tcp if listener.merged_as != Protocol::HttpProxy => listener.merge_chains(tcp()),
        ListenerProtocol::Http | ListenerProtocol::Auto | ListenerProtocol::Tcp => {}
    }
    Some(listener)
}

impl<'a> Listener<'a> {
    /// It is there only because the dialled ip is an endpoint of a Service.
    pub(crate) fn is_at_endpoint(&self) -> bool {
        self.bind == Bind::Exact && self.made_by.addresses.is_empty()
    }

    /// The object that made it, for a step's text. Of a listener that any HTTP port of this number makes: a Service of
    /// the dialled pod, where one does.
    pub(crate) fn declared_by(&self, scope: &Scope<'_>, to: Endpoint) -> String {
        match (self.tcp.first(), self.http) {
            (_, Some(HttpChain::Own { service, .. })) => service.told(),
            (Some(chain), _) => chain.service.told(),
            (None, _) => {
                let makes = |service: &&Arc<RegistryService>| {
                    service.port(to.port).is_some_and(|port| port.protocol.is_http()) && scope.sees(service)
                };
                let own = scope.index.services_over(to.ip).map(|(service, ..)| service).find(makes);
                format!("HTTP port {} of {}", to.port, own.unwrap_or(self.made_by).told())
            }
        }
    }

    /// `mergeTCPFilterChains`: of two chains with the same conditions the first stays.
    fn merge_chains(&mut self, incoming: impl IntoIterator<Item = TcpChain<'a>>) {
        for chain in incoming {
            if !self.tcp.iter().any(|known| known.conflicts_with(&chain)) {
                self.tcp.push(chain);
            }
        }
    }
}
