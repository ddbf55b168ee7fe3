//! How connects end, and who ended them.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use socket2::SockRef;
use tracer_engine::socket::{ConnectError, Reset, SocketChange, Unreachable};

use crate::harness::{Namespace, Trace, black_hole, sh, tcp4};

/// Both ends of a connection on loopback.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    (client, listener.accept().expect("a connection").0)
}

#[tokio::test]
async fn trap_02_a_healthy_active_close_is_not_a_failure() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        let (mut client, mut server) = pair();
        client.write_all(b"hello").expect("a write");
        client.shutdown(Shutdown::Write).expect("FIN_WAIT1");
        server.read_to_end(&mut Vec::new()).expect("a read");
        server.write_all(b"an answer that nobody reads before the socket is gone").expect("a write");
        drop(server);
        // FIN_WAIT2 -> CLOSE has happened, with bytes still to be read.
        client.peek(&mut [0; 1]).expect("the answer");
    });
    trace.until_over(2, 0).await;
    let (client, server) = trace.ends();
    for end in [client, server] {
        let close = trace.close_of(end.socket.cookie);
        assert_eq!((close.reset, close.unread), (None, false), "{}", trace.list());
    }
    assert!(trace.failed().is_empty());
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_refuses() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        let refused = TcpStream::connect("127.0.0.1:9").expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
    trace.until_over(0, 1).await;
    assert_eq!(trace.failed(), [ConnectError::Refused]);
    assert_ne!(trace.events[0].socket.local.port, 0);
}

#[tokio::test]
async fn trap_03_an_abandoned_connect_is_not_a_success() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        let nobody = black_hole();
        let client = tcp4();
        client.set_nonblocking(true).expect("an option");
        let pending = client.connect(&nobody.into()).expect_err("no answer");
        assert_eq!(pending.raw_os_error(), Some(libc::EINPROGRESS));
    });
    trace.until_over(0, 1).await;
    assert_eq!(trace.failed(), [ConnectError::Abandoned]);
    assert!(trace.connected().is_empty());
}

#[tokio::test]
async fn trap_17_no_local_port_is_not_an_abandoned_connect() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40001").expect("a sysctl");
        let listener = TcpListener::bind("127.0.0.1:30000").expect("a listener");
        let to = listener.local_addr().expect("an address");
        let taken = [TcpStream::connect(to).expect("a port"), TcpStream::connect(to).expect("another")];
        let none = TcpStream::connect(to).expect_err("no port is left");
        assert_eq!(none.kind(), ErrorKind::AddrNotAvailable);
        drop(taken);
    });
    trace.until_over(0, 1).await;
    assert_eq!(trace.failed(), [ConnectError::NoLocalPort]);
}

#[tokio::test]
async fn trap_17_a_connect_without_a_route_is_not_seen() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        TcpStream::connect("192.0.2.1:80").expect_err("no route");
        TcpStream::connect("127.0.0.1:9").expect_err("nobody listens");
    });
    trace.until_over(0, 1).await;
    assert_eq!(trace.events.len(), 1, "{}", trace.list());
    assert_eq!(trace.failed(), [ConnectError::Refused]);
}

#[tokio::test]
async fn an_icmp_error_makes_a_host_unreachable() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        sh("iptables -A INPUT -p tcp --dport 9 -j REJECT --reject-with icmp-host-unreachable");
        TcpStream::connect("127.0.0.1:9").expect_err("a rule rejects");
    });
    trace.until_over(0, 1).await;
    assert_eq!(trace.failed(), [ConnectError::Unreachable(Unreachable::Host)]);
}

#[tokio::test]
async fn an_unanswered_connect_times_out() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        let nobody = black_hole();
        std::fs::write("/proc/sys/net/ipv4/tcp_syn_retries", "1").expect("a sysctl");
        let late = TcpStream::connect(nobody).expect_err("no answer");
        assert_eq!(late.kind(), ErrorKind::TimedOut);
    });
    trace.until_over(0, 1).await;
    assert_eq!(trace.failed(), [ConnectError::TimedOut]);
}

