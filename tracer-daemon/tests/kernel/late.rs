//! The kernel skips a program that would interrupt itself. What was skipped is told by whichever hook meets the socket next.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tracer_daemon::source::kernel::{EventCounts, EventKind};
use tracer_engine::net::Cookie;
use tracer_engine::socket::{ConnectError, Direction, End, Reset, SocketChange, SocketEvent, Unreachable};

use crate::harness::{Trace, address, alone, assert_conserved, handshake, set, sh, tcp4};
use crate::live::Live;

/// A connection, and what the probes remember of both its ends.
struct Pair {
    trace: Trace,
    live: Live,
    client: TcpStream,
    server: TcpStream,
    /// As they were told when they were open.
    opened: (SocketEvent, SocketEvent),
    /// Events that came before `not_open`.
    before: usize,
}

impl Pair {
    /// With 2 to the power of `net` places: each test has a map of its own size, by which it is found.
    async fn new(net: u8) -> Self {
        loop {
            let mut pair = Self::open(net).await;
            let (client, server) = pair.cookies();
            // Other sockets of this machine take cookies between the two, and in one of many cases just so many that both have
            // one place.
            if pair.live.look_up(client.0) && pair.live.look_up(server.0) {
                return pair;
            }
        }
    }

    async fn open(net: u8) -> Self {
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
        assert!(handshake(&opened.0).is_some() && handshake(&opened.0) == handshake(&opened.1));
        Self { trace, live, client, server, opened, before: 0 }
    }

    /// The client says five bytes.
    async fn speak(&mut self) {
        self.client.write_all(b"hello").expect("a write");
        self.server.read_exact(&mut [0; 5]).expect("a read");
        self.trace.until("payload at both ends", |events| events.len() == 4).await;
    }

    fn cookies(&self) -> (Cookie, Cookie) {
        (self.opened.0.socket.cookie, self.opened.1.socket.cookie)
    }

    /// As if the kernel had skipped the program when this socket became ESTABLISHED.
    fn not_open(&mut self, cookie: Cookie) {
        assert!(self.live.look_up(cookie.0), "it is followed");
        self.live.not_open();
        self.live.put_back(cookie.0);
        self.before = self.trace.events.len();
    }

    /// Waits until so much was told of this socket since `not_open`.
    async fn told(&mut self, cookie: Cookie, count: usize) -> Vec<SocketEvent> {
        let of = |events: &[SocketEvent], before: usize| -> Vec<SocketEvent> {
            events[before..].iter().filter(|event| event.socket.cookie == cookie).cloned().collect()
        };
        let before = self.before;
        self.trace.until("what was skipped", |events| of(events, before).len() >= count).await;
        of(&self.trace.events, before)
    }

    async fn end(mut self) {
        drop((self.client, self.server));
        self.trace.until_over(2, 0).await;
        self.trace.detach();
        assert_conserved(&self.trace.kernel.counts().expect("counts"));
    }
}

/// It is told to be open, with the handshake that it had, and then the first bytes of this direction.
fn assert_open_then_first_bytes(told: &[SocketEvent], opened: &SocketEvent, wanted: Direction) {
    let [open, payload] = told else { panic!("{told:?}") };
    assert_eq!(handshake(open), handshake(opened));
    let is_wanted = matches!(payload.change, SocketChange::FirstBytes { direction, .. } if direction == wanted);
    assert!(is_wanted, "{payload:?}");
}

#[tokio::test]
async fn a_client_whose_opening_was_skipped_is_open_when_it_sends() {
    let mut pair = Pair::new(11).await;
    let (client, _) = pair.cookies();
    pair.not_open(client);
    pair.client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a write");
    let told = pair.told(client, 2).await;
    assert_open_then_first_bytes(&told, &pair.opened.0, Direction::Sent);
    let SocketChange::Connected { since, .. } = told[0].change else { panic!("{told:?}") };
    assert_eq!(since, told[0].at, "it may have been open for long: no latency is claimed");
    pair.end().await;
}

#[tokio::test]
async fn a_child_whose_opening_was_skipped_is_open_when_it_receives() {
    let mut pair = Pair::new(9).await;
    let (_, server) = pair.cookies();
    pair.not_open(server);
    pair.client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a write");
    let told = pair.told(server, 2).await;
    assert_open_then_first_bytes(&told, &pair.opened.1, Direction::Received);
    pair.end().await;
}

