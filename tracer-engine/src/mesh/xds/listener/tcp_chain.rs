//! Chains that end in `tcp_proxy`: a Service's own, or those that a VirtualService's `tcp` and `tls` routes make.

use super::{Bind, Offer};
use crate::mesh::facts::{Destination, L4Match, L4Route, ObjectKey, VirtualService};
use crate::mesh::protocol::Protocol;
use crate::mesh::registry::{Port, RegistryService};
use crate::mesh::visibility::{Egress, Scope};
use crate::mesh::xds::virtual_service;
use crate::net::Name;
use ipnet::IpNet;
use smallvec::SmallVec;
use std::sync::Arc;

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

impl TcpChain<'_> {
    pub(super) fn conflicts_with(&self, other: &Self) -> bool {
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
pub(super) fn tcp_chains<'a>(
    scope: &Scope<'a>,
    egress: Egress<'a>,
    bind: Bind,
    offer: &Offer<'a>,
) -> SmallVec<[TcpChain<'a>; 1]> {
    let Offer { service, port, protocol, cidr, .. } = *offer;
    let chain = |route, cidrs, server_names| TcpChain { cidrs, server_names, service, port, route };
    let own_cidr = || cidr.into_iter().collect::<SmallVec<[IpNet; 1]>>();
    let subnets = |matched: &L4Match| {
        if matched.destination_subnets.is_empty() {
            own_cidr()
        } else {
            matched.destination_subnets.iter().copied().collect()
        }
    };
    let holds = |matched: &&L4Match| matches_statically(scope, port.number, matched);
    let services = virtual_service::for_host(scope, egress, &service.hostname);
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
    for (of, route) in services.iter().flat_map(|of: &&'a VirtualService| of.tcp.iter().map(move |route| (*of, route)))
    {
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
