//! What a socket is for: the application's, the proxy's, or the seam between them.

use super::leg::{Role, Side};
use crate::socket::{Direction, Payload, Socket, SocketChange};
use smallvec::SmallVec;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the facts say about the proxy of the pod whose network namespace a socket is in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proxy {
    pub outbound_port: u16,
    pub inbound_ports: SmallVec<[u16; 2]>,
    pub uids: SmallVec<[u32; 1]>,
    /// TPROXY and ztunnel: the proxy dials the application beside it from the client's own address, not from 127.0.0.6.
    pub transparent: bool,
}

/// ztunnel marks its own sockets.
const ZTUNNEL_MARK: u32 = 0x539;
/// Where ztunnel and waypoints take tunnels, each of which carries many connections.
pub(super) const HBONE: u16 = 15008;
/// Where Envoy dials the application from: Istio's `InboundPassthroughBindIpv4` and `...Ipv6`.
const INBOUND_BIND: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6)), IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6))];
/// First port of the kernel's default ephemeral range, for sockets whose beginning was not seen.
const EPHEMERAL: u16 = 32_768;

impl Default for Proxy {
    /// Istio's own numbers, for a pod that the facts do not know yet.
    fn default() -> Self {
        Self {
            outbound_port: 15001,
            inbound_ports: SmallVec::from_slice(&[15006, 15008]),
            uids: SmallVec::from_slice(&[1337]),
            transparent: false,
        }
    }
}

/// The address of the pod that a socket belongs to: its own, or on the seam between proxy and application the other.
pub(super) fn own_ip(socket: &Socket) -> IpAddr {
    if is_loopback(socket.local.ip) { socket.remote.ip } else { socket.local.ip }
}

/// Both ends are inside one namespace's loopback: a process talking to itself, nobody's flow.
pub(super) fn stays_inside(socket: &Socket) -> bool {
    is_loopback(socket.local.ip) && is_loopback(socket.remote.ip)
}

/// Whether ztunnel opened this to the application beside it, from its client's address: to any other pod with a proxy
/// that is `there` and takes HBONE it goes by that.
pub(super) fn is_handed_on(socket: &Socket, there: Option<&Proxy>) -> bool {
    socket.remote.port != HBONE && there.is_some_and(|proxy| proxy.transparent)
}

pub(super) fn is_ztunnels(socket: &Socket) -> bool {
    socket.owner.mark == ZTUNNEL_MARK
}

pub(super) fn role(socket: &Socket, side: Side, proxy: Option<&Proxy>) -> Role {
    match side {
        Side::Client => client_role(socket, proxy),
        Side::Server => server_role(socket, proxy),
    }
}

fn client_role(socket: &Socket, proxy: Option<&Proxy>) -> Role {
    if is_inbound_bind(socket.local.ip) {
        return Role::Local;
    }
    if is_ztunnels(socket) {
        return Role::Proxy;
    }
    match proxy {
        Some(proxy) if proxy.uids.contains(&socket.owner.uid) => {
            if proxy.transparent && socket.remote.ip == socket.local.ip { Role::Local } else { Role::Proxy }
        }
        _ => Role::App,
    }
}

fn server_role(socket: &Socket, proxy: Option<&Proxy>) -> Role {
    match proxy {
        Some(proxy) if socket.local.port == proxy.outbound_port && is_loopback(socket.local.ip) => Role::Capture,
        Some(proxy) if proxy.inbound_ports.contains(&socket.local.port) => Role::Inbound,
        _ => Role::Accepted,
    }
}

/// Which side a socket is whose beginning was not seen. `None` where nothing tells.
pub(super) fn side_of_adopted(socket: &Socket, change: &SocketChange, proxy: Option<&Proxy>) -> Option<Side> {
    if is_inbound_bind(socket.local.ip) {
        return Some(Side::Client);
    }
    if is_inbound_bind(socket.remote.ip) || server_role(socket, proxy) != Role::Accepted {
        return Some(Side::Server);
    }
    if let SocketChange::FirstBytes { direction, payload } = change {
        let request = match payload {
            Payload::Http1 { .. } | Payload::Http2 { .. } | Payload::ClientHello(_) => Some(true),
            Payload::TlsAnswer { .. } | Payload::HttpResponse(_) | Payload::Http2Response { .. } => Some(false),
            Payload::Other => None,
        };
        match (request, direction) {
            (Some(true), Direction::Sent) | (Some(false), Direction::Received) => return Some(Side::Client),
            (Some(true), Direction::Received) | (Some(false), Direction::Sent) => return Some(Side::Server),
            (None, _) => {}
        }
    }
    match (socket.local.port >= EPHEMERAL, socket.remote.port >= EPHEMERAL) {
        (true, false) => Some(Side::Client),
        (false, true) => Some(Side::Server),
        _ => None,
    }
}

/// The address from which a proxy dials the application beside it.
pub fn is_inbound_bind(ip: IpAddr) -> bool {
    INBOUND_BIND.contains(&ip)
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.is_loopback() || is_inbound_bind(ip)
}
