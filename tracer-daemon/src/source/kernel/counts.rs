//! What was emitted, and what became of it.

use tracer_engine::socket::{KernelEvent, SocketChange};

/// The kinds of wire events, as metric labels spell them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum EventKind {
    Connect,
    SynRetransmit,
    Accept,
    FirstBytes,
    Close,
    /// A dropped segment that is told by itself.
    Drop,
    /// A socket that was open before the probes were.
    Open,
}

/// `emitted = decoded + malformed + lost`, for every kind, once the ring is drained.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KindCount {
    pub emitted: u64,
    pub decoded: u64,
    pub malformed: u64,
    pub lost: u64,
}

/// Counted since the probes were loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EventCounts {
    pub(super) kinds: [KindCount; EventKind::ALL.len()],
    /// Malformed records that do not even tell their kind.
    pub unrecognised: u64,
    /// Sockets that were not followed because there was no room: their first bytes and the opening
    /// time of their close are missing, and no other event tells so.
    pub untracked: u64,
    /// Dropped segments that were counted and not told by themselves, because their network namespace told too many.
    pub untold: u64,
    /// Changes of a socket that were told by whichever hook met it next, because the kernel skipped the run that would have.
    pub late: u64,
    /// Runs of a probe that the kernel skipped (`HookStatus::missed`, of all hooks that tell of sockets).
    pub missed: u64,
}

impl EventKind {
    /// In the order of `tracer_common::kind`.
    pub const ALL: [Self; tracer_common::kind::COUNT as usize] =
        [Self::Connect, Self::SynRetransmit, Self::Accept, Self::FirstBytes, Self::Close, Self::Drop, Self::Open];

    /// `None`: no probe tells it.
    pub(super) fn of(event: &KernelEvent) -> Option<Self> {
        match event {
            KernelEvent::Socket(event) => Some(Self::of_change(&event.change)),
            KernelEvent::Dropped(_) | KernelEvent::DropCount(_) => Some(Self::Drop),
            KernelEvent::CgroupOwner(_) => None,
        }
    }

    fn of_change(change: &SocketChange) -> Self {
        match change {
            SocketChange::Connected { .. } | SocketChange::ConnectFailed { .. } => Self::Connect,
            SocketChange::SynRetransmitted { .. } => Self::SynRetransmit,
            SocketChange::Accepted { .. } => Self::Accept,
            SocketChange::FirstBytes { .. } => Self::FirstBytes,
            SocketChange::Closed(_) | SocketChange::Gone => Self::Close,
            SocketChange::Found | SocketChange::Listening => Self::Open,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::SynRetransmit => "syn_retransmit",
            Self::Accept => "accept",
            Self::FirstBytes => "first_bytes",
            Self::Close => "close",
            Self::Drop => "drop",
            Self::Open => "open",
        }
    }
}

impl EventCounts {
    pub fn of(&self, kind: EventKind) -> KindCount {
        self.kinds[kind as usize]
    }

    /// What the engine must be told of as `Input::Lost` when it has grown.
    pub fn lost(&self) -> u64 {
        // What was not told of a drop makes no absence a proof: drops are never looked for.
        let Self { kinds, unrecognised, untracked, untold: _, late: _, missed } = self;
        kinds.iter().map(|kind| kind.lost + kind.malformed).sum::<u64>() + unrecognised + untracked + missed
    }
}
