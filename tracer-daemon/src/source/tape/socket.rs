//! A socket event as a tape spells it. The domain's types derive no serde: what a tape says is decided here alone, and
//! a field that is added there does not compile until it is added here.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::net::SocketAddr;
use tracer_engine::net::{CgroupId, Cookie, Endpoint, Ktime, Name, NetNs};
use tracer_engine::socket::{self, Owner, Socket, SocketEvent};

#[derive(Serialize, Deserialize)]
pub(super) struct SocketLine {
    at: u64,
    cookie: u64,
    local: SocketAddr,
    remote: SocketAddr,
    netns: u32,
    uid: u32,
    tid: u32,
    mark: u32,
    cgroup: u64,
    change: Change,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
enum Change {
    SynRetransmitted {
        since: u64,
        count: u8,
        #[serde(default)]
        client_isn: Option<u32>,
    },
    Connected {
        since: u64,
        handshake: Option<Handshake>,
    },
    ConnectFailed {
        since: u64,
        error: ConnectError,
        #[serde(default)]
        client_isn: Option<u32>,
    },
    Accepted {
        handshake: Option<Handshake>,
    },
    FirstBytes {
        direction: Direction,
        payload: Payload,
    },
    Closed(Close),
    Found,
    Listening,
    Gone,
}

/// Client's and server's initial sequence number.
#[derive(Serialize, Deserialize)]
struct Handshake(u32, u32);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ConnectError {
    Refused,
    RefusedByIcmp,
    TimedOut,
    /// As the first version of the format has it, which did not say which.
    Unreachable,
    UnreachableBy(Unreachable),
    Abandoned,
    NoLocalPort,
    Other(u16),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Close {
    opened: Option<u64>,
    sent: u64,
    received: u64,
    reset: Option<Reset>,
    first_fin: Option<End>,
    unread: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
enum Payload {
    Http1 {
        host: Option<Name>,
    },
    Http2 {
        authority: Option<Name>,
    },
    ClientHello {
        sni: Option<Name>,
        alpn: Vec<Name>,
        complete: bool,
    },
    TlsAnswer {
        alert: bool,
        length: u16,
    },
    HttpResponse {
        status: u16,
        upstream_service_time: Option<bool>,
        envoy: bool,
        empty_body: Option<bool>,
        body: Option<ResponseBody>,
    },
    Http2Response {
        status: Option<u16>,
    },
    Other,
}

/// An enumeration without fields, spelt here as there.
macro_rules! mirrors {
    ($($name:ident { $($variant:ident),* $(,)? })*) => {$(
        #[derive(Clone, Copy, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        enum $name { $($variant),* }

        impl From<socket::$name> for $name {
            fn from(from: socket::$name) -> Self {
                match from { $(socket::$name::$variant => Self::$variant),* }
            }
        }

        impl From<$name> for socket::$name {
            fn from(from: $name) -> Self {
                match from { $($name::$variant => Self::$variant),* }
            }
        }
    )*};
}

mirrors! {
    Direction { Sent, Received }
    Unreachable { Host, Network, Protocol, Prohibited, Other }
    Reset { Received, Sent }
    End { This, Peer }
    ResponseBody { UpstreamConnectionFailure, UpstreamConnectError, NoHealthyUpstream, AccessDenied, Other }
}

impl From<&SocketEvent> for SocketLine {
    fn from(event: &SocketEvent) -> Self {
        let SocketEvent { at, socket, change } = event;
        let Socket { cookie, local, remote, owner } = *socket;
        let Owner { netns, uid, tid, mark, cgroup } = owner;
        Self {
            at: at.0,
            cookie: cookie.0,
            local: SocketAddr::new(local.ip, local.port),
            remote: SocketAddr::new(remote.ip, remote.port),
            netns: netns.0,
            uid,
            tid,
            mark,
            cgroup: cgroup.0,
            change: change.into(),
        }
    }
}

impl From<SocketLine> for SocketEvent {
    fn from(line: SocketLine) -> Self {
        let SocketLine { at, cookie, local, remote, netns, uid, tid, mark, cgroup, change } = line;
        let owner = Owner { netns: NetNs(netns), uid, tid, mark, cgroup: CgroupId(cgroup) };
        let endpoint = |of: SocketAddr| Endpoint::new(of.ip(), of.port());
        let socket = Socket { cookie: Cookie(cookie), local: endpoint(local), remote: endpoint(remote), owner };
        Self { at: Ktime(at), socket, change: change.into() }
    }
}

impl From<&socket::SocketChange> for Change {
    fn from(change: &socket::SocketChange) -> Self {
        match change {
            socket::SocketChange::SynRetransmitted { since, count, client_isn } => {
                Self::SynRetransmitted { since: since.0, count: *count, client_isn: *client_isn }
            }
            socket::SocketChange::Connected { since, handshake } => {
                Self::Connected { since: since.0, handshake: handshake.map(Handshake::from) }
            }
            socket::SocketChange::ConnectFailed { since, error, client_isn } => {
                Self::ConnectFailed { since: since.0, error: (*error).into(), client_isn: *client_isn }
            }
            socket::SocketChange::Accepted { handshake } => {
                Self::Accepted { handshake: handshake.map(Handshake::from) }
            }
            socket::SocketChange::FirstBytes { direction, payload } => {
                Self::FirstBytes { direction: (*direction).into(), payload: payload.into() }
            }
            socket::SocketChange::Closed(close) => Self::Closed((*close).into()),
            socket::SocketChange::Found => Self::Found,
            socket::SocketChange::Listening => Self::Listening,
            socket::SocketChange::Gone => Self::Gone,
        }
    }
}

impl From<Change> for socket::SocketChange {
    fn from(change: Change) -> Self {
        match change {
            Change::SynRetransmitted { since, count, client_isn } => {
                Self::SynRetransmitted { since: Ktime(since), count, client_isn }
            }
            Change::Connected { since, handshake } => {
                Self::Connected { since: Ktime(since), handshake: handshake.map(Into::into) }
            }
            Change::ConnectFailed { since, error, client_isn } => {
                Self::ConnectFailed { since: Ktime(since), error: error.into(), client_isn }
            }
            Change::Accepted { handshake } => Self::Accepted { handshake: handshake.map(Into::into) },
            Change::FirstBytes { direction, payload } => {
                Self::FirstBytes { direction: direction.into(), payload: payload.into() }
            }
            Change::Closed(close) => Self::Closed(close.into()),
            Change::Found => Self::Found,
            Change::Listening => Self::Listening,
            Change::Gone => Self::Gone,
        }
    }
}

impl From<socket::Handshake> for Handshake {
    fn from(handshake: socket::Handshake) -> Self {
        let socket::Handshake { client_isn, server_isn } = handshake;
        Self(client_isn, server_isn)
    }
}

impl From<Handshake> for socket::Handshake {
    fn from(handshake: Handshake) -> Self {
        let Handshake(client_isn, server_isn) = handshake;
        Self { client_isn, server_isn }
    }
}

impl From<socket::ConnectError> for ConnectError {
    fn from(error: socket::ConnectError) -> Self {
        match error {
            socket::ConnectError::Refused => Self::Refused,
            socket::ConnectError::RefusedByIcmp => Self::RefusedByIcmp,
            socket::ConnectError::TimedOut => Self::TimedOut,
            socket::ConnectError::Unreachable(which) => Self::UnreachableBy(which.into()),
            socket::ConnectError::Abandoned => Self::Abandoned,
            socket::ConnectError::NoLocalPort => Self::NoLocalPort,
            socket::ConnectError::Other(errno) => Self::Other(errno),
        }
    }
}

impl From<ConnectError> for socket::ConnectError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Refused => Self::Refused,
            ConnectError::RefusedByIcmp => Self::RefusedByIcmp,
            ConnectError::TimedOut => Self::TimedOut,
            ConnectError::Unreachable => Self::Unreachable(socket::Unreachable::Host),
            ConnectError::UnreachableBy(which) => Self::Unreachable(which.into()),
            ConnectError::Abandoned => Self::Abandoned,
            ConnectError::NoLocalPort => Self::NoLocalPort,
            ConnectError::Other(errno) => Self::Other(errno),
        }
    }
}

