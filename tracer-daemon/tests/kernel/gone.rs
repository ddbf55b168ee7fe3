//! Sockets whose close the kernel did not tell (trap 20).

use std::net::{TcpListener, TcpStream};

use tracer_daemon::source::kernel::EventKind;
use tracer_engine::socket::SocketChange;

use crate::harness::{Namespace, Trace, alone, assert_conserved};
use crate::live::Live;

/// With 2 to the power of `net` places.
fn traced(net: u8) -> (Namespace, Trace, Live) {
    let (namespace, trace) = alone(net, 1 << net);
    (namespace, trace, Live::of(1 << net))
}

fn sweep(trace: &mut Trace) -> Vec<u64> {
    let mut gone = Vec::new();
    trace.kernel.gone_sockets(&mut gone).expect("a sweep");
    let before = trace.events.len();
    trace.take(gone);
    let told = &trace.events[before..];
    assert!(told.iter().all(|event| event.change == SocketChange::Gone), "{}", trace.list());
    told.iter().map(|event| event.socket.cookie.0).collect()
}

fn pair(namespace: &Namespace, net: u8) -> (TcpStream, TcpStream) {
    namespace.run(move || {
        let listener = TcpListener::bind(format!("127.8.{net}.1:0")).expect("a listener");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        (client, listener.accept().expect("a connection").0)
    })
}

#[tokio::test]
async fn trap_20_a_socket_whose_close_was_not_told_is_missed_and_one_that_lives_is_not() {
    const NET: u8 = 13;
    let (namespace, mut trace, mut live) = traced(NET);
    let held = pair(&namespace, NET);
    let closed = pair(&namespace, NET);
    trace.until("both connections", |events| events.len() == 4).await;
    let port = closed.0.local_addr().expect("an address").port();
    let cookie = |event: &&tracer_engine::socket::SocketEvent| event.socket.local.port == port;
    let cookie = trace.connected().into_iter().find(cookie).expect("the client").socket.cookie.0;
    assert!(live.look_up(cookie), "it is followed");

    drop(closed);
    trace.until_over(2, 0).await;
    let mut left = Live::of(1 << NET);
    assert!(!left.look_up(cookie), "its close was told");
    // What the map looks like where it was not.
    live.put_back(cookie);
    assert_eq!(sweep(&mut trace), [0; 0], "once is not enough: it may be dialling");
    assert_eq!(sweep(&mut trace), [cookie]);
    assert!(!left.look_up(cookie), "its place is free");
    assert_eq!(sweep(&mut trace), [0; 0], "nothing is told twice");

    // The ones that were idle all the time are followed still.
    drop(held);
    trace.until_over(4, 0).await;
    trace.detach();
    let counts = trace.kernel.counts().expect("counts");
    assert_conserved(&counts);
    assert!(counts.of(EventKind::Close).decoded >= 5, "{counts:?}");
}

#[tokio::test]
async fn trap_20_another_socket_in_the_same_place_is_another_socket() {
    let (namespace, mut trace, mut live) = traced(14);
    let held = pair(&namespace, 14);
    trace.until("a connection", |events| events.len() == 2).await;
    let cookie = trace.connected()[0].socket.cookie.0;
    assert!(live.look_up(cookie), "it is followed");
    // As if it had been made of the memory of one that went without a word.
    let before = 1 << 60;
    live.put_back(before);
    assert_eq!((sweep(&mut trace), sweep(&mut trace)), (vec![], vec![before]));
    drop(held);
    trace.until_over(2, 0).await;
}

/// Of two children that one handshake made the kernel keeps one, and lets the other go without a word to anybody.
#[tokio::test]
async fn a_child_that_never_opened_goes_as_silently_as_it_came() {
    const NET: u8 = 17;
    let (namespace, mut trace, mut live) = traced(NET);
    let held = pair(&namespace, NET);
    trace.until("a connection", |events| events.len() == 2).await;
    assert!(live.look_up(trace.accepted()[0].socket.cookie.0), "it is followed");
    let other = 1 << 60;
    live.not_open();
    live.put_back(other);
    assert_eq!((sweep(&mut trace), sweep(&mut trace)), (vec![], vec![]));
    assert!(!live.look_up(other), "its place is free");
    drop(held);
    trace.until_over(2, 0).await;
}

/// Both children of one handshake have its cookie.
#[tokio::test]
async fn the_close_of_another_socket_with_the_same_cookie_ends_nothing() {
    const NET: u8 = 3;
    let (namespace, mut trace, mut live) = traced(NET);
    let (client, server) = pair(&namespace, NET);
    trace.until("a connection", |events| events.len() == 2).await;
    let cookie = trace.connected()[0].socket.cookie.0;
    assert!(live.look_up(cookie), "it is followed");
    live.elsewhere();
    live.put_back(cookie);
    drop((client, server));
    // The server's end alone.
    trace.until_over(1, 0).await;
    assert!(live.look_up(cookie), "it is followed still");
    assert_eq!((sweep(&mut trace), sweep(&mut trace)), (vec![], vec![cookie]));
}
