//! Flows that have their verdict: little is kept of them, so that a million can be open.

use super::leg::{Leg, LegEnd, LegKey, Side, Told};
use super::{FlowTable, FlowView, Slot};
use crate::net::{Cookie, Endpoint, Ktime, NetNs};
use crate::record::Reporter;
use crate::socket::{Close, ConnectError, Reset, SocketChange, SocketEvent};
use crate::verdict::{Class, Reason};
use smallvec::SmallVec;
use std::time::Duration;

/// What was said of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tally {
    pub reporter: Reporter,
    pub class: Class,
    pub reason: Option<Reason>,
}

#[derive(Debug)]
pub(super) struct Counted {
    pub(super) serial: u64,
    cookie: Cookie,
    pub(super) tally: Tally,
    opened: Ktime,
    /// Which side of the connection the socket is.
    side: Side,
    /// What a captured flow dialled, and where.
    carried: Option<(NetNs, Endpoint)>,
    /// Where its verdict may be revised.
    root: Option<LegKey>,
}

/// The end of a flow that was counted.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// The flow's id.
    pub serial: u64,
    pub tally: Tally,
    pub at: Ktime,
    pub how: HowEnded,
    /// From client to server.
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub duration: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HowEnded {
    Closed,
    Reset,
    /// It never got a connection.
    Failed(ConnectError),
    /// It was given up while open, because too many were.
    GivenUp,
    /// Its socket is no more, and nobody told how it ended.
    Unseen {
        opened: bool,
    },
}

impl FlowTable {
    /// What was said of this flow already.
    pub fn told(&self, root: LegKey) -> Option<Tally> {
        let Told { counted } = self.leg(root)?.told?;
        self.counted.get(counted as usize).map(|counted| counted.tally)
    }

    /// The flow has its verdict. `revisable`: it may get another, so its legs stay. Returns what ended by that.
    pub fn count(&mut self, root: LegKey, tally: Tally, revisable: bool) -> SmallVec<[Ended; 1]> {
        let mut ended = SmallVec::new();
        let Some((counted, end, told)) = self.view(root).and_then(|view| {
            let near = view.near()?;
            Some((Counted::new(&view, near, tally), near.how_ended(), view.root.told))
        }) else {
            return ended;
        };
        if let Some((at, how, close)) = end {
            if let Some(Told { counted }) = told {
                self.drop_counted(counted);
            }
            ended.push(counted.end(at, how, close));
            self.forget(root, None);
            return ended;
        }
        let index = if let Some(Told { counted }) = told {
            self.counted[counted as usize].tally = tally;
            counted
        } else {
            ended.extend(self.give_up_oldest());
            if let Some((netns, dialled)) = counted.carried {
                self.quarters.entry(netns).or_default().carry(dialled);
            }
            self.counted.insert(counted) as u32
        };
        if revisable {
            self.stop_waiting(root);
            self.counted[index as usize].root = Some(root);
            if let Some(leg) = self.leg_mut(root) {
                leg.told = Some(Told { counted: index });
            }
        } else {
            self.counted[index as usize].root = None;
            self.forget(root, Some(index));
        }
        ended
    }

    /// Not a flow of its own, and nobody's.
    pub fn drop_flow(&mut self, root: LegKey) {
        self.forget(root, None);
    }

    /// Something happened to the socket that ends a counted flow.
    pub(super) fn end(&mut self, index: u32, event: &SocketEvent) -> Option<Ended> {
        let (how, close) = match &event.change {
            SocketChange::Closed(close) => (HowEnded::of(close), Some(*close)),
            // What is counted has been answered.
            SocketChange::Gone => (HowEnded::Unseen { opened: true }, None),
            _ => return None,
        };
        self.sockets.remove(&event.socket.cookie);
        let counted = self.drop_counted(index);
        Some(counted.end(event.at, how, close))
    }

    fn drop_counted(&mut self, index: u32) -> Counted {
        let counted = self.counted.remove(index as usize);
        if let Some((netns, dialled)) = counted.carried {
            self.quarters.entry(netns).or_default().put_down(dialled);
        }
        counted
    }

