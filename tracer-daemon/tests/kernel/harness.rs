//! A network namespace, sockets in it, and the events that they cause.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::linux::fs::MetadataExt;
use std::process::Command;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tracer_daemon::source::kernel::{EventCounts, EventKind, HookState, Kernel, KernelConfig, KindCount};
use tracer_engine::net::{Cookie, NetNs};
use tracer_engine::socket::{
    CgroupOwner, Close, ConnectError, Direction, Dropped, Handshake, KernelEvent, Payload, SocketChange, SocketEvent,
};

/// Long past anything that a kernel takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A network namespace with its loopback up, for as long as this lives: it is the namespace of one thread, which runs
/// what it is given.
pub(crate) struct Namespace {
    pub(crate) id: NetNs,
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce() + Send>;

/// The probes and what they told of one namespace.
pub(crate) struct Trace {
    pub(crate) kernel: Kernel,
    netns: NetNs,
    pub(crate) events: Vec<SocketEvent>,
    pub(crate) dropped: Vec<Dropped>,
    /// Of the whole machine, as they were told before the first of these events that they matter to.
    pub(crate) owners: Vec<CgroupOwner>,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let (jobs, received) = sync_channel::<Job>(0);
        let (tell, told) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            // SAFETY: it moves only this thread.
            let status = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            assert_eq!(status, 0, "unshare: {}: these tests need root", std::io::Error::last_os_error());
            sh("ip link set lo up");
            let netns = fs::metadata("/proc/thread-self/ns/net").expect("a namespace").st_ino();
            tell.send(NetNs(u32::try_from(netns).expect("a namespace's number"))).expect("a test");
            for job in received {
                job();
            }
        });
        let id = told.recv().expect("a network namespace: these tests need root");
        Self { id, jobs: Some(jobs), thread: Some(thread) }
    }

    /// Runs `job` in the namespace and waits for what it returns.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = sync_channel(1);
        let jobs = self.jobs.as_ref().expect("a namespace that lives");
        jobs.send(Box::new(move || drop(tell.send(job())))).expect("the namespace's thread");
        told.recv().expect("the job failed: see above")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // Its panic was told by the job that failed.
            let _ = thread.join();
        }
    }
}

impl Trace {
    pub(crate) fn of(namespace: &Namespace) -> Self {
        Self::with(namespace, &KernelConfig::default())
    }

    /// Every hook must attach here: what does not is a failure and no reason to skip.
    pub(crate) fn with(namespace: &Namespace, config: &KernelConfig) -> Self {
        let kernel = Kernel::load(config).unwrap_or_else(|error| panic!("{error}"));
        for hook in kernel.hooks() {
            assert!(!matches!(hook.state, HookState::Absent { .. }), "{}: {:?}", hook.name, hook.state);
        }
        Self { kernel, netns: namespace.id, events: Vec::new(), dropped: Vec::new(), owners: Vec::new() }
    }

    /// Reads until the events so far satisfy `enough`.
    pub(crate) async fn until(&mut self, what: &str, enough: impl Fn(&[SocketEvent]) -> bool) {
        let reading = async {
            while !enough(&self.events) {
                let mut batch = Vec::new();
                self.kernel.read(&mut batch).await.expect("the ring");
                self.take(batch);
            }
        };
        let waited = tokio::time::timeout(PATIENCE, reading).await;
        if waited.is_err() {
            let counts = self.kernel.counts();
            let closes = self.all(|change| matches!(change, SocketChange::Closed(_))).len();
            let all = self.events.len();
            panic!("never saw {what}, but {all} events, {closes} of them closes; {counts:?}:{}", self.list());
        }
    }

    /// Detaches the probes and takes what the ring still holds.
    pub(crate) fn detach(&mut self) {
        self.kernel.detach();
        let mut rest = Vec::new();
        self.kernel.drain(&mut rest);
        self.take(rest);
    }

    /// Keeps what happened in the namespace.
    pub(crate) fn take(&mut self, batch: Vec<KernelEvent>) {
        for event in batch {
            match event {
                KernelEvent::Socket(event) if event.socket.owner.netns == self.netns => self.events.push(event),
                KernelEvent::Dropped(dropped) if dropped.netns == self.netns => self.dropped.push(dropped),
                KernelEvent::CgroupOwner(owner) => self.owners.push(owner),
                _ => {}
            }
        }
    }

    /// Reads until `closed` sockets closed and `failed` connects failed: nothing more will come of them.
    pub(crate) async fn until_over(&mut self, closed: usize, failed: usize) {
        let what = format!("{closed} closes and {failed} failed connects");
        self.until(&what, |events| {
            let count = |wanted: fn(&SocketChange) -> bool| events.iter().filter(|e| wanted(&e.change)).count();
            count(|change| matches!(change, SocketChange::Closed(_))) >= closed
                && count(|change| matches!(change, SocketChange::ConnectFailed { .. })) >= failed
        })
        .await;
    }

    pub(crate) fn connected(&self) -> Vec<&SocketEvent> {
        self.all(|change| matches!(change, SocketChange::Connected { .. }))
    }

    pub(crate) fn accepted(&self) -> Vec<&SocketEvent> {
        self.all(|change| matches!(change, SocketChange::Accepted { .. }))
    }

    pub(crate) fn failed(&self) -> Vec<ConnectError> {
        let error = |event: &SocketEvent| match event.change {
            SocketChange::ConnectFailed { error, .. } => Some(error),
            _ => None,
        };
        self.events.iter().filter_map(error).collect()
    }