impl From<socket::Close> for Close {
    fn from(close: socket::Close) -> Self {
        let socket::Close { opened, sent, received, reset, first_fin, unread } = close;
        Self {
            opened: opened.map(|at| at.0),
            sent,
            received,
            reset: reset.map(Into::into),
            first_fin: first_fin.map(Into::into),
            unread,
        }
    }
}

impl From<Close> for socket::Close {
    fn from(close: Close) -> Self {
        let Close { opened, sent, received, reset, first_fin, unread } = close;
        Self {
            opened: opened.map(Ktime),
            sent,
            received,
            reset: reset.map(Into::into),
            first_fin: first_fin.map(Into::into),
            unread,
        }
    }
}

impl From<&socket::Payload> for Payload {
    fn from(payload: &socket::Payload) -> Self {
        match payload {
            socket::Payload::Http1 { host } => Self::Http1 { host: host.clone() },
            socket::Payload::Http2 { authority } => Self::Http2 { authority: authority.clone() },
            socket::Payload::ClientHello(socket::ClientHello { sni, alpn, complete }) => {
                Self::ClientHello { sni: sni.clone(), alpn: alpn.to_vec(), complete: *complete }
            }
            socket::Payload::TlsAnswer { alert, length } => Self::TlsAnswer { alert: *alert, length: *length },
            socket::Payload::HttpResponse(response) => {
                let socket::HttpResponse { status, upstream_service_time, envoy, empty_body, body } = *response;
                Self::HttpResponse { status, upstream_service_time, envoy, empty_body, body: body.map(Into::into) }
            }
            socket::Payload::Http2Response { status } => Self::Http2Response { status: *status },
            socket::Payload::Other => Self::Other,
        }
    }
}

impl From<Payload> for socket::Payload {
    fn from(payload: Payload) -> Self {
        match payload {
            Payload::Http1 { host } => Self::Http1 { host },
            Payload::Http2 { authority } => Self::Http2 { authority },
            Payload::ClientHello { sni, alpn, complete } => {
                Self::ClientHello(socket::ClientHello { sni, alpn: SmallVec::from_vec(alpn), complete })
            }
            Payload::TlsAnswer { alert, length } => Self::TlsAnswer { alert, length },
            Payload::HttpResponse { status, upstream_service_time, envoy, empty_body, body } => {
                let body = body.map(Into::into);
                Self::HttpResponse(socket::HttpResponse { status, upstream_service_time, envoy, empty_body, body })
            }
            Payload::Http2Response { status } => Self::Http2Response { status },
            Payload::Other => Self::Other,
        }
    }
}
