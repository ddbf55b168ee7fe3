//! Sockets whose close the kernel did not tell (trap 20).

use std::fs;
use std::net::{TcpListener, TcpStream};

use tracer_daemon::source::kernel::{EventKind, KernelConfig};
use tracer_engine::socket::SocketChange;

use crate::harness::{Namespace, Trace, assert_conserved};

/// The probes' map of live sockets: what a socket whose close was not told leaves there can be put there again.
struct Live {
    fd: i32,
    value: Vec<u8>,
}

/// `union bpf_attr` for the commands on a map's elements.
#[repr(C)]
struct Element {
    map: i32,
    padding: u32,
    key: *const u64,
    value: *mut u8,
    flags: u64,
}

impl Live {
    const LOOKUP: i32 = 1;
    const UPDATE: i32 = 2;

    /// The only map of this process that has so many entries.
    fn of(entries: u32) -> Self {
        let found = fs::read_dir("/proc/self/fdinfo").expect("descriptors").find_map(|file| {
            let file = file.ok()?;
            let info = fs::read_to_string(file.path()).ok()?;
            let number = |key: &str| info.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<usize>().ok());
            (number("max_entries:")? == entries as usize && number("key_size:")? == 8).then_some(())?;
            Some(Self { fd: file.file_name().to_str()?.parse().ok()?, value: vec![0; number("value_size:")?] })
        });
        found.expect("the map of live sockets")
    }

    fn element(&mut self, command: i32, cookie: u64) -> bool {
        let value = self.value.as_mut_ptr();
        let element = Element { map: self.fd, padding: 0, key: &raw const cookie, value, flags: 0 };
        // SAFETY: key and value live during the call, and are of the map's own sizes.
        let status = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const element, size_of::<Element>()) };
        status == 0
    }

    /// Remembers what is known of a socket.
    fn look_up(&mut self, cookie: u64) -> bool {
        self.element(Self::LOOKUP, cookie)
    }

    /// Puts what is remembered back under this cookie.
    fn put_back(&mut self, cookie: u64) {
        assert!(self.element(Self::UPDATE, cookie), "{}", std::io::Error::last_os_error());
    }
}

/// Tests of this process run side by side: each has a map of its own size.
fn traced(entries: u32) -> (Namespace, Trace, Live) {
    let namespace = Namespace::new();
    let trace = Trace::with(&namespace, &KernelConfig { max_sockets: entries, ..KernelConfig::default() });
    (namespace, trace, Live::of(entries))
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

fn pair(namespace: &Namespace) -> (TcpStream, TcpStream) {
    namespace.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        (client, listener.accept().expect("a connection").0)
    })
}

#[tokio::test]
async fn trap_20_a_socket_whose_close_was_not_told_is_missed_and_one_that_lives_is_not() {
    const ENTRIES: u32 = 12_347;
    let (namespace, mut trace, mut live) = traced(ENTRIES);
    let held = pair(&namespace);
    let closed = pair(&namespace);
    trace.until("both connections", |events| events.len() == 4).await;
    let port = closed.0.local_addr().expect("an address").port();
    let cookie = |event: &&tracer_engine::socket::SocketEvent| event.socket.local.port == port;
    let cookie = trace.connected().into_iter().find(cookie).expect("the client").socket.cookie.0;
    assert!(live.look_up(cookie), "it is followed");

    drop(closed);
    trace.until_over(2, 0).await;
    let mut left = Live::of(ENTRIES);
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
    let (namespace, mut trace, mut live) = traced(12_349);
    let held = pair(&namespace);
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
