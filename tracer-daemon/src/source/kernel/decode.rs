//! Wire bytes become events in the engine's words: total, without unsafe, whatever the bytes.
//!
//! The only reader of `tracer_common`'s layouts. Payload bytes are parsed here and go no further.

use std::mem::{offset_of, size_of};
use std::net::{IpAddr, Ipv6Addr};

use thiserror::Error;
use tracer_common::{
    Accept, Close as WireClose, Connect, Drop, Event, FirstBytes, Header, LISTENING, Open, Socket as WireSocket,
    SynRetransmit, close_flags, connect_flags, direction, kind, tcp_flags,
};
use tracer_engine::net::{CgroupId, Cookie, Endpoint, Ktime, NetNs};
use tracer_engine::socket::{
    Close, ConnectError, Direction, Dropped, End, Handshake, KernelEvent, Owner, Reset, Segment, Socket, SocketChange,
    SocketEvent, Unreachable,
};

use super::counts::EventKind;
use super::payload;
use super::reasons::Reasons;

/// Why a record of the ring is no event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Malformed {
    #[error("{0} bytes are too few for a header")]
    Header(usize),
    #[error("unknown kind {0}")]
    Kind(u32),
    #[error("{length} bytes are too few for a {} event", .kind.name())]
    Body { kind: EventKind, length: usize },
    #[error("unknown direction {0}")]
    Direction(u32),
}

/// What it takes to understand the wire beside the wire.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    pub reasons: Reasons,
    /// Whether a probe would have seen the RST that refused a connect: else its absence tells nothing.
    pub sees_resets: bool,
}

/// Fields by their place in the wire structures, which the compiler knows. Out of range reads as zero: the length was
/// checked against the structure's size before.
struct Wire<'a>(&'a [u8]);

/// Errnos that an ICMP error or a missing route leaves in `sk_err` (`icmp_err_convert`, `icmpv6_err_convert`).
const EACCES: u32 = 13;
const ENONET: u32 = 64;
const EPROTO: u32 = 71;
const EMSGSIZE: u32 = 90;
const ENOPROTOOPT: u32 = 92;
const EOPNOTSUPP: u32 = 95;
const ENETDOWN: u32 = 100;
const ENETUNREACH: u32 = 101;
const ETIMEDOUT: u32 = 110;
const ECONNREFUSED: u32 = 111;
const EHOSTDOWN: u32 = 112;
const EHOSTUNREACH: u32 = 113;

impl Decoder {
    pub fn decode(&self, bytes: &[u8]) -> Result<KernelEvent, Malformed> {
        if bytes.len() < size_of::<Header>() {
            return Err(Malformed::Header(bytes.len()));
        }
        let header = Wire(bytes);
        let kind = kind_of(header.u32(offset_of!(Header, kind)))?;
        let body = offset_of!(Event<FirstBytes>, body);
        let body = bytes.get(body..).ok_or(Malformed::Body { kind, length: bytes.len() })?;
        if body.len() < size_of_body(kind) {
            return Err(Malformed::Body { kind, length: bytes.len() });
        }
        let at = Ktime(header.u64(offset_of!(Header, at)));
        let socket = socket(&header);
        let body = Wire(body);
        let change = match kind {
            EventKind::Connect => self.connect(&body, at, socket.local.port),
            EventKind::SynRetransmit => SocketChange::SynRetransmitted {
                since: body.time(offset_of!(SynRetransmit, since)).unwrap_or(at),
                count: u8::try_from(body.u32(offset_of!(SynRetransmit, count))).unwrap_or(u8::MAX),
                client_isn: Some(body.u32(offset_of!(SynRetransmit, client_isn))),
            },
            EventKind::Accept => {
                let known = body.u32(offset_of!(Accept, flags)) & connect_flags::HANDSHAKE != 0;
                let handshake = body.handshake(offset_of!(Accept, client_isn), offset_of!(Accept, server_isn));
                SocketChange::Accepted { handshake: known.then_some(handshake) }
            }
            EventKind::FirstBytes => first_bytes(&body, bytes.len())?,
            EventKind::Close if body.u32(offset_of!(WireClose, flags)) & close_flags::UNSEEN != 0 => SocketChange::Gone,
            EventKind::Close => SocketChange::Closed(close(&body)),
            EventKind::Open if body.u32(offset_of!(Open, state)) == LISTENING => SocketChange::Listening,
            EventKind::Open => SocketChange::Found,
            EventKind::Drop => return Ok(KernelEvent::Dropped(self.dropped(&body, at, &socket))),
        };
        Ok(KernelEvent::Socket(SocketEvent { at, socket, change }))
    }

