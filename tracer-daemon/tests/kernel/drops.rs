//! What the kernel drops, and what it calls it.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::{SockRef, Socket, TcpKeepalive};
use tracer_engine::net::Ktime;
use tracer_engine::socket::{ConnectError, DropCount, Dropped, Segment};

use crate::harness::{Namespace, Trace, address, allow_files, assert_since, black_hole, sh, tcp4};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A connect that is given up after a moment.
fn give_up(to: SocketAddr) {
    let client = tcp4();
    let error = client.connect_timeout(&to.into(), Duration::from_millis(100)).expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

fn counted<'a>(counts: impl IntoIterator<Item = &'a DropCount>, reason: &str) -> u64 {
    counts.into_iter().filter(|count| &*count.reason == reason).map(|count| count.count).sum()
}

/// Asked twice: what is under no pair of addresses is told the second time.
fn counts(trace: &mut Trace) -> Vec<DropCount> {
    let mut all = trace.kernel.drop_counts(Ktime(1)).expect("counts");
    all.extend(trace.kernel.drop_counts(Ktime(2)).expect("counts"));
    all
}

#[tokio::test]
async fn trap_06_a_syn_that_netfilter_drops_on_ingress_has_no_socket_and_is_told_all_the_same() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| give_up(black_hole()));
    trace.until_over(0, 1).await;
    let [Dropped { reason, source, destination, cookie, netns, segment, .. }] = &trace.dropped[..] else {
        panic!("not one drop: {:?}", trace.dropped);
    };
    assert_eq!((&**reason, *netns, *cookie), ("NETFILTER_DROP", namespace.id, None));
    assert_eq!((source.ip, destination.ip, destination.port), (LOCALHOST, LOCALHOST, 9));
    assert_eq!(source.port, trace.events[0].socket.local.port);
    // The socket tells the same initial sequence number.
    let isn = trace.isn_of_failed();
    assert_eq!(*segment, Segment::Syn { client_isn: isn.expect("an ISN") });
    let told = counts(&mut trace);
    let ours = told.iter().filter(|count| count.between == Some((LOCALHOST, LOCALHOST)));
    assert!(counted(ours, "NETFILTER_DROP") >= 1, "{told:?}");
}

#[tokio::test]
async fn a_drop_on_the_way_out_knows_who_sent_it() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        sh("iptables -A OUTPUT -p tcp --dport 9 -j DROP");
        give_up(address("127.0.0.1:9"));
    });
    trace.until_over(0, 1).await;
    assert_eq!(trace.dropped.len(), 1, "{:?}", trace.dropped);
    assert_eq!(trace.dropped[0].cookie, Some(trace.events[0].socket.cookie));
}

#[tokio::test]
async fn trap_07_a_reject_is_a_drop_and_an_answer() {
    for (with, expected) in
        [("tcp-reset", ConnectError::Refused), ("icmp-port-unreachable", ConnectError::RefusedByIcmp)]
    {
        let namespace = Namespace::new();
        let mut trace = Trace::of(&namespace);
        namespace.run(move || {
            sh(&format!("iptables -A INPUT -p tcp --dport 9 -j REJECT --reject-with {with}"));
            TcpStream::connect("127.0.0.1:9").expect_err("rejected");
        });
        trace.until_over(0, 1).await;
        assert_eq!(trace.failed(), [expected], "{with}");
        let reasons: Vec<&str> = trace.dropped.iter().map(|dropped| &*dropped.reason).collect();
        // The ICMP error may come while connect(2) still holds the socket: then the SYN is sent again.
        assert!(!reasons.is_empty() && reasons.iter().all(|reason| *reason == "NETFILTER_DROP"), "{with}: {reasons:?}");
    }
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_has_no_socket() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| drop(TcpStream::connect("127.0.0.1:9").expect_err("nobody listens")));
    trace.until_over(0, 1).await;
    let reasons: Vec<&str> = trace.dropped.iter().map(|dropped| &*dropped.reason).collect();
    assert_eq!((trace.failed(), reasons), (vec![ConnectError::Refused], vec!["NO_SOCKET"]));
}

#[tokio::test]
async fn an_ipv6_segment_is_told_by_its_own_addresses_too() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| drop(TcpStream::connect("[::1]:9").expect_err("nobody listens")));
    trace.until_over(0, 1).await;
    let told: Vec<String> = trace.dropped.iter().map(|dropped| dropped.destination.to_string()).collect();
    assert_since((5, 18), !told.is_empty(), "tcp_v6_rcv gives a reason");
    assert!(told.iter().all(|destination| destination == "[::1]:9"), "{told:?}");
}

/// Who was to receive a segment is told by kernels that know it: before 6.11 only the segment's addresses are.
#[tokio::test]
async fn a_drop_on_ingress_knows_its_receiver() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        let server = listener.accept().expect("a connection").0;
        refuse_everything(&server);
        (&client).write_all(b"hello").expect("a write");
        // Closed at once: the other end's socket hears of nothing any more.
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("an option");
    });
    trace.until_over(1, 0).await;
    let server = trace.accepted()[0].socket;
    let mut filtered = trace.dropped.iter().filter(|dropped| &*dropped.reason == "SOCKET_FILTER").peekable();
    assert!(filtered.peek().is_some(), "{:?}", trace.dropped);
    for Dropped { source, destination, cookie, netns, .. } in filtered {
        assert_eq!((*source, *destination, *netns), (server.remote, server.local, namespace.id));
        assert_since((6, 11), *cookie == Some(server.cookie), "kfree_skb names the receiver");
    }
}

