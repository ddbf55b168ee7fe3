//! Sockets to legs, legs to flows: a flow is the leg that an application opened, and the legs that its proxies opened
//! to carry it. Nothing here knows what the cluster's configuration says; what only that can tell is asked of a
//! [`Foresight`].

mod claim;
mod counted;
mod due;
mod join;
mod leg;
mod role;
mod view;

pub use counted::{Ended, HowEnded, Tally};
pub use leg::{Closed, Failed, FirstBytes, Leg, LegEnd, LegKey, Role, Side};
pub use role::{Proxy, is_inbound_bind};
pub use view::FlowView;

use crate::net::{Cookie, Endpoint, Ktime, NetNs};
use crate::socket::{Direction, Handshake, SocketChange, SocketEvent};
use claim::Quarter;
use counted::Counted;
use due::Due;
use join::Joins;
use rustc_hash::FxHashMap;
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
    /// Whether the destination's proxy dials its application on `port` before the client sends a byte.
    fn dials_unprompted(&mut self, flow: &FlowView<'_>, port: u16) -> bool;
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
    sockets: FxHashMap<Cookie, Slot>,
    legs: Slab<Leg>,
    counted: Slab<Counted>,
    joins: Joins,
    quarters: FxHashMap<NetNs, Quarter>,
    due: Due,
    /// The next leg's serial number.
    serial: u64,
    /// Events that the kernel lost so far.
    lost: u64,
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
            sockets: FxHashMap::default(),
            legs: Slab::new(),
            counted: Slab::new(),
            joins: Joins::default(),
            quarters: FxHashMap::default(),
            due: Due::default(),
            serial: 0,
            lost: 0,
            hand: 0,
        }
    }

    /// Takes in what happened to one socket.
    pub fn apply(&mut self, event: &SocketEvent, foresight: &mut impl Foresight) -> Option<Change> {
        if role::stays_inside(&event.socket) {
            return None;
        }
        let over = matches!(event.change, SocketChange::Closed(_) | SocketChange::ConnectFailed { .. });
        match self.sockets.get(&event.socket.cookie).copied() {
            Some(Slot::Leg(key, side)) => self.update(key, side, event, foresight),
            Some(Slot::Counted(index)) => self.end(index, event).map(Change::Ended),
            Some(Slot::Quiet) => {
                if over {
                    self.sockets.remove(&event.socket.cookie);
                }
                None
            }
            None => self.open(event, foresight),
        }
    }

    /// `count` events were lost: absence proves nothing for flows alive now.
    pub fn lose(&mut self, count: u64) {
        self.lost = self.lost.saturating_add(count);
    }

    pub fn next_due(&self) -> Option<Ktime> {
        self.due.next()
    }

    /// The next flow that is to be looked at by `now`.
    pub fn pop_due(&mut self, now: Ktime) -> Option<LegKey> {
        while let Some((at, key)) = self.due.pop(now) {
            let Some(leg) = self.leg_mut(key).filter(|leg| leg.due == Some(at)) else { continue };
            leg.due = None;
            if leg.parent.is_none() {
                return Some(key);
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

    /// The first that is heard of a socket.
    fn open(&mut self, event: &SocketEvent, foresight: &mut impl Foresight) -> Option<Change> {
        if self.legs.len() >= self.limits.undecided {
            self.lose(1);
            return None;
        }
        let socket = event.socket;
        let proxy = foresight.proxy(role::own_ip(&socket), event.at);
        let (side, since, adopted) = match &event.change {
            SocketChange::SynRetransmitted { since, .. }
            | SocketChange::Connected { since, .. }
            | SocketChange::ConnectFailed { since, .. } => (Side::Client, *since, false),
            SocketChange::Accepted { .. } => (Side::Server, event.at, false),
            SocketChange::FirstBytes { .. } | SocketChange::Closed(_) => {
                (role::side_of_adopted(&socket, &event.change, proxy.as_ref())?, event.at, true)
            }
        };
        let mut end = LegEnd::new(socket, role::role(&socket, side, proxy.as_ref()), since);
        end.adopted = adopted;
        let key = self.new_leg(end, side);
        self.sockets.insert(socket.cookie, Slot::Leg(key, side));
        self.wake(key, event.at + self.first_look(key, side));
        let change = self.update(key, side, event, foresight);
        // A client socket that its SYN's outcome already joined to a leg has moved there.
        if let Some(Slot::Leg(key, side)) = self.sockets.get(&socket.cookie).copied() {
            if matches!(self.leg(key).and_then(|leg| leg.role(side)), Some(Role::Proxy | Role::Local)) && !adopted {
                self.claim(key, foresight);
            }
        }
        change
    }

    /// A proxy's own leg is either claimed at once or nobody's.
    fn first_look(&self, key: LegKey, side: Side) -> Duration {
        match self.leg(key).and_then(|leg| leg.role(side)) {
            Some(Role::Proxy | Role::Local) => self.limits.settle,
            _ => self.limits.verdict,
        }
    }

    fn new_leg(&mut self, end: LegEnd, side: Side) -> LegKey {
        let slot = self.legs.vacant_entry();
        self.serial += 1;
        let key = LegKey { serial: self.serial, slot: slot.key() as u32 };
        let mut leg = Leg {
            key,
            client: None,
            server: None,
            handshake: None,
            parent: None,
            children: SmallVec::new(),
            ambiguous: false,
            unexplained: false,
            lost_before: self.lost,
            due: None,
            retransmits_told: 0,
            told: None,
        };
        *leg.end_mut(side) = Some(end);
        slot.insert(leg);
        key
    }

    /// A change of a socket whose flow has no verdict yet, or one that may be revised.
    fn update(
        &mut self,
        key: LegKey,
        side: Side,
        event: &SocketEvent,
        foresight: &mut impl Foresight,
    ) -> Option<Change> {
        let settled = event.at + self.limits.settle;
        let end = self.leg_mut(key)?.end_mut(side).as_mut()?;
        match &event.change {
            SocketChange::SynRetransmitted { count, .. } => {
                end.retransmits = end.retransmits.max(*count);
                return Some(Change::Retransmitted(self.root_of(key)));
            }
            SocketChange::Connected { since, handshake } => {
                end.since = *since;
                end.adopted = false;
                end.socket = event.socket;
                end.opened = Some(event.at);
                self.join(key, side, *handshake, foresight);
            }
            SocketChange::Accepted { handshake } => {
                end.since = event.at;
                end.adopted = false;
                end.opened = Some(event.at);
                self.join(key, side, *handshake, foresight);
            }
            SocketChange::ConnectFailed { since, error } => {
                end.since = *since;
                end.failed = Some(Failed { at: event.at, error: *error });
                self.reopen_claims(key);
                self.wake(key, settled);
            }
            SocketChange::FirstBytes { direction, payload } => {
                let slot = match direction {
                    Direction::Sent => &mut end.sent,
                    Direction::Received => &mut end.received,
                };
                if slot.is_none() {
                    *slot = Some(Box::new(FirstBytes { at: event.at, payload: payload.clone() }));
                }
                self.check_claim(key, foresight);
                self.wake(key, settled);
            }
            SocketChange::Closed(how) => {
                end.closed = Some(Closed { at: event.at, how: *how });
                end.opened = end.opened.or(how.opened);
                self.reopen_claims(key);
                self.wake(key, settled);
            }
        }
        None
    }

    /// Puts the two sockets of one connection into one leg.
    fn join(
        &mut self,
        key: LegKey,
        side: Side,
        handshake: Option<Handshake>,
        foresight: &mut impl Foresight,
    ) {
        if let Some(leg) = self.leg_mut(key) {
            leg.handshake = handshake;
        }
        let Some(leg) = self.leg(key) else { return };
        let Some(end) = leg.end(side) else { return };
        let other = match handshake {
            Some(handshake) => self.joins.by_handshake(handshake),
            None => self.joins.by_client(end, side),
        };
        let Some(other) = other.filter(|other| *other != key && self.fits(key, *other, side)) else {
            if let Some((leg, end)) = self.legs.get(key.slot as usize).and_then(|leg| Some((leg, leg.end(side)?))) {
                self.joins.wait(leg, end, side);
            }
            return self.await_claims(key);
        };
        self.merge(key, other, side, foresight);
        self.await_claims(other);
    }

    /// Whether the other leg lacks just this end.
    fn fits(&self, key: LegKey, other: LegKey, side: Side) -> bool {
        let (Some(leg), Some(other)) = (self.leg(key), self.leg(other)) else { return false };
        let (Some(this), None, Some(that)) = (leg.end(side), other.end(side), other.end(side.other())) else {
            return false;
        };
        let (client, server) = if side == Side::Client { (this, that) } else { (that, this) };
        leg.handshake.is_some() || join::addresses_agree(client, server)
    }

    /// Moves the one end of `key` into `other`.
    fn merge(&mut self, key: LegKey, other: LegKey, side: Side, foresight: &mut impl Foresight) {
        let gone = self.legs.remove(key.slot as usize);
        let Leg { client, server, parent, children, ambiguous, unexplained, lost_before, retransmits_told, .. } = gone;
        let Some(end) = (if side == Side::Client { client } else { server }) else { return };
        self.sockets.insert(end.socket.cookie, Slot::Leg(other, side));
        let Some(into) = self.leg_mut(other) else { return };
        *into.end_mut(side) = Some(end);
        into.ambiguous |= ambiguous;
        into.unexplained |= unexplained;
        into.lost_before = into.lost_before.min(lost_before);
        into.retransmits_told = into.retransmits_told.max(retransmits_told);
        into.children.extend(children.iter().copied());
        into.parent = into.parent.or(parent);
        if let Some(leg) = self.legs.get(other.slot as usize) {
            self.joins.forget(leg);
        }
        for child in children {
            if let Some(leg) = self.leg_mut(child) {
                leg.parent = Some(other);
            }
        }
        if let Some(parent) = parent {
            if let Some(leg) = self.leg_mut(parent) {
                leg.children.iter_mut().filter(|child| **child == key).for_each(|child| *child = other);
            }
        }
        self.check_claim(other, foresight);
    }
}