    fn connect(&self, body: &Wire<'_>, at: Ktime, local_port: u16) -> SocketChange {
        let since = body.time(offset_of!(Connect, since)).unwrap_or(at);
        let flags = body.u32(offset_of!(Connect, flags));
        let handshake = body.handshake(offset_of!(Connect, client_isn), offset_of!(Connect, server_isn));
        if flags & connect_flags::FAILED != 0 {
            let by_icmp = self.sees_resets && flags & connect_flags::RESET_RECEIVED == 0;
            let error = match connect_error(body.u32(offset_of!(Connect, error)), local_port) {
                ConnectError::Refused if by_icmp => ConnectError::RefusedByIcmp,
                error => error,
            };
            let client_isn = (error != ConnectError::NoLocalPort).then_some(handshake.client_isn);
            return SocketChange::ConnectFailed { since, error, client_isn };
        }
        SocketChange::Connected { since, handshake: (flags & connect_flags::HANDSHAKE != 0).then_some(handshake) }
    }

    fn dropped(&self, body: &Wire<'_>, at: Ktime, socket: &Socket) -> Dropped {
        let flags = body.u32(offset_of!(Drop, flags));
        let is = |flag: u32| flags & flag != 0;
        let acknowledged = body.u32(offset_of!(Drop, acknowledgement)).wrapping_sub(1);
        Dropped {
            at,
            reason: self.reasons.name(body.u32(offset_of!(Drop, reason))),
            source: socket.local,
            destination: socket.remote,
            cookie: Some(socket.cookie).filter(|cookie| cookie.0 != 0),
            netns: socket.owner.netns,
            segment: match (is(tcp_flags::SYN), is(tcp_flags::ACK), is(tcp_flags::RST)) {
                (true, false, _) => Segment::Syn { client_isn: body.u32(offset_of!(Drop, sequence)) },
                (true, true, _) | (false, true, true) => Segment::SynAnswer { client_isn: acknowledged },
                _ => Segment::Other,
            },
        }
    }
}

/// The kind that malformed bytes claim to have, for the counters.
pub(super) fn claimed_kind(bytes: &[u8]) -> Option<EventKind> {
    kind_of(Wire(bytes).u32(offset_of!(Header, kind))).ok().filter(|_| bytes.len() >= size_of::<Header>())
}

fn kind_of(kind: u32) -> Result<EventKind, Malformed> {
    match kind {
        kind::CONNECT => Ok(EventKind::Connect),
        kind::SYN_RETRANSMIT => Ok(EventKind::SynRetransmit),
        kind::ACCEPT => Ok(EventKind::Accept),
        kind::FIRST_BYTES => Ok(EventKind::FirstBytes),
        kind::CLOSE => Ok(EventKind::Close),
        kind::DROP => Ok(EventKind::Drop),
        kind::OPEN => Ok(EventKind::Open),
        other => Err(Malformed::Kind(other)),
    }
}

/// Of a whole record, but for payload.
pub(super) fn size_of_record(kind: EventKind) -> usize {
    offset_of!(Event<FirstBytes>, body) + size_of_body(kind)
}

fn size_of_body(kind: EventKind) -> usize {
    match kind {
        EventKind::Connect => size_of::<Connect>(),
        EventKind::SynRetransmit => size_of::<SynRetransmit>(),
        EventKind::Accept => size_of::<Accept>(),
        EventKind::FirstBytes => size_of::<FirstBytes>(),
        EventKind::Close => size_of::<WireClose>(),
        EventKind::Drop => size_of::<Drop>(),
        EventKind::Open => size_of::<Open>(),
    }
}