    /// The initial sequence number of the only connect that failed.
    pub(crate) fn isn_of_failed(&self) -> Option<u32> {
        let isn = |event: &SocketEvent| match event.change {
            SocketChange::ConnectFailed { client_isn, .. } => Some(client_isn),
            _ => None,
        };
        let mut all = self.events.iter().filter_map(isn);
        let only = all.next().expect("a failed connect");
        assert_eq!(all.next(), None, "more than one failed:{}", self.list());
        only
    }

    pub(crate) fn close_of(&self, cookie: Cookie) -> Close {
        let closes = self.all(|change| matches!(change, SocketChange::Closed(_)));
        let mut closes = closes.into_iter().filter(|event| event.socket.cookie == cookie);
        match (closes.next().map(|event| &event.change), closes.next()) {
            (Some(SocketChange::Closed(close)), None) => *close,
            _ => panic!("not exactly one close of {cookie:?}:{}", self.list()),
        }
    }

    /// The client's and the server's end of the only connection.
    pub(crate) fn ends(&self) -> (&SocketEvent, &SocketEvent) {
        match (self.connected().as_slice(), self.accepted().as_slice()) {
            ([client], [server]) => (client, server),
            _ => panic!("not exactly one connection:{}", self.list()),
        }
    }

    /// First payloads of a socket in one direction.
    pub(crate) fn payloads(&self, cookie: Cookie, direction: Direction) -> Vec<&Payload> {
        let payload = |event: &'_ SocketEvent| event.socket.cookie == cookie;
        let of_socket = self.events.iter().filter(|event| payload(event));
        let first = of_socket.filter_map(|event| match &event.change {
            SocketChange::FirstBytes { direction: d, payload } if *d == direction => Some(payload),
            _ => None,
        });
        first.collect()
    }

    pub(crate) fn all(&self, wanted: impl Fn(&SocketChange) -> bool) -> Vec<&SocketEvent> {
        self.events.iter().filter(|event| wanted(&event.change)).collect()
    }

    pub(crate) fn list(&self) -> String {
        let lines = self.events.iter().map(|event| {
            let SocketEvent { at: _, socket, change } = event;
            format!("\n  {} {} -> {} {change:?}", socket.cookie.0, socket.local, socket.remote)
        });
        lines.take(40).collect()
    }
}

/// What joins the two ends, where the event tells it.
pub(crate) fn handshake(event: &SocketEvent) -> Option<Handshake> {
    match event.change {
        SocketChange::Connected { handshake, .. } | SocketChange::Accepted { handshake } => handshake,
        _ => None,
    }
}

/// The running kernel's first two numbers.
pub(crate) fn kernel_version() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse().ok());
    numbers.next().zip(numbers.next()).expect("two numbers")
}

/// Asserts what a kernel brought: that it holds from that version on, and below it that it does not. A bound that is
/// proved from one side only is wrong sooner or later.
pub(crate) fn assert_since(version: (u32, u32), holds: bool, what: &str) {
    let running = kernel_version();
    assert_eq!(holds, running >= version, "{what}: since {version:?}, this is {running:?}");
}

/// Runs shell commands in this thread's namespace.
pub(crate) fn sh(script: &str) {
    let status = Command::new("sh").args(["-ec", script]).status().expect("sh");
    assert!(status.success(), "{script}: {status}");
}

/// An address that answers nothing: whatever is sent there is dropped.
pub(crate) fn black_hole() -> SocketAddr {
    sh("iptables -A INPUT -p tcp --dport 9 -j DROP");
    address("127.0.0.1:9")
}

/// Emitted = decoded + malformed + lost, for every kind.
pub(crate) fn assert_conserved(counts: &EventCounts) {
    for kind in EventKind::ALL {
        let KindCount { emitted, decoded, malformed, lost } = counts.of(kind);
        assert_eq!(emitted, decoded + malformed + lost, "{}: {counts:?}", kind.name());
    }
}

/// For a test that holds thousands of sockets: a login shell's limit is 1024.
pub(crate) fn allow_files(count: u64) {
    let most = libc::rlimit { rlim_cur: count, rlim_max: count };
    // SAFETY: the structure lives during the call.
    let status = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const most) };
    assert_eq!(status, 0, "setrlimit: {}", std::io::Error::last_os_error());
}

pub(crate) fn tcp4() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket")
}

/// A namespace, and probes that follow only sockets of `127.8.<net>.0/24`: of a small map, which the sockets of tests that run
/// at the same time would fill.
pub(crate) fn alone(net: u8, max_sockets: u32) -> (Namespace, Trace) {
    let namespace = Namespace::new();
    let scope = vec![format!("127.8.{net}.0/24").parse().expect("a network")];
    let trace = Trace::with(&namespace, &KernelConfig { max_sockets, scope, ..KernelConfig::default() });
    (namespace, trace)
}

/// A socket option that socket2 has no name for.
pub(crate) fn set(socket: &impl AsRawFd, level: i32, option: i32, value: i32) {
    let size = libc::socklen_t::try_from(size_of_val(&value)).expect("four");
    // SAFETY: the value lives during the call and its size is right.
    let status = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), size) };
    assert_eq!(status, 0, "setsockopt {option}: {}", std::io::Error::last_os_error());
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}
