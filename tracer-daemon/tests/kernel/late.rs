//! The kernel skips a program that would interrupt itself. What was skipped is told by whichever hook meets the socket next.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tracer_daemon::source::kernel::{EventCounts, EventKind};
use tracer_engine::net::Cookie;
use tracer_engine::socket::{ConnectError, Direction, End, Reset, SocketChange, SocketEvent, Unreachable};

use crate::harness::{Trace, address, alone, assert_conserved, set, sh, tcp4};
use crate::live::Live;

/// A connection, and what the probes remember of both its ends.
struct Pair {
    trace: Trace,
    live: Live,
    client: TcpStream,
    server: TcpStream,
    /// As they were told when they were open.
    opened: (SocketEvent, SocketEvent),
}

impl Pair {
    /// With 2 to the power of `net` places: each test has a map of its own size, by which it is found.
    async fn new(net: u8) -> Self {
        let (namespace, mut trace) = alone(net, 1 << net);
        let live = Live::of(1 << net);
        let (client, server) = namespace.run(move || {
            let listener = TcpListener::bind(format!("127.8.{net}.1:0")).expect("a listener");
            let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
            (client, listener.accept().expect("a connection").0)
        });
        trace.until("a connection", |events| events.len() == 2).await;
        let (client_end, server_end) = trace.ends();
        let opened = (client_end.clone(), server_end.clone());
        Self { trace, live, client, server, opened }
    }

    fn cookies(&self) -> (Cookie, Cookie) {
        (self.opened.0.socket.cookie, self.opened.1.socket.cookie)
    }

    /// As if the kernel had skipped the program when this socket became ESTABLISHED.
    fn not_open(&mut self, cookie: Cookie) {
        assert!(self.live.look_up(cookie.0), "it is followed");
        self.live.not_open();
        self.live.put_back(cookie.0);
    }

    fn told_after(&self, already: usize, cookie: Cookie) -> Vec<&SocketChange> {
        let later = self.trace.events[already..].iter();
        later.filter(|event| event.socket.cookie == cookie).map(|event| &event.change).collect()
    }

    async fn end(mut self) {
        drop((self.client, self.server));
        self.trace.until_over(2, 0).await;
        self.trace.detach();
        assert_conserved(&self.trace.kernel.counts().expect("counts"));
    }
}

fn is_first_bytes(change: &SocketChange, wanted: Direction) -> bool {
    matches!(change, SocketChange::FirstBytes { direction, .. } if *direction == wanted)
}

#[tokio::test]
async fn a_client_whose_opening_was_skipped_is_open_when_it_sends() {
    let mut pair = Pair::new(11).await;
    let (client, _) = pair.cookies();
    pair.not_open(client);
    let already = pair.trace.events.len();
    pair.client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a write");
    pair.trace.until("payload at both ends", |events| events.len() == already + 3).await;
    let told = pair.told_after(already, client);
    // The handshake and the latency are what they were, and the payload is read after all.
    let SocketChange::Connected { handshake, .. } = told[0] else { panic!("{told:?}") };
    let SocketChange::Connected { handshake: before, .. } = &pair.opened.0.change else { panic!("a client") };
    assert!(before.is_some());
    assert_eq!(handshake, before);
    assert!(is_first_bytes(told[1], Direction::Sent), "{told:?}");
    pair.end().await;
}

#[tokio::test]
async fn a_child_whose_opening_was_skipped_is_open_when_it_receives() {
    let mut pair = Pair::new(9).await;
    let (_, server) = pair.cookies();
    pair.not_open(server);
    let already = pair.trace.events.len();
    pair.client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a write");
    pair.trace.until("payload at both ends", |events| events.len() == already + 3).await;
    let told = pair.told_after(already, server);
    let (SocketChange::Accepted { handshake }, SocketChange::Accepted { handshake: before }) =
        (told[0], &pair.opened.1.change)
    else {
        panic!("{told:?}")
    };
    assert!(before.is_some());
    assert_eq!(handshake, before);
    assert!(is_first_bytes(told[1], Direction::Received), "{told:?}");
    pair.end().await;
}