#[tokio::test]
async fn an_unanswered_syn_is_told_while_the_connect_hangs() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    let hanging = namespace.run(|| {
        let nobody = black_hole();
        let client = tcp4();
        client.set_nonblocking(true).expect("an option");
        client.connect(&nobody.into()).expect_err("no answer");
        client
    });
    let told = |change: &SocketChange| matches!(change, SocketChange::SynRetransmitted { .. });
    trace.until("two retransmissions", |events| events.iter().filter(|e| told(&e.change)).count() == 2).await;
    drop(hanging);
    trace.until_over(0, 1).await;

    let counts: Vec<u8> = trace
        .events
        .iter()
        .filter_map(|event| match event.change {
            SocketChange::SynRetransmitted { count, .. } => Some(count),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [1, 3]);
    let first = &trace.events[0].socket;
    assert_eq!(first.remote.to_string(), "127.0.0.1:9");
    assert_ne!(first.local.port, 0);
}

#[tokio::test]
async fn a_reset_is_sent_by_one_end_and_received_by_the_other() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        let (mut client, server) = pair();
        SockRef::from(&server).set_linger(Some(Duration::ZERO)).expect("an option");
        drop(server);
        let reset = client.read(&mut [0; 1]).expect_err("a reset");
        assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    });
    trace.until_over(2, 0).await;
    let (client, server) = trace.ends();
    let (client, server) = (trace.close_of(client.socket.cookie), trace.close_of(server.socket.cookie));
    assert_eq!((client.reset, server.reset), (Some(Reset::Received), Some(Reset::Sent)));
    assert!(!client.unread && !server.unread);
}

#[tokio::test]
async fn a_close_with_unread_bytes_is_an_abort_of_this_end() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        let (mut client, server) = pair();
        client.write_all(b"plaintext to a server that wants TLS").expect("a write");
        server.peek(&mut [0; 1]).expect("it came");
        drop(server);
        client.read(&mut [0; 1]).expect_err("a reset");
    });
    trace.until_over(2, 0).await;
    let (client, server) = trace.ends();
    // The port was given back before CLOSE is told; the tuple is whole all the same.
    let closed = trace.all(|change| matches!(change, SocketChange::Closed(_)));
    assert!(closed.iter().all(|event| event.socket.local.port != 0), "{}", trace.list());
    let (client, server) = (trace.close_of(client.socket.cookie), trace.close_of(server.socket.cookie));
    assert_eq!((client.reset, client.unread), (Some(Reset::Received), false));
    assert_eq!((server.reset, server.unread), (Some(Reset::Sent), true));
}

#[tokio::test]
async fn a_half_closed_connection_may_be_aborted_too() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        let (mut client, server) = pair();
        client.write_all(b"unread").expect("a write");
        client.shutdown(Shutdown::Write).expect("a FIN");
        server.peek(&mut [0; 1]).expect("it came");
        // CLOSE_WAIT -> CLOSE: the FIN itself is no unread byte, the six before it are.
        drop(server);
        client.read(&mut [0; 1]).expect_err("a reset");
    });
    trace.until_over(2, 0).await;
    let (_, server) = trace.ends();
    let server = trace.close_of(server.socket.cookie);
    assert_eq!((server.reset, server.unread, server.received), (Some(Reset::Sent), true, 6));
}

#[tokio::test]
async fn trap_19_a_socket_opened_before_is_adopted_at_its_close() {
    let namespace = Namespace::new();
    let (client, server) = namespace.run(pair);
    let to = server.local_addr().expect("an address");
    let mut trace = Trace::of(&namespace);
    drop(client);
    drop(server);
    trace.until_over(2, 0).await;
    let client = trace.events.iter().find(|event| event.socket.remote.port == to.port()).expect("the client's close");
    let close = trace.close_of(client.socket.cookie);
    assert_eq!((close.opened, close.reset), (None, None));
    assert_eq!(client.socket.owner.tid, 0);
}
