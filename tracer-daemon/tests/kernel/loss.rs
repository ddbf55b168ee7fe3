//! What is lost is counted: emitted = decoded + malformed + lost, for every kind.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use tracer_daemon::source::kernel::{EventKind, KernelConfig};
use tracer_engine::socket::SocketChange;

use crate::harness::{Namespace, Trace, alone, assert_conserved};

/// Connections with a payload each way, one after the other.
fn storm(connections: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let to = listener.local_addr().expect("an address");
    for _ in 0..connections {
        let mut client = TcpStream::connect(to).expect("a connection");
        let (mut server, _) = listener.accept().expect("a connection");
        client.write_all(b"hello").expect("a write");
        server.write_all(b"hello").expect("a write");
    }
}

/// Connections that are open together, to an address that `harness::alone` sees.
fn at_once(net: u8, connections: usize) -> Vec<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(format!("127.8.{net}.1:0")).expect("a listener");
    let to = listener.local_addr().expect("an address");
    let pair = |_| (TcpStream::connect(to).expect("a connection"), listener.accept().expect("a connection").0);
    (0..connections).map(pair).collect()
}

#[tokio::test]
async fn a_flood_of_a_small_ring_is_counted_exactly() {
    let namespace = Namespace::new();
    let config = KernelConfig { ring_bytes: 4096, ..KernelConfig::default() };
    let mut trace = Trace::with(&namespace, &config);
    namespace.run(|| storm(500));
    trace.detach();
    let counts = trace.kernel.counts().expect("counts");
    assert_conserved(&counts);
    assert!(counts.of(EventKind::Connect).emitted >= 500, "{counts:?}");
    assert!(counts.of(EventKind::Accept).lost > 400, "{counts:?}");
    assert!(counts.lost() > 2000, "{counts:?}");
}

#[tokio::test]
async fn nothing_is_lost_where_the_ring_has_room() {
    const CONNECTIONS: usize = 3000;
    let namespace = Namespace::new();
    // Room for all of it, because nobody promises a test that it gets to read in time.
    let config = KernelConfig { ring_bytes: 16 << 20, ..KernelConfig::default() };
    let mut trace = Trace::with(&namespace, &config);
    namespace.run(|| storm(CONNECTIONS));
    trace.until_over(2 * CONNECTIONS, 0).await;
    trace.detach();
    let counts = trace.kernel.counts().expect("counts");
    assert_conserved(&counts);
    assert_eq!(counts.lost(), 0, "{counts:?}");
    assert_eq!((trace.connected().len(), trace.accepted().len()), (CONNECTIONS, CONNECTIONS));
    let payloads = trace.all(|change| matches!(change, SocketChange::FirstBytes { .. })).len();
    assert_eq!(payloads, 4 * CONNECTIONS);
}

#[tokio::test]
async fn a_full_map_is_counted_and_costs_no_outcome() {
    const NET: u8 = 16;
    let (namespace, mut trace) = alone(NET, 1);
    namespace.run(|| drop(at_once(NET, 20)));
    trace.until_over(40, 0).await;
    assert_eq!((trace.connected().len(), trace.accepted().len()), (20, 20), "{}", trace.list());
    let counts = trace.kernel.counts().expect("counts");
    // One has a place of its own, and one a place among the crowded out.
    assert_eq!(counts.untracked, 38, "{counts:?}");
    assert_eq!(counts.lost(), counts.untracked, "{counts:?}");
}

#[tokio::test]
async fn sockets_that_share_a_place_are_followed_all_the_same() {
    const PAIRS: usize = 500;
    const NET: u8 = 10;
    let (namespace, mut trace) = alone(NET, 1024);
    // A socket is opened for each one that is held, so that those are too far apart for a place each.
    let held = namespace.run(|| (0..PAIRS).map(|_| (at_once(NET, 1), drop(at_once(NET, 3)))).collect::<Vec<_>>());
    namespace.run(move || {
        for (pair, ()) in held {
            for (mut client, mut server) in pair {
                client.write_all(b"hello").expect("a write");
                server.write_all(b"hello").expect("a write");
            }
        }
    });
    trace.until_over(2 * 4 * PAIRS, 0).await;
    trace.detach();
    let counts = trace.kernel.counts().expect("counts");
    assert_eq!(counts.untracked, 0, "{counts:?}");
    // None is told by halves.
    let payloads = trace.all(|change| matches!(change, SocketChange::FirstBytes { .. })).len();
    assert_eq!(payloads, 4 * PAIRS);
    let opened = |change: &SocketChange| matches!(change, SocketChange::Closed(close) if close.opened.is_some());
    assert_eq!(trace.all(opened).len(), 2 * 4 * PAIRS);
}

#[tokio::test]
async fn a_reader_that_comes_late_finds_everything() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    // Two bursts: the second falls into the time in which the probes wake nobody.
    namespace.run(|| storm(1));
    trace.until_over(2, 0).await;
    namespace.run(|| storm(1));
    trace.until_over(4, 0).await;
    assert_eq!(trace.connected().len(), 2);
}

/// The probes wake the reader for the first event after a while, and for a while not again. If the reader has that event already
/// when it would be woken, nobody wakes it.
#[tokio::test]
async fn an_event_that_was_taken_before_its_wake_up_hides_none_that_follows_it() {
    const NET: u8 = 22;
    for _ in 0..5 {
        let (namespace, mut trace) = alone(NET, 1024);
        // The first ever wakes.
        let held = namespace.run(|| at_once(NET, 1));
        let mut taken = Vec::new();
        trace.kernel.drain(&mut taken);
        trace.take(taken);
        assert_eq!(trace.events.len(), 2, "{}", trace.list());
        // The reader waits, the runtime finds the ring empty and forgets that it was woken, and only then something happens.
        let closing = async {
            for _ in 0..500 {
                tokio::task::yield_now().await;
            }
            drop(held);
        };
        tokio::join!(trace.until_over(2, 0), closing);
    }
}

#[tokio::test]
async fn a_namespace_that_vanishes_takes_nothing_along_that_was_not_told() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    let held = namespace.run(|| at_once(21, 10));
    // Its last process is gone, its sockets are open still: they are all that keeps it.
    drop(namespace);
    drop(held);
    trace.until_over(20, 0).await;
    trace.detach();
    let counts = trace.kernel.counts().expect("counts");
    assert_conserved(&counts);
    assert_eq!(counts.lost(), 0, "{counts:?}");
    assert_eq!((trace.connected().len(), trace.accepted().len()), (10, 10), "{}", trace.list());
}

/// As on kernels whose JIT has no compare-and-swap.
#[tokio::test]
async fn without_the_array_a_hash_map_holds_every_socket() {
    const PAIRS: usize = 50;
    let namespace = Namespace::new();
    let mut trace = Trace::with(&namespace, &KernelConfig { array: false, ..KernelConfig::default() });
    namespace.run(|| storm(PAIRS));
    trace.until_over(2 * PAIRS, 0).await;
    trace.detach();
    let counts = trace.kernel.counts().expect("counts");
    assert_eq!((counts.untracked, counts.lost()), (0, 0), "{counts:?}");
    let payloads = trace.all(|change| matches!(change, SocketChange::FirstBytes { .. })).len();
    assert_eq!((trace.connected().len(), trace.accepted().len(), payloads), (PAIRS, PAIRS, 4 * PAIRS));
    let opened = |change: &SocketChange| matches!(change, SocketChange::Closed(close) if close.opened.is_some());
    assert_eq!(trace.all(opened).len(), 2 * PAIRS);
}
