//! Any bytes, and bytes as the probes write them.

use super::*;
use proptest::prelude::*;

/// The wire's fields, written one after the other as `repr(C)` lays them out.
#[derive(Clone, Debug)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn header(kind: u32, local: (Ipv6Addr, u16), remote: (Ipv6Addr, u16)) -> Self {
        let mut bytes = Self(Vec::new());
        bytes.u64(1_000).u64(77).u32(kind).u32(0);
        bytes.u64(30_026).u32(4_026_531_833).u32(1337).u32(4242).u32(0x539);
        bytes.0.extend(local.0.octets());
        bytes.0.extend(remote.0.octets());
        bytes.0.extend(local.1.to_ne_bytes());
        bytes.0.extend(remote.1.to_ne_bytes());
        bytes.u32(0);
        assert_eq!(bytes.0.len(), size_of::<Header>());
        bytes
    }

    fn of(kind: u32) -> Self {
        Self::header(kind, (mapped([10, 244, 0, 2]), 57_282), (mapped([10, 244, 0, 3]), 9090))
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend(value.to_ne_bytes());
        self
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend(value.to_ne_bytes());
        self
    }

    fn decode(&self) -> SocketEvent {
        match decode(&self.0) {
            Ok(KernelEvent::Socket(event)) => event,
            other => panic!("no event of a socket: {other:?}"),
        }
    }

    fn change(&self) -> SocketChange {
        self.decode().change
    }
}

/// A kernel with one drop reason, and with every probe.
fn decode(bytes: &[u8]) -> Result<KernelEvent, Malformed> {
    let reasons = Reasons::new(vec![(12, "NETFILTER_DROP".into())]);
    Decoder { reasons, sees_resets: true }.decode(bytes)
}

fn mapped(ip: [u8; 4]) -> Ipv6Addr {
    std::net::Ipv4Addr::from(ip).to_ipv6_mapped()
}

fn failed(error: u32, local_port: u16) -> SocketChange {
    let remote = (mapped([10, 244, 0, 3]), 9090);
    let mut bytes = Bytes::header(kind::CONNECT, (mapped([10, 244, 0, 2]), local_port), remote);
    bytes.u64(900).u32(7).u32(0).u32(connect_flags::FAILED | connect_flags::RESET_RECEIVED).u32(error).change()
}

#[test]
fn the_whole_socket_is_in_every_event() {
    let event = Bytes::of(kind::CLOSE).u64(0).u64(0).u64(0).u32(0).u32(0).decode();
    let socket = Socket {
        cookie: Cookie(77),
        local: Endpoint::new([10, 244, 0, 2].into(), 57_282),
        remote: Endpoint::new([10, 244, 0, 3].into(), 9090),
        owner: Owner { netns: NetNs(4_026_531_833), uid: 1337, tid: 4242, mark: 0x539, cgroup: CgroupId(30_026) },
    };
    assert_eq!((event.at, event.socket), (Ktime(1_000), socket));
}

#[test]
fn an_ipv6_address_stays_one() {
    let (pod, peer) = ("fd00::2".parse().expect("an address"), "fd00::3".parse().expect("an address"));
    let event = Bytes::header(kind::ACCEPT, (pod, 80), (peer, 4000)).u32(0).u32(0).u32(0).u32(0).decode();
    assert_eq!(event.socket.local.to_string(), "[fd00::2]:80");
    assert_eq!(event.change, SocketChange::Accepted { handshake: None });
}

#[test]
fn trap_03_no_error_is_the_owner_who_gave_up() {
    let (since, error, client_isn) = (Ktime(900), ConnectError::Abandoned, Some(7));
    assert_eq!(failed(0, 40_000), SocketChange::ConnectFailed { since, error, client_isn });
}

#[test]
fn trap_17_no_error_and_no_port_is_no_port_left() {
    let (since, error, client_isn) = (Ktime(900), ConnectError::NoLocalPort, None);
    assert_eq!(failed(0, 0), SocketChange::ConnectFailed { since, error, client_isn });
}