/// A socket filter that lets nothing through (`SO_ATTACH_FILTER`, one instruction: return 0).
fn refuse_everything(socket: &TcpStream) {
    let mut instruction = libc::sock_filter { code: 6, jt: 0, jf: 0, k: 0 };
    let filter = libc::sock_fprog { len: 1, filter: &raw mut instruction };
    let size = libc::socklen_t::try_from(size_of_val(&filter)).expect("a size");
    // SAFETY: both structures live during the call and their sizes are right.
    let status = unsafe {
        let (level, option) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const filter).cast(), size)
    };
    assert_eq!(status, 0, "setsockopt: {}", std::io::Error::last_os_error());
}

/// Traps 2 and 5: neither end's last segments are drops.
#[tokio::test]
async fn trap_05_a_healthy_close_drops_nothing() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        for first in [true, false] {
            let mut client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
            let mut server = listener.accept().expect("a connection").0;
            client.write_all(b"hello").expect("a write");
            server.read_exact(&mut [0; 5]).expect("a read");
            let (one, other) = if first { (&mut client, &mut server) } else { (&mut server, &mut client) };
            one.shutdown(Shutdown::Write).expect("a FIN");
            other.read_to_end(&mut Vec::new()).expect("an end");
            other.shutdown(Shutdown::Write).expect("a FIN");
            one.read_to_end(&mut Vec::new()).expect("an end");
        }
    });
    trace.until_over(4, 0).await;
    assert_eq!(trace.dropped, []);
}

/// Trap 8: the kernel says nothing of such a SYN; the listener's queue does.
#[tokio::test]
async fn trap_08_a_syn_that_a_full_accept_queue_turns_away_is_told() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    let port = namespace.run(|| {
        let listener = tcp4();
        listener.bind(&address("127.0.0.1:0").into()).expect("a port");
        listener.listen(1).expect("a queue of one");
        let to = listener.local_addr().expect("an address").as_socket().expect("an IP address");
        // The queue takes one more than its length.
        let waiting = [TcpStream::connect(to).expect("the first"), TcpStream::connect(to).expect("the second")];
        give_up(to);
        drop((listener, waiting));
        to.port()
    });
    trace
        .until("a SYN that was turned away", |events| {
            events.iter().any(|event| matches!(event.change, tracer_engine::socket::SocketChange::ConnectFailed { .. }))
        })
        .await;
    let overflows: Vec<&Dropped> =
        trace.dropped.iter().filter(|dropped| &*dropped.reason == "TCP_LISTEN_OVERFLOW").collect();
    let [overflow] = overflows[..] else { panic!("not one: {:?}", trace.dropped) };
    assert_eq!((overflow.destination.port, overflow.cookie), (port, None));
    assert_eq!(overflow.segment, Segment::Syn { client_isn: trace.isn_of_failed().expect("an ISN") });
    let told = counts(&mut trace);
    assert!(counted(&told, "TCP_LISTEN_OVERFLOW") >= 1, "{told:?}");
}

/// Counted exactly, however many; told one by one up to a rate.
#[tokio::test]
async fn a_flood_of_drops_is_counted_exactly_and_told_in_part() {
    const SYNS: usize = 3000;
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    let by_netfilter: u64 = namespace.run(|| {
        allow_files(20_000);
        // An address of its own: the counts know no namespace, and other tests drop too.
        let to = address("127.66.0.1:9");
        sh("iptables -A INPUT -p tcp -d 127.66.0.1 -j DROP");
        let clients: Vec<Socket> = (0..SYNS).map(|_| begin(to)).collect();
        drop(clients);
        let said = std::process::Command::new("iptables").args(["-nvxL", "INPUT"]).output().expect("iptables");
        let said = String::from_utf8(said.stdout).expect("text");
        let rule = said.lines().find(|line| line.contains("DROP")).expect("the rule");
        rule.split_whitespace().next().expect("a counter").parse().expect("a number")
    });
    trace.until_over(0, SYNS).await;
    let told = counts(&mut trace);
    let dialled = IpAddr::V4(Ipv4Addr::new(127, 66, 0, 1));
    let ours = told.iter().filter(|count| count.between.is_some_and(|(_, to)| to == dialled));
    assert_eq!(counted(ours, "NETFILTER_DROP"), by_netfilter, "{told:?}");
    assert!(by_netfilter >= SYNS as u64);
    let kernel = trace.kernel.counts().expect("counts");
    let one_by_one = trace.dropped.len() as u64;
    assert!((100..by_netfilter).contains(&one_by_one), "{one_by_one} of {by_netfilter}");
    assert!(kernel.untold >= by_netfilter - one_by_one, "{kernel:?}");
    assert_eq!(kernel.lost(), 0, "what is not told one by one is not lost: {kernel:?}");
}

/// A connect that is not waited for.
fn begin(to: SocketAddr) -> Socket {
    let client = tcp4();
    client.set_nonblocking(true).expect("an option");
    let pending = client.connect(&to.into()).expect_err("no answer yet");
    assert_eq!(pending.raw_os_error(), Some(libc::EINPROGRESS));
    client
}

/// A keep-alive probe that is answered is no drop, though it repeats a byte that was received before.
#[tokio::test]
async fn a_healthy_connection_that_idles_drops_nothing() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let client = tcp4();
        let often = TcpKeepalive::new().with_time(Duration::from_secs(1)).with_interval(Duration::from_secs(1));
        client.set_tcp_keepalive(&often).expect("an option");
        client.connect(&listener.local_addr().expect("an address").into()).expect("a connection");
        let mut server = listener.accept().expect("a connection").0;
        // Blocks for as long as two probes take.
        server.set_read_timeout(Some(Duration::from_millis(2500))).expect("an option");
        let waited = server.read(&mut [0; 1]).expect_err("nothing is sent");
        assert_eq!(waited.kind(), ErrorKind::WouldBlock);
    });
    trace.until_over(2, 0).await;
    assert_eq!(trace.dropped, []);
}