#[tokio::test]
async fn a_child_whose_opening_was_skipped_is_open_when_it_speaks_first() {
    let mut pair = Pair::new(8).await;
    let (_, server) = pair.cookies();
    pair.not_open(server);
    let already = pair.trace.events.len();
    pair.server.write_all(b"220 ready\r\n").expect("a write");
    pair.trace.until("payload at both ends", |events| events.len() == already + 3).await;
    let told = pair.told_after(already, server);
    assert!(matches!(told[0], SocketChange::Accepted { handshake } if handshake.is_some()), "{told:?}");
    assert!(is_first_bytes(told[1], Direction::Sent), "{told:?}");
    pair.end().await;
}

/// Nothing is sent that could tell of it before, and by the end both directions have got further.
#[tokio::test]
async fn an_opening_that_nobody_met_is_told_with_the_close() {
    let mut pair = Pair::new(7).await;
    let (client, server) = pair.cookies();
    pair.client.write_all(b"hello").expect("a write");
    pair.server.read_exact(&mut [0; 5]).expect("a read");
    pair.trace.until("payload at both ends", |events| events.len() == 4).await;
    pair.not_open(server);
    let already = pair.trace.events.len();
    pair.client.shutdown(Shutdown::Both).expect("a FIN");
    pair.server.shutdown(Shutdown::Both).expect("a FIN");
    pair.trace.until_over(2, 0).await;
    let told = pair.told_after(already, server);
    let (SocketChange::Accepted { handshake }, SocketChange::Accepted { handshake: before }) =
        (told[0], &pair.opened.1.change)
    else {
        panic!("{told:?}")
    };
    assert_eq!(handshake, before);
    let close = pair.trace.close_of(server);
    assert_eq!((close.opened, close.received, close.first_fin), (None, 5, Some(End::Peer)));
    assert_eq!(pair.told_after(already, client).len(), 1, "{}", pair.trace.list());
}

#[tokio::test]
async fn a_close_that_was_skipped_is_told_when_the_socket_is_destroyed() {
    let mut pair = Pair::new(6).await;
    let (cookie, _) = pair.cookies();
    pair.client.write_all(b"hello").expect("a write");
    pair.server.read_exact(&mut [0; 5]).expect("a read");
    pair.trace.until("payload at both ends", |events| events.len() == 4).await;
    let Pair { mut trace, mut live, client, server, .. } = pair;
    assert!(live.look_up(cookie.0), "it is followed");
    // Reset: in CLOSE at once, but there as long as its descriptor is.
    SockRef::from(&server).set_linger(Some(Duration::ZERO)).expect("an option");
    drop(server);
    trace.until_over(2, 0).await;
    assert_eq!(trace.close_of(cookie).reset, Some(Reset::Received));
    // As if that had not been told.
    live.put_back(cookie.0);
    let already = trace.events.len();
    drop(client);
    trace.until_over(3, 0).await;
    let told = &trace.events[already..];
    let [SocketEvent { socket, change: SocketChange::Closed(close), .. }] = told else { panic!("{told:?}") };
    assert_eq!((socket.cookie, close.sent, close.received), (cookie, 5, 0));
    assert!(close.opened.is_some());
    assert_eq!((close.reset, close.first_fin), (None, None), "what is not known is not claimed");
    assert!(!live.look_up(cookie.0), "its place is free");
    trace.detach();
    let counts = trace.kernel.counts().expect("counts");
    assert_conserved(&counts);
    assert!(counts.late >= 1, "{counts:?}");
    assert_eq!(counts.missed, 0, "{counts:?}");
}

/// A client whose SYN nobody answers yet, and then `answer` does. Its error is fetched by its owner, and only then, when
/// the socket is destroyed, is its end told: as if the kernel had skipped the program that tells of it.
async fn told_of_a_fetched_error(net: u8, before: &'static str, answer: &'static str) -> (SocketEvent, EventCounts) {
    let (namespace, mut trace) = alone(net, 1 << net);
    let mut live = Live::of(1 << net);
    let client = namespace.run(move || {
        sh(before);
        let client = tcp4();
        client.set_nonblocking(true).expect("an option");
        client.connect(&address(&format!("127.8.{net}.1:9")).into()).expect_err("in progress");
        client
    });
    let cookie = client.cookie().expect("a cookie");
    assert!(live.look_up(cookie), "it is followed");
    namespace.run(move || sh(answer));
    trace.until_over(0, 1).await;
    // A connect(2) that fetches the error takes the socket's addresses away.
    let to = address(&format!("127.8.{net}.1:9")).into();
    client.connect(&to).expect_err("it failed");
    live.put_back(cookie);
    let already = trace.events.len();
    drop(client);
    trace.until("its end", |events| events.len() > already).await;
    trace.detach();
    let counts = trace.kernel.counts().expect("counts");
    assert_conserved(&counts);
    let [event] = &trace.events[already..] else { panic!("{}", trace.list()) };
    assert_eq!(event.socket.remote.to_string(), format!("127.8.{net}.1:9"));
    assert_ne!(event.socket.local.port, 0);
    (event.clone(), counts)
}

