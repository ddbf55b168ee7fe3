//! More sockets than a machine usually has. A program of its own: the probes of every kernel test see the whole machine, and
//! their maps would overflow with it.

#[expect(dead_code, reason = "this is the kernel tests' harness, and one test needs little of it")]
#[path = "kernel/harness.rs"]
mod harness;

use std::collections::HashSet;
use std::net::{TcpListener, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use harness::{Namespace, Trace, allow_files, assert_conserved};
use tracer_daemon::source::kernel::KernelConfig;
use tracer_engine::socket::SocketChange;

#[tokio::test]
#[ignore = "full: 5 s, and 100,000 sockets of this machine"]
async fn more_sockets_at_once_than_the_map_holds_cost_no_outcome() {
    const THREADS: usize = 8;
    const EACH: usize = 6_250;
    const PAIRS: usize = THREADS * EACH;
    // Of some ends that dialled nobody is told that they closed (trap 20): neither of FIN_WAIT2 nor of CLOSE nor of the
    // socket's destruction. perf counts as many as the probes do.
    const UNTOLD: usize = 4;
    const MAX_SOCKETS: u32 = 32_768;
    const LATE: Duration = Duration::from_secs(1);
    let namespace = Namespace::new();
    // As many again may be followed as are promised: those that found their place taken.
    const ROOM: usize = 2 * MAX_SOCKETS as usize;
    let config = KernelConfig { ring_bytes: 64 << 20, max_sockets: MAX_SOCKETS, ..KernelConfig::default() };
    let mut trace = Trace::with(&namespace, &config);
    namespace.run(|| {
        allow_files(20_000);
        let all_open = Barrier::new(THREADS);
        let hold = || {
            // Descriptors are limited by table: each thread has one of its own.
            // SAFETY: it concerns only this thread.
            let status = unsafe { libc::unshare(libc::CLONE_FILES) };
            assert_eq!(status, 0, "unshare: {}", std::io::Error::last_os_error());
            let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
            let to = listener.local_addr().expect("an address");
            let pair = |_| (TcpStream::connect(to).expect("a connection"), listener.accept().expect("a connection"));
            let pairs: Vec<_> = (0..EACH).map(pair).collect();
            all_open.wait();
            drop(pairs);
        };
        thread::scope(|threads| (0..THREADS).for_each(|_| drop(threads.spawn(hold))));
    });
    trace.until_over(2 * PAIRS - UNTOLD, 0).await;
    // As a rule they are all there. Where some are not, the last lines tell whose they are.
    let _ = tokio::time::timeout(LATE, trace.until_over(2 * PAIRS, 0)).await;
    let mut gone = Vec::new();
    for _ in 0..2 {
        trace.kernel.gone_sockets(&mut gone).expect("a sweep");
    }
    trace.take(gone);
    trace.detach();
    assert_eq!((trace.connected().len(), trace.accepted().len()), (PAIRS, PAIRS));
    let counts = trace.kernel.counts().expect("counts");
    assert_conserved(&counts);
    assert_eq!(counts.missed, 0, "what is not told was not skipped");
    let closed = trace.all(|change| matches!(change, SocketChange::Closed(_)));
    let closed: HashSet<_> = closed.into_iter().map(|event| event.socket.cookie).collect();
    let gone = trace.all(|change| *change == SocketChange::Gone);
    assert!(
        gone.iter().all(|event| !closed.contains(&event.socket.cookie)),
        "only what was not told is missed: {gone:?}"
    );
    let kept: Vec<_> = trace.accepted().into_iter().filter(|event| !closed.contains(&event.socket.cookie)).collect();
    assert!(kept.is_empty(), "only ends that dialled go untold: {kept:?}");
    assert_eq!(counts.lost(), counts.untracked, "{counts:?}");
    assert!(counts.untracked >= (2 * PAIRS - ROOM) as u64, "{counts:?}");
}