#[test]
fn errnos_have_names() {
    let error = |errno| match failed(errno, 40_000) {
        SocketChange::ConnectFailed { error, .. } => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error(ECONNREFUSED), ConnectError::Refused);
    assert_eq!(error(ETIMEDOUT), ConnectError::TimedOut);
    assert_eq!(error(EHOSTUNREACH), ConnectError::Unreachable(Unreachable::Host));
    assert_eq!(error(ENETUNREACH), ConnectError::Unreachable(Unreachable::Network));
    assert_eq!(error(EACCES), ConnectError::Unreachable(Unreachable::Prohibited));
    assert_eq!(error(103), ConnectError::Other(103));
    assert_eq!(error(70_000), ConnectError::Other(u16::MAX));
}

#[test]
fn a_refusal_without_a_rst_was_icmps_where_a_rst_would_have_been_seen() {
    let mut bytes = Bytes::of(kind::CONNECT);
    bytes.u64(900).u32(7).u32(0).u32(connect_flags::FAILED).u32(ECONNREFUSED);
    let error = |sees_resets| match (Decoder { sees_resets, ..Decoder::default() }).decode(&bytes.0) {
        Ok(KernelEvent::Socket(SocketEvent { change: SocketChange::ConnectFailed { error, .. }, .. })) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!((error(true), error(false)), (ConnectError::RefusedByIcmp, ConnectError::Refused));
}

#[test]
fn trap_06_a_drop_is_told_by_the_packets_own_addresses() {
    let dropped = |flags: u32, sequence: u32, acknowledgement: u32| {
        let mut bytes = Bytes::of(kind::DROP);
        match decode(&bytes.u32(12).u32(sequence).u32(acknowledgement).u32(flags).0) {
            Ok(KernelEvent::Dropped(dropped)) => dropped,
            other => panic!("{other:?}"),
        }
    };
    let syn = dropped(tcp_flags::SYN, 41, 0);
    assert_eq!((&*syn.reason, syn.segment), ("NETFILTER_DROP", Segment::Syn { client_isn: 41 }));
    assert_eq!((syn.source.port, syn.destination.port), (57_282, 9090));
    for flags in [tcp_flags::SYN | tcp_flags::ACK, tcp_flags::RST | tcp_flags::ACK] {
        assert_eq!(dropped(flags, 9, 42).segment, Segment::SynAnswer { client_isn: 41 });
    }
    assert_eq!(dropped(tcp_flags::ACK, 9, 42).segment, Segment::Other);
}

#[test]
fn a_connect_whose_beginning_was_not_seen_began_now() {
    let change = Bytes::of(kind::CONNECT).u64(0).u32(1).u32(2).u32(connect_flags::HANDSHAKE).u32(0).change();
    let handshake = Some(Handshake { client_isn: 1, server_isn: 2 });
    assert_eq!(change, SocketChange::Connected { since: Ktime(1_000), handshake });
}

#[test]
fn a_close_tells_who_reset_and_who_closed_first() {
    let close = |flags| match Bytes::of(kind::CLOSE).u64(5).u64(6).u64(7).u32(flags).u32(0).change() {
        SocketChange::Closed(close) => close,
        other => panic!("{other:?}"),
    };
    let quiet = Close { opened: Some(Ktime(5)), sent: 6, received: 7, reset: None, first_fin: None, unread: false };
    assert_eq!(close(0), quiet);
    assert_eq!(close(close_flags::RESET_RECEIVED), Close { reset: Some(Reset::Received), ..quiet });
    let aborted = close(close_flags::RESET_SENT | close_flags::UNREAD);
    assert_eq!(aborted, Close { reset: Some(Reset::Sent), unread: true, ..quiet });
    assert_eq!(close(close_flags::FIRST_FIN_SENT), Close { first_fin: Some(End::This), ..quiet });
    assert_eq!(close(close_flags::FIRST_FIN_RECEIVED), Close { first_fin: Some(End::Peer), ..quiet });
}

#[test]
fn trap_20_a_close_that_nobody_saw_tells_nothing() {
    let change = Bytes::of(kind::CLOSE).u64(5).u64(0).u64(0).u32(close_flags::UNSEEN).u32(0).change();
    assert_eq!(change, SocketChange::Gone);
}

#[test]
fn bytes_behind_the_payload_are_not_payload() {
    let mut bytes = Bytes::of(kind::FIRST_BYTES);
    bytes.u32(direction::SENT).u32(16).0.extend(b"GET / HTTP/1.1\r\nHost: other\r\n\r\n");
    let payload = tracer_engine::socket::Payload::Http1 { host: None };
    assert_eq!(bytes.change(), SocketChange::FirstBytes { direction: Direction::Sent, payload });
}

#[test]
fn headers_may_follow_the_http2_preface_in_a_segment_of_their_own() {
    let http2 =
        |authority: Option<&str>| tracer_engine::socket::Payload::Http2 { authority: authority.map(Into::into) };
    let mut preface = Bytes::of(kind::FIRST_BYTES);
    preface.u32(direction::SENT).u32(24).0.extend(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(preface.change(), SocketChange::FirstBytes { direction: Direction::Sent, payload: http2(None) });
    // A HEADERS frame of stream 1 with one literal field, `:authority` by its number in the static table.
    let mut headers = Bytes::of(kind::FIRST_BYTES);
    headers.u32(direction::SENT | direction::CONTINUED).u32(16).0.extend(b"\0\0\x07\x01\x04\0\0\0\x01\x01\x05web.a");
    assert_eq!(
        headers.change(),
        SocketChange::FirstBytes { direction: Direction::Sent, payload: http2(Some("web.a")) }
    );
}

#[test]
fn what_is_no_event_is_malformed() {
    assert_eq!(decode(&[0; 87]), Err(Malformed::Header(87)));
    assert_eq!(decode(&Bytes::of(9).0), Err(Malformed::Kind(9)));
    let short = Bytes::of(kind::CLOSE).u64(0).u64(0).0.clone();
    assert_eq!(decode(&short), Err(Malformed::Body { kind: EventKind::Close, length: short.len() }));
    let lying = Bytes::of(kind::FIRST_BYTES).u32(direction::SENT).u32(u32::MAX).0.clone();
    assert_eq!(decode(&lying), Err(Malformed::Body { kind: EventKind::FirstBytes, length: lying.len() }));
    let sideways = Bytes::of(kind::FIRST_BYTES).u32(4).u32(0).0.clone();
    assert_eq!(decode(&sideways), Err(Malformed::Direction(4)));
    assert_eq!((claimed_kind(&sideways), claimed_kind(&[4; 20])), (Some(EventKind::FirstBytes), None));
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_malformed(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn any_body_of_any_kind_decodes_without_panic(
        kind in 0..kind::COUNT,
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = Bytes::of(kind);
        bytes.0.extend(body);
        let _ = decode(&bytes.0);
    }

    #[test]
    fn what_the_probes_write_of_a_connect_is_read_back(
        since in 1_u64.., client_isn: u32, server_isn: u32, local: [u8; 16], remote: [u8; 16], ports: (u16, u16),
    ) {
        let mut bytes =
            Bytes::header(kind::CONNECT, (Ipv6Addr::from(local), ports.0), (Ipv6Addr::from(remote), ports.1));
        let event = bytes.u64(since).u32(client_isn).u32(server_isn).u32(connect_flags::HANDSHAKE).u32(0).decode();
        let handshake = Some(Handshake { client_isn, server_isn });
        prop_assert_eq!(event.change, SocketChange::Connected { since: Ktime(since), handshake });
        prop_assert_eq!(event.socket.local, Endpoint::new(Ipv6Addr::from(local).into(), ports.0));
        prop_assert_eq!(event.socket.remote, Endpoint::new(Ipv6Addr::from(remote).into(), ports.1));
    }
}
