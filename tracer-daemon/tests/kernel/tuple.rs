//! Who spoke to whom: addresses, ports and the handshake that joins two sockets.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Socket, Type};
use tracer_engine::net::Endpoint;
use tracer_engine::socket::{End, SocketChange};

use crate::harness::{Namespace, Trace, address, handshake, set, sh, tcp4};

/// One connection; the client says five bytes, the server seven, the client closes first.
fn converse(listener: &TcpListener, to: SocketAddr) -> SocketAddr {
    let mut client = TcpStream::connect(to).expect("a connection");
    let (mut server, _) = listener.accept().expect("a connection");
    client.write_all(b"hello").expect("a write");
    server.read_exact(&mut [0; 5]).expect("a read");
    server.write_all(b"welcome").expect("a write");
    client.read_exact(&mut [0; 7]).expect("a read");
    let from = client.local_addr().expect("an address");
    drop(client);
    assert_eq!(server.read(&mut [0; 1]).expect("the end"), 0);
    from
}

#[tokio::test]
async fn trap_01_both_ends_tell_the_same_tuple_and_handshake() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    let (from, to) = namespace.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let to = listener.local_addr().expect("an address");
        (converse(&listener, to), to)
    });
    trace.until_over(2, 0).await;

    let (client, server) = trace.ends();
    let (from, to) = (Endpoint::new(from.ip(), from.port()), Endpoint::new(to.ip(), to.port()));
    assert_eq!((client.socket.local, client.socket.remote), (from, to));
    assert_eq!((server.socket.local, server.socket.remote), (to, from));
    assert!(handshake(client).is_some());
    assert_eq!(handshake(client), handshake(server));
}

#[tokio::test]
async fn a_close_counts_payload_bytes_and_knows_its_opening() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        converse(&listener, listener.local_addr().expect("an address"))
    });
    trace.until_over(2, 0).await;

    let (client, server) = trace.ends();
    let (c, s) = (trace.close_of(client.socket.cookie), trace.close_of(server.socket.cookie));
    assert_eq!((c.sent, c.received, c.opened, c.first_fin), (5, 7, Some(client.at), Some(End::This)));
    assert_eq!((s.sent, s.received, s.opened, s.first_fin), (7, 5, Some(server.at), Some(End::Peer)));
    let SocketChange::Connected { since, .. } = client.change else { unreachable!("filtered") };
    assert!(since <= client.at && client.at <= trace.events.last().expect("events").at);
}

#[tokio::test]
async fn trap_11_a_mapped_address_is_an_ipv4_address() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("a dual-stack listener");
        let port = listener.local_addr().expect("an address").port();
        converse(&listener, SocketAddr::from(([127, 0, 0, 1], port)));
        converse(&listener, address(&format!("[::ffff:127.0.0.1]:{port}")));
        converse(&listener, address(&format!("[::1]:{port}")));
    });
    trace.until_over(6, 0).await;

    let families: Vec<(bool, bool)> = trace
        .events
        .iter()
        .filter(|event| handshake(event).is_some())
        .map(|event| (event.socket.local.ip.is_ipv4(), event.socket.remote.ip.is_ipv4()))
        .collect();
    assert_eq!(families, [(true, true), (true, true), (true, true), (true, true), (false, false), (false, false)]);
}

#[tokio::test]
async fn trap_13_the_handshake_joins_through_colliding_ports() {
    const CONNECTIONS: usize = 20;
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        // What istio-init does: every destination becomes one, so one source port cannot serve two of them.
        sh("iptables -t nat -A OUTPUT -p tcp ! --dport 15001 -j REDIRECT --to-ports 15001");
        let listener = TcpListener::bind("127.0.0.1:15001").expect("a listener");
        let mut open = Vec::new();
        for last in 0..CONNECTIONS {
            let client = tcp4();
            client.set_reuse_address(true).expect("an option");
            client.bind(&address("127.0.0.1:45000").into()).expect("the same port each time");
            client.connect(&address(&format!("127.0.1.{}:9090", last + 1)).into()).expect("a connection");
            open.push((client, listener.accept().expect("a connection")));
        }
    });
    trace.until_over(2 * CONNECTIONS, 0).await;

    let accepted: HashMap<_, _> =
        trace.accepted().into_iter().map(|event| (handshake(event).expect("no data on the SYN"), event)).collect();
    assert_eq!(accepted.len(), CONNECTIONS, "handshakes are not unique:{}", trace.list());
    let mut moved = 0;
    for client in trace.connected() {
        let server = accepted.get(&handshake(client).expect("no data on the SYN")).expect("a server's end");
        assert_eq!((client.socket.local.port, server.socket.local.port), (45_000, 15_001));
        moved += usize::from(server.socket.remote.port != 45_000);
    }
    assert_eq!(moved, CONNECTIONS - 1, "the ports did not collide: the test has lost its point");
}

#[tokio::test]
async fn trap_13_a_syn_with_data_has_no_handshake() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        // Client and server do Fast Open, and without a cookie.
        std::fs::write("/proc/sys/net/ipv4/tcp_fastopen", "519").expect("a sysctl");
        let listener = tcp4();
        listener.bind(&address("127.0.0.1:0").into()).expect("an address");
        set(&listener, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, 5);
        listener.listen(5).expect("a listener");
        let client = tcp4();
        set(&client, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, 1);
        client.connect(&listener.local_addr().expect("an address")).expect("a deferred connect");
        (&client).write_all(b"hello").expect("data on the SYN");
        let (server, _) = listener.accept().expect("a connection");
        (&server).read_exact(&mut [0; 5]).expect("the data");
    });
    trace.until_over(2, 0).await;

    let (client, server) = trace.ends();
    assert_eq!((handshake(client), handshake(server)), (None, None));
}

#[tokio::test]
async fn a_socket_that_dials_itself_connects_and_accepts_nothing() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        let itself = address("127.0.0.1:45001").into();
        let socket = tcp4();
        socket.bind(&itself).expect("a port");
        socket.connect(&itself).expect("a simultaneous open");
    });
    trace.until_over(1, 0).await;
    assert_eq!((trace.connected().len(), trace.accepted().len()), (1, 0), "{}", trace.list());
}

#[tokio::test]
async fn an_ipv6_connection_is_told_like_any_other() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        let listener = Socket::new(Domain::IPV6, Type::STREAM, None).expect("a socket");
        listener.set_only_v6(true).expect("an option");
        listener.bind(&address("[::1]:0").into()).expect("an address");
        listener.listen(5).expect("a listener");
        let listener = TcpListener::from(listener);
        converse(&listener, listener.local_addr().expect("an address"))
    });
    trace.until_over(2, 0).await;
    let (client, server) = trace.ends();
    assert_eq!(client.socket.remote, server.socket.local);
    assert_eq!(handshake(client), handshake(server));
}
