//! Sockets to legs, legs to flows: a flow is the leg that an application opened, and the legs that its proxies opened
//! to carry it. Nothing here knows what the cluster's configuration says; what only that can tell is asked of a
//! [`Foresight`].

mod apply;
mod claim;
mod counted;
mod drops;
mod due;
mod join;
mod leg;
mod pieces;
mod role;
mod view;

pub use counted::{Ended, HowEnded, Tally};
pub use drops::{Losses, Reasons};
pub use leg::{Closed, Failed, FirstBytes, Leg, LegEnd, LegKey, Role, Side};
pub use role::{Proxy, is_inbound_bind};
pub use view::FlowView;

use crate::net::{Cookie, Endpoint, Ktime, NetNs};
use crate::socket::{Dropped, Payload, SocketChange, SocketEvent};
use claim::Quarter;
use counted::Counted;
use drops::Drops;
use due::Due;
use join::Joins;
use pieces::Pieces;
use rustc_hash::{FxBuildHasher, FxHashMap};
use slab::Slab;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::time::Duration;

/// What only the facts can say.
pub trait Foresight {
    /// The proxy beside the pod that has this address; `None` where there is none.
    fn proxy(&mut self, ip: IpAddr, at: Ktime) -> Option<Proxy>;
    /// Whether the proxy that accepted this flow can be expected to open a connection to `to` by `by`.
    fn expects(&mut self, flow: &FlowView<'_>, to: Endpoint, by: Ktime) -> bool;
    /// Whether an upstream leg of this flow can be expected to `to` with this SNI.
    fn confirms(&mut self, flow: &FlowView<'_>, to: Endpoint, sni: &str) -> bool;
    /// Whether the destination's proxy dials its application on `port` for a connection that has sent `said` so far.
    fn hands_on(&mut self, flow: &FlowView<'_>, said: Option<&Payload>, port: u16) -> bool;
}

/// Something that whoever holds the table must act on.
#[derive(Debug)]
pub enum Change {
    /// A flow that was counted ended.
    Ended(Ended),
    /// The flow's SYN was sent again.
    Retransmitted(LegKey),
}

/// Every open connection and what it belongs to.
#[derive(Debug)]
pub struct FlowTable {
    limits: Limits,
    sockets: Pieces<Cookie, Slot, FxBuildHasher>,
    legs: Slab<Leg>,
    counted: Slab<Counted>,
    joins: Joins,
    quarters: FxHashMap<NetNs, Quarter>,
    due: Due,
    drops: Drops,
    /// Legs that got no answer at once, by the client's initial sequence number.
    connecting: FxHashMap<u32, LegKey>,
    /// The next leg's serial number.
    serial: u64,
    /// Events that the kernel lost so far.
    lost: u64,
    /// Ports with a listener that is older than the tracer, and where.
    listening: FxHashMap<u16, SmallVec<[NetNs; 2]>>,
    /// Where to look next for a counted flow to give up, when there are too many.
    hand: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long after an event a flow is judged: what happened at the same moment on another cpu, or at the
    /// connection's other end, gets there meanwhile.
    pub settle: Duration,
    /// From when a flow has no verdict yet it is looked at after this long at the latest.
    pub verdict: Duration,
    /// Flows that are open and counted; beyond it the oldest are given up.
    pub open: usize,
    /// Legs whose flow is not judged yet; beyond it new sockets count as lost.
    pub undecided: usize,
}

/// What a cookie stands for.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Leg(LegKey, Side),
    /// The socket whose close ends a counted flow.
    Counted(u32),
    /// Known, and of no more interest.
    Quiet,
}

impl FlowTable {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            sockets: Pieces::default(),
            legs: Slab::new(),
            counted: Slab::new(),
            joins: Joins::default(),
            quarters: FxHashMap::default(),
            due: Due::default(),
            drops: Drops::default(),
            connecting: FxHashMap::default(),
            serial: 0,
            lost: 0,
            listening: FxHashMap::default(),
            hand: 0,
        }
    }

