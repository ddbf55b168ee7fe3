//! The first payload of each direction.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use tracer_daemon::source::kernel::{HookState, KernelConfig};
use tracer_engine::socket::{Direction, Payload, SocketChange};

use crate::harness::{Namespace, Trace, set, sh};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: web.shop\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nserver: envoy\r\ncontent-length: 0\r\n\r\n";

/// The client says `request`, the server `response`, each in one write and twice.
fn exchange(request: &[u8], response: &[u8], prepare: impl FnOnce(&TcpListener)) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    prepare(&listener);
    let mut client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    client.write_all(request).expect("a write");
    let (mut server, _) = listener.accept().expect("a connection");
    server.read_exact(&mut vec![0; request.len()]).expect("the request");
    server.write_all(response).expect("a write");
    client.read_exact(&mut vec![0; response.len()]).expect("the response");
    client.write_all(request).expect("a write");
    server.read_exact(&mut vec![0; request.len()]).expect("the request");
    drop(client);
    server.read_to_end(&mut Vec::new()).expect("the end");
}

fn is_request(payload: &Payload) -> bool {
    matches!(payload, Payload::Http1 { host: Some(host) } if &**host == "web.shop")
}

/// A ClientHello of `length` bytes: a big key share, then the name.
fn client_hello(length: usize) -> Vec<u8> {
    let name = b"\x00\x00\x00\x0d\x00\x0b\x00\x00\x08web.shop";
    let share = length - 9 - 2 - 32 - 1 - 4 - 2 - 2 - 4 - name.len();
    let mut extensions = vec![0, 51];
    extensions.extend(u16::try_from(share).expect("a length").to_be_bytes());
    extensions.extend(vec![9; share]);
    extensions.extend(name);
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend(u16::try_from(extensions.len()).expect("a length").to_be_bytes());
    body.extend(extensions);
    let mut record = vec![22, 3, 1];
    record.extend(u16::try_from(body.len() + 4).expect("a length").to_be_bytes());
    record.extend([1, 0]);
    record.extend(u16::try_from(body.len()).expect("a length").to_be_bytes());
    record.extend(body);
    assert_eq!(record.len(), length);
    record
}

#[tokio::test]
async fn both_ends_see_both_directions_once() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| exchange(REQUEST, RESPONSE, |_| {}));
    trace.until_over(2, 0).await;

    let (client, server) = trace.ends();
    let (client, server) = (client.socket.cookie, server.socket.cookie);
    for (cookie, direction) in [(client, Direction::Sent), (server, Direction::Received)] {
        let payloads = trace.payloads(cookie, direction);
        assert!(matches!(payloads.as_slice(), [one] if is_request(one)), "{}", trace.list());
    }
    for (cookie, direction) in [(client, Direction::Received), (server, Direction::Sent)] {
        let payloads = trace.payloads(cookie, direction);
        let [Payload::HttpResponse(response)] = payloads.as_slice() else { panic!("{}", trace.list()) };
        assert_eq!((response.status, response.envoy), (503, true));
    }
}

#[tokio::test]
async fn the_accept_comes_before_its_first_bytes_and_the_close_after() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| exchange(REQUEST, RESPONSE, |_| {}));
    trace.until_over(2, 0).await;
    let server = trace.accepted()[0].socket.cookie;
    let order: Vec<u8> = trace
        .events
        .iter()
        .filter(|event| event.socket.cookie == server)
        .map(|event| match event.change {
            SocketChange::Accepted { .. } => 0,
            SocketChange::FirstBytes { .. } => 1,
            _ => 2,
        })
        .collect();
    assert_eq!(order, [0, 1, 1, 2]);
}

