//! What leaves the engine. `tracer-daemon::sink` turns it into JSON lines, metrics and lines on a terminal.

pub use crate::mesh::attribution::{Attribution, Mesh, PodIdentity, UnknownReason};

use crate::mesh::facts::{Kind, ObjectKey};
use crate::net::{Endpoint, Ktime, Name};
use crate::socket::Handshake;
use crate::verdict::{Candidate, Class, Reason, Verdict};
use crate::walk::outcome::Call;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

#[derive(Clone, PartialEq, Debug)]
pub enum Record {
    /// A flow and what is said about it: once per flow, and once more where that is revised.
    Flow(Box<FlowRecord>),
    /// A flow that was told ended. Its bytes are counted here and nowhere else.
    End(FlowEnd),
    /// A SYN is unanswered: told at the first and third retransmission, while the connect still hangs.
    Connecting(Box<FlowRecord>),
    /// Packets that the kernel dropped between two addresses.
    Drops(DropsRecord),
    /// The facts were changed by `delta`s of this kind so far.
    Facts(FactsRecord),
}

#[derive(Clone, PartialEq, Debug)]
pub struct FlowRecord {
    /// When the verdict was made.
    pub at: Ktime,
    pub id: FlowId,
    pub reporter: Reporter,
    pub client: Party,
    /// The address that the application dialled.
    pub server: Party,
    pub verdict: Verdict,
    /// Of the leg between the pods where one is known, else of the application's leg.
    pub handshake: Option<Handshake>,
    pub seen_from: SeenFrom,
    pub traffic: Traffic,
    pub legs_ambiguous: bool,
    /// What of the connection the verdict is about.
    pub scope: Scope,
    /// The class and reason said before, where this record revises them.
    pub revises: Option<(Class, Option<Reason>)>,
    pub outcome: Outcome,
    /// From SYN_SENT to ESTABLISHED of the application's leg.
    pub connect: Option<Duration>,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    /// Times that a SYN of the flow was sent again.
    pub syn_retransmits: u32,
    pub legs: Vec<Leg>,
    pub evidence: Vec<Evidence>,
    pub drops: Vec<Drop>,
    /// Kernel events lost during the flow's life, of all flows.
    pub events_lost: u64,
    pub walked: Walked,
}

/// What the walk was asked about a flow, and which of its ends were left: for whoever has it explained later.
#[derive(Clone, PartialEq, Debug)]
pub struct Walked {
    pub since: Ktime,
    /// One, unless only the destination was seen.
    pub calls: SmallVec<[Call; 1]>,
    pub ends: SmallVec<[Candidate; 2]>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct FlowEnd {
    pub at: Ktime,
    pub id: FlowId,
    pub reporter: Reporter,
    pub class: Class,
    pub reason: Option<Reason>,
    pub outcome: Outcome,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub duration: Duration,
}

impl FlowEnd {
    /// Of a flow that was over before it was told.
    pub(crate) fn at_once(record: &FlowRecord) -> Self {
        Self {
            at: record.at,
            id: record.id,
            reporter: record.reporter,
            class: record.verdict.class,
            reason: record.verdict.reason,
            outcome: record.outcome,
            bytes_sent: 0,
            bytes_received: 0,
            duration: Duration::ZERO,
        }
    }
}

/// Exact, whatever was told of single flows.
#[derive(Clone, PartialEq, Debug)]
pub struct DropsRecord {
    pub at: Ktime,
    pub reason: Name,
    /// Source and destination of the packets; `None`: not known any more.
    pub between: Option<(Attribution, Attribution)>,
    pub count: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FactsRecord {
    pub kind: Kind,
    pub objects: usize,
    pub synced: bool,
    pub at: Ktime,
}

/// Unique on this node while the daemon runs; the wire adds the node and the start of the daemon.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FlowId(pub u64);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reporter {
    Source,
    Destination,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Party {
    pub ip: IpAddr,
    pub port: u16,
    pub who: Attribution,
    /// The Service, where the address is a VIP or the proxy chose one.
    pub service: Option<ObjectKey>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SeenFrom {
    Start,
    /// The socket was open before the tracer was.
    Middle,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Traffic {
    App,
    /// kubelet's probes, 15020, 15021.
    Probe,
    /// 15090, merged metrics.
    Scrape,
}

/// `classification.md` section 9.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    Connection,
    /// An HTTP chain: later requests on the same connection are not seen.
    FirstRequest,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    Established,
    Refused,
    Reset,
    TimedOut,
    Unreachable,
    Abandoned,
    Dropped,
    StillConnecting,
    Closed,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Leg {
    pub kind: LegKind,
    pub client: Endpoint,
    pub server: Endpoint,
    pub outcome: Outcome,
    pub reset_by: Option<ResetBy>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum LegKind {
    App,
    Capture,
    Upstream,
    Inbound,
    Local,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ResetBy {
    Client,
    Server,
}

/// One piece of evidence as the record shows it: `{"kind":"first-bytes","leg":"upstream","says":"plaintext"}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    pub kind: EvidenceKind,
    pub leg: LegKind,
    /// Most are fixed words: a node that records many flows does not copy them for each.
    pub says: Cow<'static, str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EvidenceKind {
    Captured,
    UpstreamConnect,
    FirstBytes,
    InboundCaptured,
    LocalLeg,
    LocalRefused,
    Reset,
    ClosedUnread,
    Hbone,
    Dropped,
    SynRetransmit,
    TimedOut,
    Unreachable,
    Abandoned,
    Refused,
    Silent,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drop {
    /// The running kernel's own name.
    pub reason: Name,
    pub count: u64,
}