    /// Takes in what happened to one socket.
    pub fn apply(&mut self, event: &SocketEvent, foresight: &mut impl Foresight) -> Option<Change> {
        if role::stays_inside(&event.socket) {
            return None;
        }
        if event.change == SocketChange::Listening {
            self.listening.entry(event.socket.local.port).or_default().push(event.socket.owner.netns);
            return None;
        }
        let gone = event.change == SocketChange::Gone;
        let over = gone || matches!(event.change, SocketChange::Closed(_) | SocketChange::ConnectFailed { .. });
        match self.sockets.get(&event.socket.cookie).copied() {
            Some(Slot::Leg(key, side)) => self.update(key, side, event, foresight),
            Some(Slot::Counted(index)) => self.end(index, event).map(Change::Ended),
            Some(Slot::Quiet) => {
                if over {
                    self.sockets.remove(&event.socket.cookie);
                }
                None
            }
            None if gone => None,
            None => self.open(event, foresight),
        }
    }

    /// Takes in a segment that the kernel discarded.
    pub fn drop_segment(&mut self, dropped: &Dropped) {
        self.drops.take(dropped, self.limits.verdict);
    }

    /// The next connection attempt whose SYN was dropped here and whose client has no socket here, and when that was
    /// certain.
    pub fn pop_unclaimed(&mut self, now: Ktime) -> Option<(Ktime, u64, Losses)> {
        while let Some((at, client_isn)) = self.drops.pop_unclaimed(now) {
            let Some(losses) = self.drops.opening(client_isn).cloned() else { continue };
            if self.connecting.contains_key(&client_isn) {
                continue;
            }
            self.serial += 1;
            return Some((at, self.serial, losses));
        }
        None
    }

    /// `count` events were lost: absence proves nothing for flows alive now.
    pub fn lose(&mut self, count: u64) {
        self.lost = self.lost.saturating_add(count);
    }

    pub fn next_due(&self) -> Option<Ktime> {
        self.due.next().into_iter().chain(self.drops.next_due()).min()
    }

    /// The next flow that is to be looked at by `now`, and when it was to be.
    pub fn pop_due(&mut self, now: Ktime) -> Option<(LegKey, Ktime)> {
        while let Some((at, key)) = self.due.pop(now) {
            let Some(leg) = self.leg_mut(key).filter(|leg| leg.due == Some(at)) else { continue };
            leg.due = None;
            if leg.parent.is_none() {
                return Some((key, at));
            }
        }
        None
    }

    /// Looks at this flow again at `at`, or earlier.
    pub fn wake(&mut self, key: LegKey, at: Ktime) {
        let root = self.root_of(key);
        let Some(leg) = self.leg_mut(root) else { return };
        if leg.due.is_none_or(|due| at < due) {
            leg.due = Some(at);
            self.due.push(at, root);
        }
    }

    /// The flow whose root this is.
    pub fn view(&self, root: LegKey) -> Option<FlowView<'_>> {
        self.leg(root).map(|leg| FlowView::new(self, leg))
    }

    /// Whether the flow's SYN was sent again the first or the third time since this was asked.
    pub fn tell_retransmission(&mut self, root: LegKey) -> bool {
        let Some(count) = self.view(root).map(|flow| flow.retransmits()) else { return false };
        let Some(leg) = self.leg_mut(root) else { return false };
        let reached = if count >= 3 { 3 } else { count.min(1) as u8 };
        let news = reached > leg.retransmits_told;
        leg.retransmits_told = leg.retransmits_told.max(reached);
        news
    }

    /// Sockets, legs, open counted flows and half-joined legs in the table.
    pub fn sizes(&self) -> [usize; 4] {
        [self.sockets.len(), self.legs.len(), self.counted.len(), self.joins.len()]
    }

    fn leg(&self, key: LegKey) -> Option<&Leg> {
        self.legs.get(key.slot as usize).filter(|leg| leg.key == key)
    }

    fn leg_mut(&mut self, key: LegKey) -> Option<&mut Leg> {
        self.legs.get_mut(key.slot as usize).filter(|leg| leg.key == key)
    }

    fn root_of(&self, key: LegKey) -> LegKey {
        let mut root = key;
        while let Some(parent) = self.leg(root).and_then(|leg| leg.parent) {
            root = parent;
        }
        root
    }
}
