//! S2: which of the proxy's listeners takes a connection, and what chains it has. Listeners key on the Service port.

use crate::mesh::facts::{Destination, L4Match, L4Route, ObjectKey, VirtualService};
use crate::mesh::inbound::RESERVED;
use crate::mesh::protocol::{ListenerProtocol, Protocol};
use crate::mesh::registry::{Port, RegistryService, is_host};
use crate::mesh::visibility::{Egress, Scope};
use crate::net::{Endpoint, Name};
use crate::walk::journey::Bind;
use ipnet::IpNet;
use smallvec::SmallVec;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(crate) struct Listener<'a> {
    pub(crate) bind: Bind,
    pub(crate) tcp: SmallVec<[TcpChain<'a>; 1]>,
    pub(crate) http: Option<HttpChain<'a>>,
    /// What it is merged as so far (`outboundListenerEntry.protocol`).
    merged_as: Protocol,
}

/// A chain that ends in `tcp_proxy`.
#[derive(Clone, Debug)]
pub(crate) struct TcpChain<'a> {
    /// Empty: any address.
    pub(crate) cidrs: SmallVec<[IpNet; 1]>,
    /// Empty: any, or no SNI.
    pub(crate) server_names: SmallVec<[Name; 1]>,
    pub(crate) service: &'a Arc<RegistryService>,
    pub(crate) port: &'a Port,
    /// A VirtualService's route; `None`: the Service itself.
    pub(crate) route: Option<(&'a ObjectKey, &'a [Destination])>,
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
        let rank = (at == bind && scope.imports(egress, service)).then(|| scope.export_rank(service))??;
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
    let http = |service: &'a Arc<RegistryService>| {
        let port = service.port(to.port)?;
        if port.protocol.is_http() && port.protocol != Protocol::HttpProxy { offer(service, port) } else { None }
    };
    let by_namespace = |namespace: &str| on_port.namespaces.get(namespace).into_iter().flatten();
    let mut plain: Box<dyn Iterator<Item = Offer<'a>>> = match egress.namespaces(&scope.proxy.key.namespace) {
        Some(named) => Box::new(named.flat_map(by_namespace).filter_map(http)),
        None => Box::new(on_port.namespaces.values().flatten().filter_map(http)),
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
        return Some(Listener { bind, tcp: SmallVec::new(), http, merged_as: Protocol::HttpProxy });
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
        return Some(Listener { bind, tcp, http, merged_as });
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
    /// The object that made it, for a step's text.
    pub(crate) fn declared_by(&self) -> String {
        match (self.tcp.first(), self.http) {
            (_, Some(HttpChain::Own { service, .. })) => service.told(),
            (Some(chain), _) => chain.service.told(),
            (None, _) => "an HTTP port of this number in sight".to_owned(),
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

impl TcpChain<'_> {
    fn conflicts_with(&self, other: &Self) -> bool {
        let named = |chain: &Self| {
            let mut names: Vec<_> = chain.server_names.iter().filter(|name| &***name != "*").cloned().collect();
            names.sort();
            names
        };
        let ranges = |chain: &Self| {
            let mut ranges: Vec<_> = chain.cidrs.iter().map(IpNet::trunc).collect();
            ranges.sort();
            ranges
        };
        named(self) == named(other) && ranges(self) == ranges(other)
    }
}

/// `tls.go buildSidecarOutboundTLSFilterChainOpts`, `buildSidecarOutboundTCPFilterChainOpts`
fn tcp_chains<'a>(
    scope: &Scope<'a>,
    egress: Egress<'a>,
    bind: Bind,
    offer: &Offer<'a>,
) -> SmallVec<[TcpChain<'a>; 1]> {
    let Offer { service, port, protocol, cidr, .. } = *offer;
    let chain = |route, cidrs, server_names| TcpChain { cidrs, server_names, service, port, route };
    let own_cidr = || cidr.into_iter().collect::<SmallVec<[IpNet; 1]>>();
    let subnets = |matched: &L4Match| {
        if matched.destination_subnets.is_empty() { own_cidr() } else { matched.destination_subnets.iter().copied().collect() }
    };
    let holds = |matched: &&L4Match| matches_statically(scope, port.number, matched);
    let services = super::virtual_service::for_host(scope, egress, &service.hostname);
    let mut chains = SmallVec::new();
    if protocol == Protocol::Tls {
        for (of, route) in services.iter().flat_map(|of| of.tls.iter().map(move |route| (of, route))) {
            for matched in route.matches.iter().filter(holds) {
                let names = matched.server_names();
                chains.push(chain(Some((&of.key, &route.route[..])), subnets(matched), names));
            }
        }
        if chains.is_empty() {
            // Without an address of its own, the name is all that tells it from others.
            let by_name = cidr.is_some() || (service.addresses.is_empty() && bind == Bind::Wildcard);
            let names = by_name.then(|| service.hostname.clone()).into_iter().collect();
            chains.push(chain(None, own_cidr(), names));
        }
        return chains;
    }
    for (of, route) in services.iter().flat_map(|of: &&'a VirtualService| of.tcp.iter().map(move |route| (*of, route))) {
        let led = Some((&of.key, &route.route[..]));
        let matching: Vec<&L4Match> = route.matches.iter().filter(holds).collect();
        if route.is_catch_all() || matching.iter().any(|matched| matched.destination_subnets.is_empty()) {
            chains.push(chain(led, own_cidr(), SmallVec::new()));
            return chains;
        }
        let cidrs: SmallVec<[IpNet; 1]> = matching.iter().flat_map(|m| m.destination_subnets.iter().copied()).collect();
        if !cidrs.is_empty() {
            chains.push(chain(led, cidrs, SmallVec::new()));
        }
    }
    chains.push(chain(None, own_cidr(), SmallVec::new()));
    chains
}

/// `matchTLS`, `matchTCP`: what can be said before a connection comes.
fn matches_statically(scope: &Scope<'_>, port: u16, matched: &L4Match) -> bool {
    (matched.gateways.is_empty() || matched.gateways.iter().any(|gateway| &**gateway == "mesh"))
        && matched.port.is_none_or(|own| own == port)
        && matched.source_labels.selects(&scope.proxy.labels)
        && matched.source_namespace.as_ref().is_none_or(|own| *own == scope.proxy.key.namespace)
}

impl L4Match {
    fn server_names(&self) -> SmallVec<[Name; 1]> {
        self.sni_hosts.iter().map(|name| name.to_ascii_lowercase().into()).collect()
    }
}

impl L4Route {
    fn is_catch_all(&self) -> bool {
        self.matches.is_empty()
    }
}
