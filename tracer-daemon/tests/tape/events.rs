//! Socket events: one of each kind by hand, and any by chance.

use proptest::option;
use proptest::prelude::*;
use std::net::IpAddr;
use tracer_engine::net::{CgroupId, Cookie, Endpoint, Ktime, Name, NetNs};
use tracer_engine::socket::{
    ClientHello, Close, ConnectError, Direction, DropCount, Dropped, End, Handshake, HttpResponse, KernelEvent, Owner,
    Payload, Reset, ResponseBody, Segment, Socket, SocketChange, SocketEvent, Unreachable,
};

/// Drops of each kind.
pub(crate) fn drops() -> impl Iterator<Item = KernelEvent> {
    let segments = [Segment::Syn { client_isn: 7 }, Segment::SynAnswer { client_isn: u32::MAX }, Segment::Other];
    let dropped = segments.into_iter().map(|segment| {
        KernelEvent::Dropped(Dropped {
            at: Ktime(9),
            reason: "NETFILTER_DROP".into(),
            source: Endpoint::new([10, 244, 0, 2].into(), 57_282),
            destination: Endpoint::new("fd00::3".parse().expect("an address"), 9090),
            cookie: (segment == Segment::Other).then_some(Cookie(77)),
            netns: NetNs(4_026_531_833),
            segment,
        })
    });
    let between = [None, Some(([10, 244, 0, 2].into(), "fd00::3".parse().expect("an address")))];
    let counts = between.into_iter().map(|between| {
        KernelEvent::DropCount(DropCount { at: Ktime(9), reason: "NO_SOCKET".into(), between, count: 3 })
    });
    dropped.chain(counts)
}

/// Every variant of every enumeration at least once.
pub(crate) fn one_of_each() -> Vec<SocketEvent> {
    let since = Ktime(1);
    let handshake = Some(Handshake { client_isn: u32::MAX, server_isn: 0 });
    let close = |reset, first_fin| Close { opened: Some(since), sent: 1, received: 2, reset, first_fin, unread: true };
    let mut changes = vec![
        SocketChange::SynRetransmitted { since, count: 3, client_isn: Some(7) },
        SocketChange::Connected { since, handshake },
        SocketChange::Connected { since, handshake: None },
        SocketChange::Accepted { handshake },
        SocketChange::Closed(close(Some(Reset::Sent), Some(End::This))),
        SocketChange::Closed(close(Some(Reset::Received), Some(End::Peer))),
        SocketChange::Closed(Close { opened: None, ..close(None, None) }),
    ];
    let errors = [
        ConnectError::Refused,
        ConnectError::TimedOut,
        ConnectError::RefusedByIcmp,
        ConnectError::Unreachable(Unreachable::Network),
        ConnectError::Abandoned,
        ConnectError::NoLocalPort,
        ConnectError::Other(71),
    ];
    changes.extend(errors.map(|error| SocketChange::ConnectFailed { since, error, client_isn: Some(8) }));
    changes.extend([SocketChange::Found, SocketChange::Listening, SocketChange::Gone]);
    let bodies = [
        None,
        Some(ResponseBody::UpstreamConnectionFailure),
        Some(ResponseBody::UpstreamConnectError),
        Some(ResponseBody::NoHealthyUpstream),
        Some(ResponseBody::AccessDenied),
        Some(ResponseBody::Other),
    ];
    let mut payloads = vec![
        Payload::Http1 { host: Some("es.search:9200".into()) },
        Payload::Http2 { authority: None },
        Payload::ClientHello(ClientHello {
            sni: Some("outbound_.9200_._.es.search.svc.cluster.local".into()),
            alpn: ["istio-peer-exchange", "istio"].map(Name::from).into_iter().collect(),
            complete: true,
        }),
        Payload::TlsAnswer { alert: true, length: 7 },
        Payload::Http2Response { status: Some(200) },
        Payload::Other,
    ];
    payloads.extend(bodies.map(|body| {
        let upstream_service_time = Some(false);
        Payload::HttpResponse(HttpResponse { status: 503, upstream_service_time, envoy: true, empty_body: None, body })
    }));
    let directions = [Direction::Sent, Direction::Received].into_iter().cycle();
    changes.extend(
        payloads
            .into_iter()
            .zip(directions)
            .map(|(payload, direction)| SocketChange::FirstBytes { direction, payload }),
    );
    let socket = Socket {
        cookie: Cookie(9),
        local: Endpoint::new(IpAddr::from([10, 0, 0, 1]), 50_000),
        remote: Endpoint::new("fd00::2".parse().expect("an ip"), 9300),
        owner: Owner { netns: NetNs(4_026_531_840), uid: 1337, tid: 7, mark: 0x539, cgroup: CgroupId(1 << 60) },
    };
    changes.into_iter().map(|change| SocketEvent { at: Ktime(2), socket, change }).collect()
}

