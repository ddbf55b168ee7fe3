//! One socket event after the other.

use super::leg::{Closed, Failed, FirstBytes, Leg, LegEnd, LegKey, Role, Side};
use super::{Change, FlowTable, Foresight, Slot, role};
use crate::net::NetNs;
use crate::socket::{Direction, Payload, Socket, SocketChange, SocketEvent};
use smallvec::SmallVec;
use std::time::Duration;

impl FlowTable {
    /// The first that is heard of a socket.
    pub(super) fn open(&mut self, event: &SocketEvent, foresight: &mut impl Foresight) -> Option<Change> {
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
            SocketChange::FirstBytes { .. } | SocketChange::Closed(_) | SocketChange::Found => {
                let side = role::side_of_adopted(&socket, &event.change, proxy.as_ref());
                (side.or_else(|| self.side_by_listeners(&socket))?, event.at, true)
            }
            SocketChange::Listening | SocketChange::Gone => return None,
        };
        let by_ztunnel = side == Side::Client && role::is_ztunnels(&socket);
        let handed_on = by_ztunnel && role::is_handed_on(&socket, foresight.proxy(socket.remote.ip, event.at).as_ref());
        let role = if handed_on { Role::Local } else { role::role(&socket, side, proxy.as_ref()) };
        let mut end = LegEnd::new(socket, role, since);
        end.adopted = adopted;
        let key = self.new_leg(end, side);
        self.sockets.insert(socket.cookie, Slot::Leg(key, side));
        self.wake(key, event.at + self.first_look(key, side));
        if event.change == SocketChange::Found {
            self.join(key, side, None, foresight);
            return None;
        }
        let change = self.update(key, side, event, foresight);
        // A client socket that its SYN's outcome already joined to a leg has moved there.
        if let Some(Slot::Leg(key, side)) = self.sockets.get(&socket.cookie).copied()
            && matches!(self.leg(key).and_then(|leg| leg.role(side)), Some(Role::Proxy | Role::Local))
            && !adopted
        {
            self.claim(key, foresight);
        }
        change
    }

    /// Which side a socket is whose beginning was not seen and whose ports are both high: a listener tells.
    fn side_by_listeners(&self, socket: &Socket) -> Option<Side> {
        let listens = |at: &SmallVec<[NetNs; 2]>| at.contains(&socket.owner.netns);
        if self.listening.get(&socket.local.port).is_some_and(listens) {
            return Some(Side::Server);
        }
        self.listening.contains_key(&socket.remote.port).then_some(Side::Client)
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
            syn: None,
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
    pub(super) fn update(
        &mut self,
        key: LegKey,
        side: Side,
        event: &SocketEvent,
        foresight: &mut impl Foresight,
    ) -> Option<Change> {
        let settled = event.at + self.limits.settle;
        if let SocketChange::SynRetransmitted { client_isn, .. } | SocketChange::ConnectFailed { client_isn, .. } =
            &event.change
        {
            self.leg_mut(key)?.syn = *client_isn;
            self.connecting.extend(client_isn.map(|client_isn| (client_isn, key)));
        }
        let end = self.leg_mut(key)?.end_mut(side).as_mut()?;
        if end.ended() {
            return None;
        }
        match &event.change {
            SocketChange::SynRetransmitted { count, .. } => {
                end.retransmits = end.retransmits.max(*count);
                return Some(Change::Retransmitted(self.root_of(key)));
            }
            SocketChange::Connected { since, handshake } if end.opened.is_none() && side == Side::Client => {
                end.since = *since;
                end.adopted = false;
                end.socket = event.socket;
                end.opened = Some(event.at);
                self.join(key, side, *handshake, foresight);
            }
            SocketChange::Accepted { handshake } if end.opened.is_none() && side == Side::Server => {
                end.since = event.at;
                end.adopted = false;
                end.opened = Some(event.at);
                self.join(key, side, *handshake, foresight);
            }
            // The kernel says these once.
            SocketChange::Connected { .. }
            | SocketChange::Accepted { .. }
            | SocketChange::Found
            | SocketChange::Listening => {}
            SocketChange::ConnectFailed { since, error, client_isn: _ } => {
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
                match slot {
                    None => *slot = Some(Box::new(FirstBytes { at: event.at, payload: payload.clone() })),
                    Some(first) if completes(&first.payload, payload) => first.payload = payload.clone(),
                    Some(_) => {}
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
            SocketChange::Gone => {
                end.gone = Some(event.at);
                self.reopen_claims(key);
                self.wake(key, settled);
            }
        }
        None
    }
}

/// The HEADERS of an HTTP/2 stream may follow its preface in a segment of their own.
fn completes(first: &Payload, more: &Payload) -> bool {
    matches!((first, more), (Payload::Http2 { authority: None }, Payload::Http2 { authority: Some(_) }))
}
