//! Whose traffic the probes tell of.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, TcpStream};

use ipnet::IpNet;
use tracer_daemon::source::kernel::{EventKind, KernelConfig};

use crate::harness::{Namespace, Trace, sh};

/// One connection to each address, and a payload, so that every probe has something to tell.
fn call(addresses: &'static [&'static str]) {
    for address in addresses {
        let listener = TcpListener::bind(SocketAddr::new(address.parse().expect("an address"), 0)).expect("a listener");
        let mut client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        std::io::Write::write_all(&mut client, b"GET / HTTP/1.1\r\n\r\n").expect("a write");
    }
}

fn dialled(trace: &Trace) -> BTreeSet<String> {
    trace.connected().iter().map(|event| event.socket.remote.ip.to_string()).collect()
}

fn range(text: &str) -> IpNet {
    text.parse().expect("a range")
}

#[tokio::test]
async fn nothing_is_told_of_what_is_out_of_scope() {
    let namespace = Namespace::new();
    let config = KernelConfig { scope: vec![range("127.77.0.0/16"), range("fd77::/64")], ..KernelConfig::default() };
    let mut trace = Trace::with(&namespace, &config);
    namespace.run(|| {
        sh("ip -6 address add fd77::1/128 dev lo nodad && ip -6 address add fd78::1/128 dev lo nodad");
        call(&["127.0.0.1", "127.77.0.1", "::1", "fd78::1", "fd77::1", "127.78.0.1"]);
    });
    trace.until_over(4, 0).await;
    trace.detach();
    assert_eq!(dialled(&trace), BTreeSet::from(["127.77.0.1".to_owned(), "fd77::1".to_owned()]));
    assert_eq!((trace.connected().len(), trace.accepted().len()), (2, 2), "{}", trace.list());
    let counts = trace.kernel.counts().expect("counts");
    assert_eq!(counts.of(EventKind::Close).emitted, 4, "{counts:?}");
    assert_eq!((counts.of(EventKind::FirstBytes).emitted, counts.untracked), (4, 0), "{counts:?}");
}

#[tokio::test]
async fn the_scope_changes_while_the_probes_run() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    let mut scope = trace.kernel.scope().expect("the scope, given away once");
    assert!(trace.kernel.scope().is_none());
    namespace.run(|| call(&["127.1.0.1"]));
    scope.add(range("127.2.0.0/16")).expect("room");
    namespace.run(|| call(&["127.3.0.1", "127.2.0.1"]));
    scope.add(range("127.4.0.1/32")).expect("room");
    scope.remove(range("127.2.0.0/16")).expect("a range that was there");
    namespace.run(|| call(&["127.2.0.1", "127.4.0.1"]));
    scope.remove(range("127.4.0.1/32")).expect("a range that was there");
    // With nothing in it, everything is traced again.
    namespace.run(|| call(&["127.5.0.1"]));
    trace.until_over(8, 0).await;
    let each: Vec<String> = trace.connected().iter().map(|event| event.socket.remote.ip.to_string()).collect();
    assert_eq!(each, ["127.1.0.1", "127.2.0.1", "127.4.0.1", "127.5.0.1"]);
}

#[tokio::test]
async fn drops_out_of_scope_are_neither_told_nor_counted() {
    let namespace = Namespace::new();
    let config = KernelConfig { scope: vec![range("127.79.0.1/32")], ..KernelConfig::default() };
    let mut trace = Trace::with(&namespace, &config);
    namespace.run(|| {
        for address in ["127.80.0.1:9", "127.79.0.1:9"] {
            TcpStream::connect(address).expect_err("nobody listens");
        }
    });
    trace.until_over(0, 1).await;
    let told: Vec<String> = trace.dropped.iter().map(|dropped| dropped.destination.to_string()).collect();
    assert_eq!(told, ["127.79.0.1:9"]);
    let counts = trace.kernel.drop_counts(tracer_engine::net::Ktime(1)).expect("counts");
    let (_, to) = counts.iter().find_map(|count| count.between).expect("a pair of addresses");
    assert_eq!((counts.len(), to.to_string()), (1, "127.79.0.1".to_owned()), "{counts:?}");
}
