//! What the walk is asked about a flow. Of a flow seen from its source there is one question; from its destination
//! alone what was dialled is not known, so there are several.

use super::dialled::{self, Arrival};
use super::news;
use crate::evidence::{Evidence, Seen, arrived_port};
use crate::flow::{FirstBytes, FlowView, Role};
use crate::mesh::facts::Enrolment;
use crate::mesh::index::{Index, Occupant};
use crate::mesh::xds::server_name::ServerName;
use crate::net::{Endpoint, Ktime};
use crate::socket::{Payload, Socket};
use crate::walk::outcome::{Call, Known, Sends, Source};
use smallvec::SmallVec;
use std::net::IpAddr;

pub(super) type Calls = SmallVec<[Call; 1]>;

/// The application dialled this.
pub(super) fn from_source(index: &Index, flow: &FlowView<'_>, sends: Sends) -> Option<Call> {
    let client = flow.root.client.as_ref()?;
    // Only of an application that runs as the proxy does the uid decide anything.
    let uid = (client.role == Role::Proxy).then_some(client.socket.owner.uid);
    let from = match index.owner(&client.socket, news::as_of(index, flow)) {
        Occupant::Pod(pod) => Source::Pod(pod.key.clone()),
        _ => Source::Ip(client.socket.local.ip),
    };
    Some(Call { from, to: client.socket.remote, sends, uid, path: None })
}

/// Whoever has `client`'s address dialled something that arrived at this pod.
pub(super) fn from_destination(index: &Index, flow: &FlowView<'_>, seen: &Seen<'_>) -> Calls {
    let mut calls = Calls::new();
    let Some(server) = flow.root.server.as_ref() else { return calls };
    let (at, since) = (server.socket.local.ip, news::as_of(index, flow));
    let client = server.socket.remote.ip;
    let from = source(index, client, since);
    let proxy_uid = match index.pod_at(client, since).map(|pod| &*pod.enrolment) {
        Some(Enrolment::Sidecar(proxy)) => proxy.capture.proxy_uids.first().copied(),
        _ => None,
    };
    // Mesh TLS hides what the application sent, until the destination's proxy hands it on; without a proxy beside it
    // the application began that TLS itself.
    let sends = match proxy_uid {
        Some(_) if begins_mesh_tls(flow.root.client_sent()) => handed_on(flow),
        _ => sends(flow, seen),
    };
    let cluster = chosen_cluster(flow.root.client_sent());
    let arrival = Arrival { ip: at, port: arrived_port(flow), cluster, at: since };
    // Of Hosts that were not seen the walk tries so many and no more: the Service that was chosen must be among them.
    let named = cluster.filter(|_| sends == Sends::Unknown).map(|cluster| cluster.host.into());
    let named = named.map(|host| Sends::Http { http2: false, host: Known::Yes(Some(host)) });
    for to in dialled::leading_to(index, arrival) {
        for uid in [None].into_iter().chain(proxy_uid.map(Some)) {
            for sends in [&sends].into_iter().chain(&named) {
                calls.push(Call { from: from.clone(), to, sends: sends.clone(), uid, path: None });
            }
        }
    }
    calls
}

/// The application at the other end of an accepted connection dialled this pod on `port`.
pub(super) fn between(index: &Index, accepted: &Socket, at: Ktime, port: u16, sends: Sends) -> Call {
    let from = source(index, accepted.remote.ip, at);
    Call { from, to: Endpoint::new(accepted.local.ip, port), sends, uid: None, path: None }
}

/// What the application sends first, as far as it was seen by `by`; a flow silent past its deadline sends nothing.
pub(super) fn sends(flow: &FlowView<'_>, seen: &Seen<'_>) -> Sends {
    if let Some(first) = flow.root.client_sent() {
        let server_first = flow.root.server_sent().is_some_and(|answer| answer.at < first.at);
        return if server_first { Sends::Nothing } else { sends_of(&first.payload) };
    }
    let server_first = flow.root.server_sent().is_some();
    if server_first || seen.contains(&Evidence::Silent) { Sends::Nothing } else { Sends::Unknown }
}

pub(super) fn sends_of(payload: &Payload) -> Sends {
    let known = |name: &Option<crate::net::Name>| match name {
        Some(name) => Known::Yes(Some(name.clone())),
        None => Known::No,
    };
    match payload {
        Payload::Http1 { host } => Sends::Http { http2: false, host: known(host) },
        Payload::Http2 { authority } => Sends::Http { http2: true, host: known(authority) },
        Payload::ClientHello(hello) => {
            let sni = if hello.sni.is_none() && hello.complete { Known::Yes(None) } else { known(&hello.sni) };
            Sends::Tls { sni, alpn: hello.alpn.clone() }
        }
        Payload::TlsAnswer { .. } | Payload::HttpResponse(_) | Payload::Http2Response { .. } | Payload::Other => {
            Sends::Other
        }
    }
}

fn handed_on(flow: &FlowView<'_>) -> Sends {
    let Some(first) = flow.local.iter().rev().find_map(|leg| leg.client_sent()) else { return Sends::Unknown };
    if begins_mesh_tls(Some(first)) {
        return Sends::Unknown;
    }
    let server_first = flow.local.iter().filter_map(|leg| leg.server_sent()).any(|answer| answer.at < first.at);
    if server_first { Sends::Nothing } else { sends_of(&first.payload) }
}

fn begins_mesh_tls(first: Option<&FirstBytes>) -> bool {
    matches!(first.map(|first| &first.payload), Some(Payload::ClientHello(hello)) if hello.is_mesh())
}

/// What the SNI of the source's proxy says; an application's own mesh TLS may say the same.
fn chosen_cluster(first: Option<&FirstBytes>) -> Option<ServerName<'_>> {
    match &first?.payload {
        Payload::ClientHello(hello) if hello.is_mesh() => ServerName::parse(hello.sni.as_deref()?),
        _ => None,
    }
}

fn source(index: &Index, ip: IpAddr, at: Ktime) -> Source {
    index.pod_at(ip, at).map_or(Source::Ip(ip), |pod| Source::Pod(pod.key.clone()))
}