#[tokio::test]
async fn a_failed_connect_that_was_skipped_has_the_error_that_the_kernel_remembers() {
    const REJECT: &str = "iptables -A INPUT -p tcp --dport 9 -j REJECT --reject-with icmp-host-unreachable";
    let (told, counts) = told_of_a_fetched_error(5, REJECT, "true").await;
    let SocketChange::ConnectFailed { error, .. } = told.change else { panic!("{told:?}") };
    assert_eq!(error, ConnectError::Unreachable(Unreachable::Host));
    assert_eq!(counts.lost(), 0, "{counts:?}");
}

#[tokio::test]
async fn a_failed_connect_that_was_skipped_has_no_error_that_nobody_knows() {
    const DROP: &str = "iptables -A INPUT -p tcp --dport 9 -j DROP";
    let (told, counts) = told_of_a_fetched_error(4, DROP, "iptables -F").await;
    // It was refused; but that this was so is told by the skipped program alone. So an event is missing, and is counted.
    assert_eq!(told.change, SocketChange::Gone);
    assert_eq!(counts.of(EventKind::Connect).lost, 1, "{counts:?}");
}

/// The third ACK is the only packet of an idle client that could tell, and the answer to a keep-alive probe looks the same.
#[tokio::test]
async fn a_client_whose_opening_was_skipped_is_open_when_it_acknowledges() {
    let mut pair = Pair::new(12).await;
    let (client, _) = pair.cookies();
    pair.not_open(client);
    let already = pair.trace.events.len();
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(1)).with_interval(Duration::from_secs(1));
    SockRef::from(&pair.server).set_tcp_keepalive(&keepalive).expect("an option");
    pair.trace.until("the opening", |events| events.len() > already).await;
    let told = pair.told_after(already, client);
    let SocketChange::Connected { since, handshake: Some(_) } = told[0] else { panic!("{told:?}") };
    let SocketChange::Connected { since: before, .. } = &pair.opened.0.change else { panic!("a client") };
    assert_eq!(since, before, "it is the third ACK as far as anybody can tell");
    pair.end().await;
}

/// A child that is made with the SYN and stays in SYN_RECV, as its third ACK is dropped.
#[tokio::test]
async fn a_child_is_remembered_before_it_is_open() {
    const NET: u8 = 15;
    let (namespace, mut trace) = alone(NET, 1 << NET);
    let mut live = Live::of(1 << NET);
    let (client, child) = namespace.run(|| {
        // Both sides, and no cookie is asked for.
        std::fs::write("/proc/sys/net/ipv4/tcp_fastopen", "1539").expect("a sysctl");
        let to = address(&format!("127.8.{NET}.1:8080"));
        let listener = tcp4();
        listener.bind(&to.into()).expect("an address");
        set(&listener, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, 5);
        listener.listen(5).expect("a listener");
        sh("iptables -A INPUT -p tcp --dport 8080 --tcp-flags SYN,ACK ACK -j DROP");
        let client = tcp4();
        client.send_to_with_flags(b"hello", &to.into(), libc::MSG_FASTOPEN).expect("data on the SYN");
        (client, listener.accept().expect("a child").0)
    });
    let cookie = child.cookie().expect("a cookie");
    assert!(live.look_up(cookie), "it is followed");
    assert!(trace.accepted().is_empty(), "{}", trace.list());
    namespace.run(|| sh("iptables -F"));
    trace.until("its opening", |events| events.iter().any(|event| event.socket.cookie.0 == cookie)).await;
    assert_eq!(trace.accepted().len(), 1, "{}", trace.list());
    drop((client, child));
    trace.until_over(2, 0).await;
}