    /// Closes that were lost on their way leave flows that never end; a bound on their number gives the memory back.
    fn give_up_oldest(&mut self) -> Option<Ended> {
        if self.counted.len() < self.limits.open {
            return None;
        }
        let at = (self.hand..self.hand + self.counted.capacity()).map(|i| i % self.counted.capacity().max(1));
        let index = at.into_iter().find(|index| self.counted.contains(*index))?;
        self.hand = index + 1;
        let counted = self.drop_counted(index as u32);
        match counted.root {
            Some(root) => self.forget(root, None),
            None => self.sockets.insert(counted.cookie, Slot::Quiet),
        }
        Some(counted.end(counted.opened, HowEnded::GivenUp, None))
    }

    /// Takes a flow's legs out of the table. Sockets that are still open stay known by their cookie.
    fn forget(&mut self, root: LegKey, counted: Option<u32>) {
        let mut legs: SmallVec<[LegKey; 8]> = SmallVec::from_slice(&[root]);
        let mut at = 0;
        while let Some(key) = legs.get(at).copied() {
            at += 1;
            self.stop_waiting(key);
            let Some(_) = self.leg(key) else { continue };
            let leg = self.legs.remove(key.slot as usize);
            self.drops.claim(&leg);
            if let Some(client_isn) = leg.syn.filter(|client_isn| self.connecting.get(client_isn) == Some(&key)) {
                self.connecting.remove(&client_isn);
            }
            self.joins.forget(&leg);
            legs.extend(leg.children.iter().copied());
            self.leave(&leg, counted.filter(|_| key == root));
        }
    }

    fn leave(&mut self, leg: &Leg, counted: Option<u32>) {
        let near = if leg.client.is_some() { Side::Client } else { Side::Server };
        for side in [Side::Client, Side::Server] {
            let Some(end) = leg.end(side) else { continue };
            let cookie = end.socket.cookie;
            match counted {
                _ if end.ended() => drop(self.sockets.remove(&cookie)),
                Some(index) if side == near => self.sockets.insert(cookie, Slot::Counted(index)),
                _ => self.sockets.insert(cookie, Slot::Quiet),
            }
        }
    }
}

impl HowEnded {
    fn of(close: &Close) -> Self {
        let reset = matches!(close.reset, Some(Reset::Received | Reset::Sent)) || close.unread;
        if reset { HowEnded::Reset } else { HowEnded::Closed }
    }
}

impl LegEnd {
    /// When, how, and with which counters this socket ended.
    fn how_ended(&self) -> Option<(Ktime, HowEnded, Option<Close>)> {
        let failed = self.failed.map(|failed| (failed.at, HowEnded::Failed(failed.error), None));
        let closed = self.closed.map(|closed| (closed.at, HowEnded::of(&closed.how), Some(closed.how)));
        let opened = self.opened.is_some() || self.adopted;
        failed.or(closed).or(self.gone.map(|at| (at, HowEnded::Unseen { opened }, None)))
    }
}

impl Counted {
    fn new(flow: &FlowView<'_>, near: &LegEnd, tally: Tally) -> Self {
        let side = flow.near_side();
        let carries = flow.captured() && side == Side::Client;
        Self {
            serial: flow.root.key.serial,
            cookie: near.socket.cookie,
            tally,
            opened: flow.root.opened().unwrap_or(flow.root.since()),
            side,
            carried: carries.then_some((near.socket.owner.netns, near.socket.remote)),
            root: None,
        }
    }

    fn end(&self, at: Ktime, how: HowEnded, close: Option<Close>) -> Ended {
        let (sent, received) = close.map_or((0, 0), |close| (close.sent, close.received));
        let (bytes_sent, bytes_received) = if self.side == Side::Client { (sent, received) } else { (received, sent) };
        Ended {
            serial: self.serial,
            tally: self.tally,
            at,
            how,
            bytes_sent,
            bytes_received,
            duration: at.since(self.opened),
        }
    }
}
