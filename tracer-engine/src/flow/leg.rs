//! One TCP connection and its two sockets, as far as each was seen.

use crate::net::Ktime;
use crate::socket::{Close, ConnectError, Handshake, Payload, Reset, Socket};
use smallvec::SmallVec;

/// Names a leg while the table holds it. `serial` is never reused, so a stale key finds nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LegKey {
    pub(super) serial: u64,
    pub(super) slot: u32,
}

/// Which of a connection's two sockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Client,
    Server,
}

/// What a socket is for, judged by owner, ports and addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// A client socket of an application.
    App,
    /// A client socket of a proxy, towards another pod.
    Proxy,
    /// A client socket of a proxy, towards the application beside it.
    Local,
    /// A server socket on the proxy's outbound port.
    Capture,
    /// A server socket on the proxy's inbound port.
    Inbound,
    /// Any other server socket.
    Accepted,
}

#[derive(Debug)]
pub struct Leg {
    pub(super) key: LegKey,
    pub client: Option<LegEnd>,
    pub server: Option<LegEnd>,
    pub handshake: Option<Handshake>,
    /// The client's initial sequence number, where there is no handshake yet.
    pub(super) syn: Option<u32>,
    /// The leg whose proxy opened this one.
    pub(super) parent: Option<LegKey>,
    pub(super) children: SmallVec<[LegKey; 3]>,
    /// More than one pairing of this leg with what its proxy accepted (or opened) fits: none was made.
    pub ambiguous: bool,
    /// The proxy opened connections that no accepted one explains while this leg waited: that it opened none for this
    /// leg is not proven.
    pub unexplained: bool,
    /// Kernel events lost, of all flows, by the time this leg was first seen.
    pub(super) lost_before: u64,
    /// When this flow is to be looked at next, if it is a root.
    pub(super) due: Option<Ktime>,
    /// Told at this many retransmissions already.
    pub(super) retransmits_told: u8,
    pub(super) told: Option<Told>,
}

/// A verdict that may yet be revised: the flow was silent, and stays in the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) counted: u32,
}

/// One socket.
#[derive(Debug)]
pub struct LegEnd {
    pub socket: Socket,
    pub role: Role,
    /// SYN_SENT entered, or accepted, or first seen.
    pub since: Ktime,
    pub opened: Option<Ktime>,
    pub failed: Option<Failed>,
    /// Times that the SYN was sent again.
    pub retransmits: u8,
    pub sent: Option<Box<FirstBytes>>,
    pub received: Option<Box<FirstBytes>>,
    pub closed: Option<Closed>,
    /// When it was found to be no more, its close untold.
    pub gone: Option<Ktime>,
    /// Open before the tracer was: its beginning was not seen.
    pub adopted: bool,
}

#[derive(Debug)]
pub struct FirstBytes {
    pub at: Ktime,
    pub payload: Payload,
}

#[derive(Clone, Copy, Debug)]
pub struct Failed {
    pub at: Ktime,
    pub error: ConnectError,
}

#[derive(Clone, Copy, Debug)]
pub struct Closed {
    pub at: Ktime,
    pub how: Close,
}

impl LegKey {
    /// Unique while the table lives.
    pub fn serial(self) -> u64 {
        self.serial
    }
}

impl Leg {
    pub fn key(&self) -> LegKey {
        self.key
    }

    pub fn end(&self, side: Side) -> Option<&LegEnd> {
        match side {
            Side::Client => self.client.as_ref(),
            Side::Server => self.server.as_ref(),
        }
    }

