//! What the application may send, where that is not known: the walk forks over all that makes a difference.

use crate::mesh::registry::RegistryService;
use crate::mesh::visibility::Scope;
use crate::mesh::xds::listener::{HttpChain, Listener};
use crate::net::{Endpoint, Name};
use crate::walk::outcome::{Known, Sends};
use smallvec::SmallVec;
use std::sync::Arc;

/// How many Hosts are followed where Host is not known. On a port that thousands of Services share, what differs
/// between them is seldom more than this.
const HOSTS: usize = 64;

/// Where nothing but the kind of bytes matters.
pub(crate) fn without_listener(sends: &Sends) -> Vec<Sends> {
    match sends {
        Sends::Unknown => vec![Sends::Nothing, Sends::Other, tls(None, &SmallVec::new()), http(false, None)],
        known => vec![known.clone()],
    }
}

/// Hosts and SNIs too, as far as this listener tells them apart.
pub(crate) fn with_listener(
    scope: &Scope<'_>,
    to: Endpoint,
    sends: &Sends,
    listener: Option<&Listener<'_>>,
) -> Vec<Sends> {
    let shared = listener.is_some_and(|listener| matches!(listener.http, Some(HttpChain::Shared { .. })));
    let requests = |http2: bool| -> Vec<Sends> {
        let hosts = if shared { hosts(scope, to) } else { Vec::new() };
        std::iter::once(http(http2, None)).chain(hosts.into_iter().map(|host| http(http2, Some(host)))).collect()
    };
    let hellos = |alpn: &SmallVec<[Name; 4]>| -> Vec<Sends> {
        let names = listener.into_iter().flat_map(|listener| listener.tcp.iter().flat_map(|chain| &chain.server_names));
        std::iter::once(tls(None, alpn)).chain(names.map(|name| tls(Some(name.clone()), alpn))).collect()
    };
    match sends {
        Sends::Unknown => {
            let silent = [Sends::Nothing, Sends::Other];
            silent.into_iter().chain(hellos(&SmallVec::new())).chain(requests(false)).collect()
        }
        Sends::Http { http2, host: Known::No } => requests(*http2),
        Sends::Tls { sni: Known::No, alpn } => hellos(alpn),
        known => vec![known.clone()],
    }
}

/// The dialled ip, then the Services of the dialled pod, then others on the port, and hosts of VirtualServices.
fn hosts(scope: &Scope<'_>, to: Endpoint) -> Vec<Name> {
    let index = scope.index;
    let ip = if to.ip.is_ipv6() { format!("[{}]", to.ip) } else { to.ip.to_string() };
    let mut hosts: Vec<Name> = vec![ip.into()];
    let mut add = |host: &Name| {
        let room = hosts.len() < HOSTS;
        if room && !hosts.contains(host) {
            hosts.push(host.clone());
        }
        room
    };
    let on_port = index.services_on(to.port);
    let has_host = |service: &&Arc<RegistryService>| {
        service.port(to.port).is_some_and(|port| port.protocol.is_http_or_sniffed()) && scope.sees(service)
    };
    let own = index.services_over(to.ip).map(|(service, _, _)| service).chain(index.services_at(to.ip));
    let others = on_port.into_iter().flat_map(|on_port| on_port.namespaces.values().flatten());
    for service in own.chain(others).filter(has_host) {
        if !add(&service.hostname) {
            break;
        }
        for routes in index.virtual_hosts().matching(&service.hostname).flatten() {
            routes.hosts.iter().for_each(|host| {
                add(host);
            });
        }
    }
    if to.port == 80 {
        let _ = index.virtual_hosts().hosts().all(add);
    }
    hosts
}

fn http(http2: bool, host: Option<Name>) -> Sends {
    // Without a Host: one that nobody knows.
    Sends::Http { http2, host: host.map_or(Known::No, |host| Known::Yes(Some(host))) }
}

fn tls(sni: Option<Name>, alpn: &SmallVec<[Name; 4]>) -> Sends {
    Sends::Tls { sni: sni.map_or(Known::No, |name| Known::Yes(Some(name))), alpn: alpn.clone() }
}
