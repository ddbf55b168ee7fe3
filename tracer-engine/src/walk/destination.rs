//! The walk at the destination, D1 to D3: what becomes of the bytes that arrive at a pod.

mod ambient;

use super::outcome::{Arrival, ArrivalEnd, Sends};
use crate::mesh::capture;
use crate::mesh::facts::{Enrolment, MtlsMode, Pod};
use crate::mesh::inbound::{self, Declared};
use crate::mesh::index::Index;
use crate::mesh::policy::{Enforced, port_mode};
use crate::mesh::protocol::ListenerProtocol;
use crate::mesh::visibility::Scope;
use crate::mesh::xds::client_tls::Begins;
use crate::net::Ktime;

/// What the application sends, as far as a filter chain tells it apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Payload {
    Http,
    /// HTTP that Envoy answers with 400.
    InvalidHttp,
    /// `mesh_alpn`: with one of Istio's own ALPNs.
    Tls {
        mesh_alpn: bool,
    },
    Other,
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Arrived<'a> {
    pub(super) arrival: Arrival,
    /// Of a stall: it is the HTTP codec that waits, not an inspector.
    pub(super) in_codec: bool,
    pub(super) mode: Option<Enforced<'a>>,
    pub(super) declared: Option<Declared<'a>>,
}

/// `accepts`: whether the source takes this pod's certificate.
pub(super) fn arrive<'a>(
    index: &'a Index,
    pod: &'a Pod,
    port: u16,
    begins: Begins,
    payload: Payload,
    accepts: impl FnOnce() -> bool,
    as_of: Ktime,
) -> Arrived<'a> {
    let uncaptured =
        |end| Arrived { arrival: Arrival { captured: false, end }, in_codec: false, mode: None, declared: None };
    let capture = match &*pod.enrolment {
        _ if pod.host_network => None,
        Enrolment::Ambient => return ambient::arrive(index, pod, port, begins),
        Enrolment::Sidecar(proxy) => Some(&proxy.capture),
        Enrolment::Gateway | Enrolment::None => None,
    };
    // D1
    if !capture.is_some_and(|capture| begins == Begins::Hbone || capture::inbound(capture, port)) {
        let understood = !matches!(begins, Begins::MeshTls | Begins::Hbone);
        return uncaptured(if understood { ArrivalEnd::Delivered } else { ArrivalEnd::MtlsNotTerminated });
    }
    // D2
    let scope = Scope::of(index, pod, as_of);
    let mode = port_mode(index, scope.mesh, &pod.key.namespace, &pod.labels, port);
    let declared = inbound::declared(&scope, port);
    let protocol = declared.map_or(ListenerProtocol::Auto, |declared| declared.protocol);
    let gives_up = !scope.mesh.protocol_detection_timeout.is_zero();
    let (end, in_codec) = match begins {
        Begins::MeshTls if mode.mode == MtlsMode::Disable => (ArrivalEnd::MtlsNotTerminated, false),
        Begins::MeshTls if !accepts() => (ArrivalEnd::IdentityMismatch, false),
        Begins::MeshTls => inside_mtls(protocol, payload),
        Begins::OneWayTls => (foreign_tls(mode.mode, protocol, false), false),
        // The tunnel has ended already (`buildInboundHBONEListeners`).
        Begins::Hbone => in_clear(MtlsMode::Disable, protocol, payload, gives_up),
        Begins::AsSent => in_clear(mode.mode, protocol, payload, gives_up),
    };
    Arrived { arrival: Arrival { captured: true, end }, in_codec, mode: Some(mode), declared }
}

/// Mesh mTLS that the proxy terminates: only an HTTP port minds what is inside.
fn inside_mtls(protocol: ListenerProtocol, payload: Payload) -> (ArrivalEnd, bool) {
    match (protocol, payload) {
        (ListenerProtocol::Http, Payload::Nothing) => (ArrivalEnd::Stalls, true),
        (ListenerProtocol::Http, Payload::InvalidHttp | Payload::Other | Payload::Tls { .. }) => {
            (ArrivalEnd::CodecError, false)
        }
        _ => (ArrivalEnd::Delivered, false),
    }
}

/// TLS without a mesh certificate (`filterchain_options.go getFilterChainMatchOptions`).
fn foreign_tls(mode: MtlsMode, protocol: ListenerProtocol, mesh_alpn: bool) -> ArrivalEnd {
    match (mode, protocol) {
        (MtlsMode::Strict, _) => ArrivalEnd::HandshakeFails,
        (MtlsMode::Permissive | MtlsMode::Unset, _) if mesh_alpn => ArrivalEnd::HandshakeFails,
        (MtlsMode::Permissive | MtlsMode::Unset, ListenerProtocol::Http) => ArrivalEnd::NoFilterChain,
        (MtlsMode::Disable, ListenerProtocol::Http) => ArrivalEnd::CodecError,
        _ => ArrivalEnd::Delivered,
    }
}

fn in_clear(mode: MtlsMode, protocol: ListenerProtocol, payload: Payload, gives_up: bool) -> (ArrivalEnd, bool) {
    let end = match (payload, mode, protocol) {
        (Payload::Tls { mesh_alpn }, _, _) => foreign_tls(mode, protocol, mesh_alpn),
        (Payload::Nothing, MtlsMode::Disable, ListenerProtocol::Http) => return (ArrivalEnd::Stalls, true),
        (Payload::Nothing, MtlsMode::Disable, ListenerProtocol::Tcp) => ArrivalEnd::Delivered,
        (Payload::Nothing, _, _) if !gives_up => ArrivalEnd::Stalls,
        // Past the timeout it is as if other bytes had come; the codec goes on waiting.
        (Payload::Nothing, MtlsMode::Permissive | MtlsMode::Unset, ListenerProtocol::Http) => {
            return (ArrivalEnd::Stalls, true);
        }
        (_, MtlsMode::Strict, _) => ArrivalEnd::NoFilterChain,
        (Payload::InvalidHttp, _, ListenerProtocol::Http | ListenerProtocol::Auto)
        | (Payload::Other, _, ListenerProtocol::Http) => ArrivalEnd::CodecError,
        _ => ArrivalEnd::Delivered,
    };
    (end, false)
}

impl Payload {
    pub(super) fn of(sends: &Sends) -> Self {
        match sends {
            Sends::Http { .. } if sends.is_invalid_request() => Payload::InvalidHttp,
            Sends::Http { .. } => Payload::Http,
            Sends::Tls { alpn, .. } => Payload::Tls { mesh_alpn: alpn.iter().any(|p| p.starts_with("istio")) },
            Sends::Other | Sends::Unknown => Payload::Other,
            Sends::Nothing => Payload::Nothing,
        }
    }
}
