//! What can have been dialled for a connection to arrive at a pod. From the destination alone the dialled address is not
//! known: a proxy may have been told any that leads here.

use crate::mesh::facts::VirtualService;
use crate::mesh::index::Index;
use crate::mesh::index::host::resolve_short_name;
use crate::mesh::xds::server_name::ServerName;
use crate::net::{Endpoint, Ktime};
use smallvec::SmallVec;
use std::net::IpAddr;

pub(super) type Dialled = SmallVec<[Endpoint; 8]>;

/// What was seen of an arrival.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) ip: IpAddr,
    /// `None`: the proxy's own port hides it until it dials on.
    pub(super) port: Option<u16>,
    /// The cluster that the source's proxy chose, where its ClientHello names one.
    pub(super) cluster: Option<ServerName<'a>>,
    pub(super) at: Ktime,
}

/// A pod that more addresses than this lead to is asked about by the first ones only.
const MOST: usize = 64;
/// A port that no Service has: what an undeclared port does where the port is not known.
const UNDECLARED: u16 = 1;
/// On this port a VirtualService needs no Service to be for (`httproute.go selectVirtualServices`).
const HTTP: u16 = 80;

pub(super) fn leading_to(index: &Index, arrival: Arrival<'_>) -> Dialled {
    let Arrival { ip, port, cluster, at } = arrival;
    let mut all = Dialled::new();
    all.extend(port.map(|port| Endpoint::new(ip, port)));
    // An ORIGINAL_DST cluster keeps what was dialled, whoever has that address.
    all.extend(cluster.map(|cluster| Endpoint::new(ip, cluster.port)));
    for (service, service_port, number) in index.registry_over(ip, at) {
        let arrives = port.is_none_or(|port| port == number);
        let chosen = cluster.is_none_or(|own| own.host == &*service.hostname && own.port == service_port.number);
        if !arrives || !chosen {
            continue;
        }
        add(&mut all, Endpoint::new(ip, number));
        add(&mut all, Endpoint::new(ip, service_port.number));
        for vip in &service.addresses {
            add(&mut all, Endpoint::new(vip.addr(), service_port.number));
        }
        for routes in index.virtual_services_to(&service.hostname) {
            rerouted(index, routes, ip, at, &mut all);
        }
    }
    if all.is_empty() {
        all.push(Endpoint::new(ip, UNDECLARED));
    }
    all
}

/// Addresses whose listeners have the routes of a VirtualService that leads here: the VIP of each Service that it is
/// for, or one of its endpoints (the routes are the same at each), and any address at all on port 80.
fn rerouted(index: &Index, routes: &VirtualService, ip: IpAddr, at: Ktime, all: &mut Dialled) {
    for host in &routes.hosts {
        for service in index.services_named(&resolve_short_name(host, &routes.key.namespace)) {
            for port in &*service.ports {
                let endpoint = || index.endpoints(service, port, at).first().map(|endpoint| endpoint.ip);
                let vip = service.addresses.first().map(ipnet::IpNet::addr);
                if let Some(address) = vip.or_else(endpoint) {
                    add(all, Endpoint::new(address, port.number));
                }
            }
        }
    }
    add(all, Endpoint::new(ip, HTTP));
}

fn add(all: &mut Dialled, to: Endpoint) {
    if !all.contains(&to) && all.len() < MOST {
        all.push(to);
    }
}
