//! Sockets that were open before the probes were (trap 19).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use tracer_daemon::source::kernel::{EventKind, KernelConfig};
use tracer_engine::socket::SocketChange;

use crate::harness::{Namespace, Trace, allow_files};

fn found(trace: &Trace) -> Vec<(u16, u16)> {
    let all = trace.all(|change| matches!(change, SocketChange::Found));
    all.iter().map(|event| (event.socket.local.port, event.socket.remote.port)).collect()
}

#[tokio::test]
async fn trap_19_open_sockets_of_every_namespace_are_found_once() {
    let namespace = Namespace::new();
    let (port, held) = namespace.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let to = listener.local_addr().expect("an address");
        let client = TcpStream::connect(to).expect("a connection");
        let server = listener.accept().expect("a connection").0;
        // A second descriptor of the same socket is no second socket.
        let twice = client.try_clone().expect("a descriptor");
        (to.port(), (listener, client, server, twice))
    });
    let mut trace = Trace::of(&namespace);
    let mut open = Vec::new();
    trace.kernel.open_sockets(&mut open).expect("the open files");
    trace.take(open);
    let ephemeral = held.1.local_addr().expect("an address").port();
    let mut told = found(&trace);
    told.sort_unstable();
    let mut expected = vec![(port, ephemeral), (ephemeral, port)];
    expected.sort_unstable();
    assert_eq!(told, expected, "neither the listener nor anything twice:{}", trace.list());

    // They are followed from here on: a payload is none of the first, and the close is told.
    let (_, mut client, mut server, twice) = held;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a write");
    server.read_exact(&mut [0; 4]).expect("a read");
    drop((client, twice, server));
    trace.until_over(2, 0).await;
    assert!(trace.all(|change| matches!(change, SocketChange::FirstBytes { .. })).is_empty());
    trace.detach();
    let counts = trace.kernel.counts().expect("counts").of(EventKind::Open);
    assert_eq!(counts.emitted, counts.decoded + counts.malformed + counts.lost, "{counts:?}");
    assert!(counts.decoded >= 2, "{counts:?}");
}

#[tokio::test]
async fn many_open_sockets_come_in_pages_and_none_is_missed() {
    const PAIRS: usize = 2000;
    let namespace = Namespace::new();
    let held = namespace.run(|| {
        // Every pair takes two descriptors of this process.
        allow_files(20_000);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let to = listener.local_addr().expect("an address");
        let pair = |_| (TcpStream::connect(to).expect("a connection"), listener.accept().expect("a connection").0);
        (0..PAIRS).map(pair).collect::<Vec<_>>()
    });
    let mut trace = Trace::with(&namespace, &KernelConfig::default());
    let mut open = Vec::new();
    trace.kernel.open_sockets(&mut open).expect("the open files");
    trace.take(open);
    assert_eq!(found(&trace).len(), 2 * PAIRS);
    drop(held);
}