#[tokio::test]
async fn a_lost_first_segment_is_read_once_and_first() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        // Loses the request once: the receiver sees what follows it first, the sender sends it twice.
        sh("iptables -A INPUT -p tcp -m string --algo bm --string 'GET /' \
            -m limit --limit 1/hour --limit-burst 1 -j DROP");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        client.set_nodelay(true).expect("an option");
        let (mut server, _) = listener.accept().expect("a connection");
        client.write_all(REQUEST).expect("a write");
        client.write_all(b"the body of it").expect("a write");
        drop(client);
        server.read_to_end(&mut Vec::new()).expect("both");
    });
    trace.until_over(2, 0).await;
    let (client, server) = trace.ends();
    let [sent, received] = [
        trace.payloads(client.socket.cookie, Direction::Sent),
        trace.payloads(server.socket.cookie, Direction::Received),
    ];
    assert!(matches!(sent.as_slice(), [one] if is_request(one)), "{}", trace.list());
    assert!(matches!(received.as_slice(), [one] if is_request(one)), "{}", trace.list());
    assert!(trace.close_of(client.socket.cookie).sent > (REQUEST.len() + 14) as u64, "nothing was sent twice");
}

#[tokio::test]
async fn trap_15_a_client_hello_of_two_kilobytes_is_read_whole() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    // An interface of usual size: the hello is two segments on the wire.
    namespace.run(|| {
        sh("ip link set lo mtu 1500");
        exchange(&client_hello(2000), RESPONSE, |_| {});
    });
    trace.until_over(2, 0).await;
    let client = trace.ends().0.socket.cookie;
    let payloads = trace.payloads(client, Direction::Sent);
    let [Payload::ClientHello(hello)] = payloads.as_slice() else { panic!("{}", trace.list()) };
    assert_eq!((hello.sni.as_deref(), hello.complete), (Some("web.shop"), true));
}

#[tokio::test]
async fn trap_15_a_client_hello_that_is_cut_off_claims_nothing() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| exchange(&client_hello(3000), RESPONSE, |_| {}));
    trace.until_over(2, 0).await;
    let client = trace.ends().0.socket.cookie;
    let payloads = trace.payloads(client, Direction::Sent);
    let [Payload::ClientHello(hello)] = payloads.as_slice() else { panic!("{}", trace.list()) };
    assert_eq!((hello.sni.as_deref(), hello.complete), (None, false));
}

#[tokio::test]
async fn trap_18_payload_for_a_deferred_accept_belongs_to_the_child() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        exchange(REQUEST, RESPONSE, |listener| {
            set(listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 5);
        });
    });
    trace.until_over(2, 0).await;
    let server = trace.ends().1.socket.cookie;
    let payloads = trace.payloads(server, Direction::Received);
    assert!(matches!(payloads.as_slice(), [one] if is_request(one)), "{}", trace.list());
}

#[tokio::test]
async fn trap_18_payload_on_the_third_ack_belongs_to_the_child() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    namespace.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let client = crate::harness::tcp4();
        // On a client it holds the third ACK back until there is data to ride on it.
        set(&client, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 5);
        client.connect(&listener.local_addr().expect("an address").into()).expect("a connection");
        (&client).write_all(REQUEST).expect("a write");
        let (mut server, _) = listener.accept().expect("a connection");
        server.read_exact(&mut vec![0; REQUEST.len()]).expect("the request");
    });
    trace.until_over(2, 0).await;
    let server = trace.ends().1.socket.cookie;
    let payloads = trace.payloads(server, Direction::Received);
    assert!(matches!(payloads.as_slice(), [one] if is_request(one)), "{}", trace.list());
}

#[tokio::test]
async fn first_bytes_off_means_that_nothing_looks() {
    let namespace = Namespace::new();
    let config = KernelConfig { first_bytes: false, ..KernelConfig::default() };
    let mut trace = Trace::with(&namespace, &config);
    namespace.run(|| exchange(REQUEST, RESPONSE, |_| {}));
    trace.until_over(2, 0).await;
    assert!(trace.all(|change| matches!(change, SocketChange::FirstBytes { .. })).is_empty(), "{}", trace.list());
    let off: Vec<&str> =
        trace.kernel.hooks().iter().filter(|hook| hook.state == HookState::Off).map(|hook| hook.name).collect();
    assert_eq!(off, ["cgroup_skb/egress", "cgroup_skb/ingress"]);
}
