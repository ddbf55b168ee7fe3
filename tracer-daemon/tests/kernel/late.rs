//! The kernel skips a program that would interrupt itself. What was skipped is told by whichever hook meets the socket next.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use socket2::SockRef;
use tracer_daemon::source::kernel::KernelConfig;
use tracer_engine::net::Cookie;
use tracer_engine::socket::{ConnectError, Direction, End, Reset, SocketChange, SocketEvent, Unreachable};

use crate::harness::{Namespace, Trace, address, assert_conserved, sh, tcp4};
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
    async fn new(places: u32) -> Self {
        let namespace = Namespace::new();
        let config = KernelConfig { max_sockets: places, ..KernelConfig::default() };
        let mut trace = Trace::with(&namespace, &config);
        let live = Live::of(places);
        let (client, server) = namespace.run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
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
    let mut pair = Pair::new(1 << 10).await;
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
    let mut pair = Pair::new(1 << 9).await;
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
    let mut pair = Pair::new(1 << 8).await;
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
    let mut pair = Pair::new(1 << 7).await;
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
    const PLACES: u32 = 1 << 6;
    let mut pair = Pair::new(PLACES).await;
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
async fn told_of_a_fetched_error(places: u32, before: &'static str, answer: &'static str) -> SocketChange {
    let namespace = Namespace::new();
    let config = KernelConfig { max_sockets: places, ..KernelConfig::default() };
    let mut trace = Trace::with(&namespace, &config);
    let mut live = Live::of(places);
    let client = namespace.run(move || {
        sh(before);
        let client = tcp4();
        client.set_nonblocking(true).expect("an option");
        client.connect(&address("127.0.0.1:9").into()).expect_err("in progress");
        client
    });
    let cookie = client.cookie().expect("a cookie");
    assert!(live.look_up(cookie), "it is followed");
    namespace.run(move || sh(answer));
    trace.until_over(0, 1).await;
    assert!(client.take_error().expect("an option").is_some());
    live.put_back(cookie);
    let already = trace.events.len();
    drop(client);
    trace.until("its end", |events| events.len() > already).await;
    trace.detach();
    let [SocketEvent { change, .. }] = &trace.events[already..] else { panic!("{}", trace.list()) };
    change.clone()
}

#[tokio::test]
async fn a_failed_connect_that_was_skipped_has_the_error_that_the_kernel_remembers() {
    const REJECT: &str = "iptables -A INPUT -p tcp --dport 9 -j REJECT --reject-with icmp-host-unreachable";
    let told = told_of_a_fetched_error(1 << 5, REJECT, "true").await;
    let SocketChange::ConnectFailed { error, .. } = told else { panic!("{told:?}") };
    assert_eq!(error, ConnectError::Unreachable(Unreachable::Host));
}

#[tokio::test]
async fn a_failed_connect_that_was_skipped_has_no_error_that_nobody_knows() {
    const DROP: &str = "iptables -A INPUT -p tcp --dport 9 -j DROP";
    let told = told_of_a_fetched_error(1 << 4, DROP, "iptables -F").await;
    // It was refused; but that this was so is told by the skipped program alone.
    assert_eq!(told, SocketChange::Gone);
}