#[tokio::test]
async fn a_child_whose_opening_was_skipped_is_open_when_it_speaks_first() {
    let mut pair = Pair::new(8).await;
    let (_, server) = pair.cookies();
    pair.not_open(server);
    pair.server.write_all(b"220 ready\r\n").expect("a write");
    let told = pair.told(server, 2).await;
    assert_open_then_first_bytes(&told, &pair.opened.1, Direction::Sent);
    pair.end().await;
}

/// Nothing is sent that could tell of it before, and by the end both directions have got further.
#[tokio::test]
async fn an_opening_that_nobody_met_is_told_with_the_close() {
    let mut pair = Pair::new(7).await;
    let (client, server) = pair.cookies();
    pair.speak().await;
    pair.not_open(server);
    pair.client.shutdown(Shutdown::Both).expect("a FIN");
    pair.server.shutdown(Shutdown::Both).expect("a FIN");
    let told = pair.told(server, 2).await;
    assert_eq!((told.len(), handshake(&told[0])), (2, handshake(&pair.opened.1)), "{told:?}");
    let close = pair.trace.close_of(server);
    assert_eq!((close.opened, close.received, close.first_fin), (None, 5, Some(End::Peer)));
    assert_eq!(pair.told(client, 1).await.len(), 1, "{}", pair.trace.list());
}

#[tokio::test]
async fn a_close_that_was_skipped_is_told_when_the_socket_is_destroyed() {
    let mut pair = Pair::new(6).await;
    let (cookie, _) = pair.cookies();
    pair.speak().await;
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
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(1)).with_interval(Duration::from_secs(1));
    SockRef::from(&pair.server).set_tcp_keepalive(&keepalive).expect("an option");
    let told = pair.told(client, 1).await;
    assert_eq!(handshake(&told[0]), handshake(&pair.opened.0));
    let since =
        |event: &SocketEvent| if let SocketChange::Connected { since, .. } = event.change { Some(since) } else { None };
    assert_eq!(since(&told[0]), since(&pair.opened.0), "it is the third ACK as far as anybody can tell");
    pair.end().await;
}

/// Its error was fetched, so it may dial again, on the same cookie: with what is remembered of the first time.
#[tokio::test]
async fn a_second_connect_is_not_taken_for_the_first_whose_end_was_skipped() {
    const NET: u8 = 18;
    let (namespace, mut trace) = alone(NET, 1 << NET);
    let mut live = Live::of(1 << NET);
    let (client, listener) = namespace.run(|| {
        sh("iptables -A INPUT -p tcp --dport 9 -j DROP");
        let client = tcp4();
        client.set_nonblocking(true).expect("an option");
        client.connect(&address(&format!("127.8.{NET}.1:9")).into()).expect_err("in progress");
        (client, TcpListener::bind(format!("127.8.{NET}.2:0")).expect("a listener"))
    });
    let cookie = client.cookie().expect("a cookie");
    assert!(live.look_up(cookie), "it is followed");
    namespace.run(|| sh("iptables -F"));
    trace.until_over(0, 1).await;
    let nowhere = address(&format!("127.8.{NET}.1:9")).into();
    client.connect(&nowhere).expect_err("it failed");
    live.put_back(cookie);
    let before = trace.events.len();
    let to = listener.local_addr().expect("an address");
    client.connect(&to.into()).expect_err("in progress");
    trace.until("the second connection", |events| events.len() == before + 3).await;
    let told: Vec<_> = trace.events[before..].iter().filter(|event| event.socket.cookie.0 == cookie).collect();
    let [gone, open] = told[..] else { panic!("{}", trace.list()) };
    assert_eq!((&gone.change, gone.socket.remote.to_string()), (&SocketChange::Gone, format!("127.8.{NET}.1:9")));
    let SocketChange::Connected { since, .. } = open.change else { panic!("{open:?}") };
    assert!(since >= gone.at, "it dialled anew: {open:?}");
    assert_eq!(open.socket.remote.to_string(), to.to_string());
    trace.detach();
    let counts = trace.kernel.counts().expect("counts");
    assert_conserved(&counts);
    assert_eq!(counts.of(EventKind::Connect).lost, 1, "what became of the first is missing: {counts:?}");
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