    pub(super) fn end_mut(&mut self, side: Side) -> &mut Option<LegEnd> {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// The client's initial sequence number.
    pub fn client_isn(&self) -> Option<u32> {
        self.handshake.map(|handshake| handshake.client_isn).or(self.syn)
    }

    /// When the SYN was sent, or the connection first seen.
    pub fn since(&self) -> Ktime {
        let seen = |end: &LegEnd| end.since;
        self.client.as_ref().map_or_else(|| self.server.as_ref().map(seen).unwrap_or_default(), seen)
    }

    /// When the connection was ESTABLISHED at the end that saw it last.
    pub fn opened(&self) -> Option<Ktime> {
        let opened = |end: &Option<LegEnd>| end.as_ref().and_then(|e| e.opened);
        opened(&self.client).max(opened(&self.server))
    }

    /// Why the SYN got no connection.
    pub fn failed(&self) -> Option<ConnectError> {
        self.client.as_ref()?.failed.map(|failed| failed.error)
    }

    /// A SYN is out and nobody answered yet.
    pub fn connecting(&self) -> bool {
        self.unanswered() && self.client.as_ref().is_some_and(|end| !end.ended())
    }

    /// As far as was seen nobody answered its SYN: also where the socket is gone since.
    pub fn unanswered(&self) -> bool {
        self.client.as_ref().is_some_and(|end| end.opened.is_none() && end.failed.is_none() && !end.adopted)
    }

    /// Neither failed nor closed nor gone at any end that was seen.
    pub fn alive(&self) -> bool {
        [&self.client, &self.server].into_iter().flatten().all(|end| !end.ended())
    }

    /// The first end that closed.
    pub fn closed_at(&self) -> Option<Ktime> {
        let closed = |end: &Option<LegEnd>| end.as_ref().and_then(|e| e.closed).map(|c| c.at);
        match (closed(&self.client), closed(&self.server)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The first payload that the client sent, from whichever end saw it.
    pub fn client_sent(&self) -> Option<&FirstBytes> {
        let sent = self.client.as_ref().and_then(|end| end.sent.as_deref());
        sent.or_else(|| self.server.as_ref().and_then(|end| end.received.as_deref()))
    }

    /// The first payload that the server sent, from whichever end saw it.
    pub fn server_sent(&self) -> Option<&FirstBytes> {
        let received = self.client.as_ref().and_then(|end| end.received.as_deref());
        received.or_else(|| self.server.as_ref().and_then(|end| end.sent.as_deref()))
    }

    /// Payload bytes from client to server, as known from first payloads and closes. `None`: not known yet.
    pub fn client_bytes(&self) -> Option<u64> {
        let by_client = self.client.as_ref().and_then(|end| end.closed).map(|c| c.how.sent);
        by_client.or_else(|| self.server.as_ref().and_then(|end| end.closed).map(|c| c.how.received))
    }

    pub fn server_bytes(&self) -> Option<u64> {
        let by_client = self.client.as_ref().and_then(|end| end.closed).map(|c| c.how.received);
        by_client.or_else(|| self.server.as_ref().and_then(|end| end.closed).map(|c| c.how.sent))
    }

    /// Whether the client was seen to send any payload.
    pub fn client_spoke(&self) -> bool {
        self.client_sent().is_some() || self.client_bytes().is_some_and(|n| n > 0)
    }

    pub fn server_spoke(&self) -> bool {
        self.server_sent().is_some() || self.server_bytes().is_some_and(|n| n > 0)
    }

    /// Which side's kernel sent the RST that ended the connection, if one did.
    pub fn reset_by(&self) -> Option<Side> {
        let from = |end: &Option<LegEnd>, this: Side, other: Side| {
            let how = end.as_ref()?.closed?.how;
            match how.reset {
                Some(Reset::Sent) => Some(this),
                Some(Reset::Received) => Some(other),
                None => how.unread.then_some(this),
            }
        };
        from(&self.client, Side::Client, Side::Server).or_else(|| from(&self.server, Side::Server, Side::Client))
    }

    pub(super) fn role(&self, side: Side) -> Option<Role> {
        self.end(side).map(|end| end.role)
    }
}

impl LegEnd {
    pub(super) fn new(socket: Socket, role: Role, since: Ktime) -> Self {
        Self {
            socket,
            role,
            since,
            opened: None,
            failed: None,
            retransmits: 0,
            sent: None,
            received: None,
            closed: None,
            gone: None,
            adopted: false,
        }
    }

    /// Nothing more can happen to this socket.
    pub fn ended(&self) -> bool {
        self.failed.is_some() || self.closed.is_some() || self.gone.is_some()
    }
}

impl Side {
    #[must_use]
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}