fn socket(header: &Wire<'_>) -> Socket {
    const SOCKET: usize = offset_of!(Header, socket);
    Socket {
        cookie: Cookie(header.u64(offset_of!(Header, cookie))),
        local: header.endpoint(SOCKET + offset_of!(WireSocket, local), SOCKET + offset_of!(WireSocket, local_port)),
        remote: header.endpoint(SOCKET + offset_of!(WireSocket, remote), SOCKET + offset_of!(WireSocket, remote_port)),
        owner: Owner {
            netns: NetNs(header.u32(SOCKET + offset_of!(WireSocket, netns))),
            uid: header.u32(SOCKET + offset_of!(WireSocket, uid)),
            tid: header.u32(SOCKET + offset_of!(WireSocket, tid)),
            mark: header.u32(SOCKET + offset_of!(WireSocket, mark)),
            cgroup: CgroupId(header.u64(SOCKET + offset_of!(WireSocket, cgroup))),
        },
    }
}

/// Without an error the port tells two cases apart: the connect never got one (trap 17), or its owner gave up (trap 3).
fn connect_error(error: u32, local_port: u16) -> ConnectError {
    match error {
        0 if local_port == 0 => ConnectError::NoLocalPort,
        0 => ConnectError::Abandoned,
        ECONNREFUSED => ConnectError::Refused,
        ETIMEDOUT => ConnectError::TimedOut,
        EHOSTUNREACH => ConnectError::Unreachable(Unreachable::Host),
        ENETUNREACH => ConnectError::Unreachable(Unreachable::Network),
        ENOPROTOOPT | EPROTO => ConnectError::Unreachable(Unreachable::Protocol),
        EACCES => ConnectError::Unreachable(Unreachable::Prohibited),
        ENONET | EMSGSIZE | EOPNOTSUPP | ENETDOWN | EHOSTDOWN => ConnectError::Unreachable(Unreachable::Other),
        other => ConnectError::Other(u16::try_from(other).unwrap_or(u16::MAX)),
    }
}

fn first_bytes(body: &Wire<'_>, length: usize) -> Result<SocketChange, Malformed> {
    let wire = body.u32(offset_of!(FirstBytes, direction));
    let direction = match wire & !direction::CONTINUED {
        direction::SENT => Direction::Sent,
        direction::RECEIVED => Direction::Received,
        _ => return Err(Malformed::Direction(wire)),
    };
    let start = size_of::<FirstBytes>();
    let bytes =
        start.checked_add(body.u32(offset_of!(FirstBytes, length)) as usize).and_then(|end| body.0.get(start..end));
    let bytes = bytes.ok_or(Malformed::Body { kind: EventKind::FirstBytes, length })?;
    let continued = wire & direction::CONTINUED != 0;
    let payload = if continued { payload::read_on(bytes) } else { payload::read(bytes) };
    Ok(SocketChange::FirstBytes { direction, payload })
}

fn close(body: &Wire<'_>) -> Close {
    let flags = body.u32(offset_of!(WireClose, flags));
    let is = |flag: u32| flags & flag != 0;
    Close {
        opened: body.time(offset_of!(WireClose, opened)),
        sent: body.u64(offset_of!(WireClose, sent)),
        received: body.u64(offset_of!(WireClose, received)),
        reset: match (is(close_flags::RESET_RECEIVED), is(close_flags::RESET_SENT)) {
            (true, _) => Some(Reset::Received),
            (false, true) => Some(Reset::Sent),
            (false, false) => None,
        },
        first_fin: match (is(close_flags::FIRST_FIN_SENT), is(close_flags::FIRST_FIN_RECEIVED)) {
            (true, _) => Some(End::This),
            (false, true) => Some(End::Peer),
            (false, false) => None,
        },
        unread: is(close_flags::UNREAD),
    }
}

impl Wire<'_> {
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.array(at))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.array(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.array(at))
    }

    /// 0 is the wire's word for a time that was not seen.
    fn time(&self, at: usize) -> Option<Ktime> {
        Some(self.u64(at)).filter(|time| *time != 0).map(Ktime)
    }

    fn endpoint(&self, address: usize, port: usize) -> Endpoint {
        Endpoint::new(IpAddr::V6(Ipv6Addr::from(self.array::<16>(address))), self.u16(port))
    }

    fn handshake(&self, client: usize, server: usize) -> Handshake {
        Handshake { client_isn: self.u32(client), server_isn: self.u32(server) }
    }
}

#[cfg(test)]
mod tests;
