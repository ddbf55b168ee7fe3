//! The kernel as a source of inputs: loads the probes, reads their ring and decodes what it holds.
//!
//! Nothing outside this module knows aya, BTF or a wire byte. What leaves is `tracer_engine::socket::SocketEvent`.

use std::path::PathBuf;

use thiserror::Error;
use tracer_engine::socket::SocketEvent;

/// What the probes shall do. Built once from flags and file; `Default` is what the daemon ships with.
#[derive(Clone, Debug)]
pub struct KernelConfig {
    /// Read the first payload bytes of every connection. `false` is honoured in the kernel: the bytes are never copied.
    pub first_bytes: bool,
    /// Where cgroup2 is mounted. `None`: found in /proc/self/mountinfo.
    pub cgroup2: Option<PathBuf>,
    /// Bytes of the ring buffer: a power of two, at least a page.
    pub ring_bytes: u32,
    /// Live sockets that are followed at once; a socket beyond that is counted as untracked.
    pub max_sockets: u32,
}

/// The probes, attached. Dropping it detaches them.
#[derive(Debug)]
pub struct Kernel {
    hooks: Vec<HookStatus>,
}

/// One hook of the table and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookStatus {
    /// The kernel's own name: `inet_sock_set_state`.
    pub name: &'static str,
    /// The daemon does not start without it.
    pub required: bool,
    pub state: HookState,
    /// What can no longer be told while it is not attached.
    pub without: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookState {
    Attached,
    /// Switched off by configuration.
    Off,
    /// Not possible here: why, in the kernel's own words where it had some.
    Absent {
        why: String,
    },
}

/// The kinds of wire events, as metric labels spell them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum EventKind {
    Connect,
    SynRetransmit,
    Accept,
    FirstBytes,
    Close,
}

/// `emitted = decoded + malformed + lost`, for every kind, once the ring is drained.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KindCount {
    pub emitted: u64,
    pub decoded: u64,
    pub malformed: u64,
    pub lost: u64,
}

/// Counted since `load`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventCounts {
    kinds: [KindCount; EventKind::ALL.len()],
    /// Sockets that were not followed because the map of live sockets was full: their first bytes and the opening
    /// time of their close are missing, and no other event tells so.
    pub untracked: u64,
}

/// Why the probes cannot run. Every message is one line that ends with what to do.
#[derive(Debug, Error)]
pub enum KernelError {
    #[error("capability {0} is missing: run as root, or grant it (securityContext.capabilities.add)")]
    MissingCapability(&'static str),
    #[error(
        "the kernel refused the probes although the capabilities are there ({0}): run outside a user namespace, with lockdown not above integrity"
    )]
    NotPermitted(String),
    #[error(
        "this kernel has no type information (/sys/kernel/btf/vmlinux: {0}): boot one with CONFIG_DEBUG_INFO_BTF=y"
    )]
    NoBtf(String),
    #[error("required hook {hook} cannot be attached: {why}")]
    RequiredHook { hook: &'static str, why: String },
    #[error("ring of {0} bytes: must be a power of two of at least 4096")]
    RingSize(u32),
    #[error("{what}: {why}")]
    Failed { what: &'static str, why: String },
}

impl Default for KernelConfig {
    fn default() -> Self {
        Self { first_bytes: true, cgroup2: None, ring_bytes: 4 << 20, max_sockets: 65_536 }
    }
}

impl EventKind {
    pub const ALL: [EventKind; 5] =
        [EventKind::Connect, EventKind::SynRetransmit, EventKind::Accept, EventKind::FirstBytes, EventKind::Close];

    pub fn name(self) -> &'static str {
        match self {
            EventKind::Connect => "connect",
            EventKind::SynRetransmit => "syn_retransmit",
            EventKind::Accept => "accept",
            EventKind::FirstBytes => "first_bytes",
            EventKind::Close => "close",
        }
    }
}

impl EventCounts {
    pub fn of(&self, kind: EventKind) -> KindCount {
        self.kinds[kind as usize]
    }

    /// What the engine must be told of as `Input::Lost` when it grew: events lost or malformed, sockets not followed.
    pub fn lost(&self) -> u64 {
        self.kinds.iter().map(|k| k.lost + k.malformed).sum::<u64>() + self.untracked
    }
}

impl Kernel {
    /// Loads and attaches the probes. Fails only where a required hook does; see `hooks` for the others.
    /// Must be called within a tokio runtime.
    pub fn load(config: &KernelConfig) -> Result<Kernel, KernelError> {
        let _ = config;
        unimplemented!()
    }

    pub fn hooks(&self) -> &[HookStatus] {
        &self.hooks
    }

    /// Waits until there is something to read, then appends decoded events in the kernel's order, a bounded batch at a
    /// time. Cancel safe: dropping the future loses nothing.
    pub async fn read(&mut self, out: &mut Vec<SocketEvent>) -> Result<(), KernelError> {
        let _ = out;
        unimplemented!()
    }

    /// Takes what is there now without waiting. After `detach`: the rest.
    pub fn drain(&mut self, out: &mut Vec<SocketEvent>) {
        let _ = out;
        unimplemented!()
    }

    pub fn counts(&self) -> Result<EventCounts, KernelError> {
        unimplemented!()
    }

    /// Detaches every probe. What was emitted until then stays readable by `drain`.
    pub fn detach(&mut self) {
        unimplemented!()
    }
}