pub(crate) fn any_event() -> impl Strategy<Value = SocketEvent> {
    (any::<u64>(), any_socket(), any_change()).prop_map(|(at, socket, change)| SocketEvent {
        at: Ktime(at),
        socket,
        change,
    })
}

fn any_socket() -> impl Strategy<Value = Socket> {
    let owner = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u64>()).prop_map(
        |(netns, uid, tid, mark, cgroup)| Owner { netns: NetNs(netns), uid, tid, mark, cgroup: CgroupId(cgroup) },
    );
    (any::<u64>(), any_endpoint(), any_endpoint(), owner).prop_map(|(cookie, local, remote, owner)| Socket {
        cookie: Cookie(cookie),
        local,
        remote,
        owner,
    })
}

fn any_endpoint() -> impl Strategy<Value = Endpoint> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| Endpoint::new(ip, port))
}

fn any_change() -> impl Strategy<Value = SocketChange> {
    let since = || any::<u64>().prop_map(Ktime);
    let handshake = || {
        option::of(
            (any::<u32>(), any::<u32>()).prop_map(|(client_isn, server_isn)| Handshake { client_isn, server_isn }),
        )
    };
    let error = prop_oneof![
        Just(ConnectError::Refused),
        Just(ConnectError::Abandoned),
        any::<u16>().prop_map(ConnectError::Other)
    ];
    let direction = prop_oneof![Just(Direction::Sent), Just(Direction::Received)];
    let reset = prop_oneof![Just(Reset::Sent), Just(Reset::Received)];
    let end = prop_oneof![Just(End::This), Just(End::Peer)];
    let close = (option::of(since()), any::<u64>(), any::<u64>(), option::of(reset), option::of(end), any::<bool>())
        .prop_map(|(opened, sent, received, reset, first_fin, unread)| Close {
            opened,
            sent,
            received,
            reset,
            first_fin,
            unread,
        });
    prop_oneof![
        (since(), any::<u8>(), any::<Option<u32>>())
            .prop_map(|(since, count, client_isn)| SocketChange::SynRetransmitted { since, count, client_isn }),
        (since(), handshake()).prop_map(|(since, handshake)| SocketChange::Connected { since, handshake }),
        (since(), error, any::<Option<u32>>()).prop_map(|(since, error, client_isn)| SocketChange::ConnectFailed {
            since,
            error,
            client_isn
        }),
        handshake().prop_map(|handshake| SocketChange::Accepted { handshake }),
        (direction, any_payload()).prop_map(|(direction, payload)| SocketChange::FirstBytes { direction, payload }),
        close.prop_map(SocketChange::Closed),
        Just(SocketChange::Gone),
    ]
}

fn any_payload() -> impl Strategy<Value = Payload> {
    let name = || any::<String>().prop_map(Name::from);
    let hello =
        (option::of(name()), prop::collection::vec(name(), 0..6), any::<bool>()).prop_map(|(sni, alpn, complete)| {
            Payload::ClientHello(ClientHello { sni, alpn: alpn.into_iter().collect(), complete })
        });
    let body = prop_oneof![Just(ResponseBody::AccessDenied), Just(ResponseBody::Other)];
    let some = || option::of(any::<bool>());
    let response = (any::<u16>(), some(), any::<bool>(), some(), option::of(body)).prop_map(
        |(status, upstream_service_time, envoy, empty_body, body)| {
            Payload::HttpResponse(HttpResponse { status, upstream_service_time, envoy, empty_body, body })
        },
    );
    prop_oneof![
        option::of(name()).prop_map(|host| Payload::Http1 { host }),
        option::of(name()).prop_map(|authority| Payload::Http2 { authority }),
        hello,
        any::<(bool, u16)>().prop_map(|(alert, length)| Payload::TlsAnswer { alert, length }),
        response,
        option::of(any::<u16>()).prop_map(|status| Payload::Http2Response { status }),
        Just(Payload::Other),
    ]
}
