//! The two sockets of one connection find each other: by handshake, and by the translated addresses only where there
//! is none (`kernel.md`, traps 13 and 14).

use super::leg::{Leg, LegEnd, LegKey, Role, Side};
use super::pieces::Pieces;
use super::{FlowTable, Foresight, Slot};
use crate::net::{Endpoint, Ktime};
use crate::socket::Handshake;
use rustc_hash::FxHashMap;
use std::collections::hash_map::RandomState;
use std::time::Duration;

/// The two ends of one connection are ESTABLISHED within a round trip of each other.
const APART: Duration = Duration::from_secs(5);

/// Legs of which one socket was seen.
#[derive(Debug, Default)]
pub(super) struct Joins {
    /// Remote hosts choose half of the key, so this map's hash is keyed.
    by_handshake: Pieces<Handshake, LegKey, RandomState>,
    /// Legs without a handshake, by the client's address. `None`: two of them share it, so it tells nothing.
    by_client: FxHashMap<Endpoint, Option<LegKey>>,
}

impl Joins {
    pub(super) fn by_handshake(&self, handshake: Handshake) -> Option<LegKey> {
        self.by_handshake.get(&handshake).copied()
    }

    pub(super) fn by_client(&self, end: &LegEnd, side: Side) -> Option<LegKey> {
        self.by_client.get(&client_address(end, side)).copied().flatten()
    }

    /// `leg` has one end and waits for the other.
    pub(super) fn wait(&mut self, leg: &Leg, end: &LegEnd, side: Side) {
        if let Some(handshake) = leg.handshake {
            self.by_handshake.insert(handshake, leg.key);
            return;
        }
        let slot = self.by_client.entry(client_address(end, side)).or_insert(Some(leg.key));
        if *slot != Some(leg.key) {
            *slot = None;
        }
    }

    /// `leg` is complete, or gone.
    pub(super) fn forget(&mut self, leg: &Leg) {
        if let Some(handshake) = leg.handshake {
            if self.by_handshake.get(&handshake) == Some(&leg.key) {
                self.by_handshake.remove(&handshake);
            }
            return;
        }
        for side in [Side::Client, Side::Server] {
            let Some(end) = leg.end(side) else { continue };
            let address = client_address(end, side);
            if self.by_client.get(&address).is_some_and(|waiting| waiting.is_none_or(|key| key == leg.key)) {
                self.by_client.remove(&address);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_handshake.len() + self.by_client.len()
    }
}

impl FlowTable {
    /// Puts the two sockets of one connection into one leg.
    pub(super) fn join(
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
        let related = self.root_of(leg.key) == self.root_of(other.key);
        if leg.end(side.other()).is_some() || leg.told.is_some() || other.told.is_some() || related {
            return false;
        }
        let (client, server) = if side == Side::Client { (this, that) } else { (that, this) };
        leg.handshake.is_some() || addresses_agree(client, server)
    }

    /// Moves the one end of `key` into `other`.
    fn merge(&mut self, key: LegKey, other: LegKey, side: Side, foresight: &mut impl Foresight) {
        let gone = self.legs.remove(key.slot as usize);
        let Leg {
            client, server, syn, parent, children, ambiguous, unexplained, lost_before, retransmits_told, ..
        } = gone;
        let Some(end) = (if side == Side::Client { client } else { server }) else { return };
        self.sockets.insert(end.socket.cookie, Slot::Leg(other, side));
        let Some(into) = self.leg_mut(other) else { return };
        *into.end_mut(side) = Some(end);
        into.syn = into.syn.or(syn);
        self.connecting.extend(syn.map(|client_isn| (client_isn, other)));
        let Some(into) = self.leg_mut(other) else { return };
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
        if let Some(leg) = parent.and_then(|parent| self.leg_mut(parent)) {
            leg.children.iter_mut().filter(|child| **child == key).for_each(|child| *child = other);
        }
        self.check_claim(other, foresight);
    }
}

/// Whether two sockets without a handshake can be the ends of one connection: the addresses agree, but for what
/// REDIRECT does to the server's, and the times are close. When connections were opened that are older than the tracer
/// is not known, so of those a redirected one is joined to none.
fn addresses_agree(client: &LegEnd, server: &LegEnd) -> bool {
    let adopted = client.adopted || server.adopted;
    let redirected = !adopted && matches!(server.role, Role::Capture | Role::Inbound);
    let same_server = server.socket.local == client.socket.remote || redirected;
    server.socket.remote == client.socket.local && same_server && near(client.since, server.since)
}

fn near(a: Ktime, b: Ktime) -> bool {
    a.since(b) < APART && b.since(a) < APART
}

/// The client's address as this end knows it.
fn client_address(end: &LegEnd, side: Side) -> Endpoint {
    match side {
        Side::Client => end.socket.local,
        Side::Server => end.socket.remote,
    }
}
