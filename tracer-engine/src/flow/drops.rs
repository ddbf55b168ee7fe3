//! Segments that the kernel dropped, kept until the flow that they belong to is judged. A drop is known before its flow
//! is: the client's socket tells of itself when its connect ends, which may take minutes.

use super::leg::{Leg, LegEnd};
use crate::net::{Cookie, Endpoint, Ktime, Name};
use crate::socket::{Dropped, Segment};
use smallvec::SmallVec;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// How often each reason was heard.
pub type Reasons = SmallVec<[(Name, u64); 1]>;

/// What one connection lost.
#[derive(Clone, Debug)]
pub struct Losses {
    pub first: Ktime,
    pub client: Endpoint,
    /// As it was dialled, or what NAT had made of it by then.
    pub server: Endpoint,
    /// The SYN or its answer was among them.
    pub opening: bool,
    pub reasons: Reasons,
}

/// Which connection a segment belongs to. Peers choose sequence numbers, so the map's hash is keyed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Owner {
    /// Client's initial sequence number and whichever of the addresses no NAT changes.
    Opening(u32),
    Socket(Cookie),
    /// The lower endpoint first.
    Between(Endpoint, Endpoint),
}

#[derive(Debug, Default)]
pub(super) struct Drops {
    losses: HashMap<Owner, Losses>,
    order: VecDeque<(Ktime, Owner)>,
    /// SYNs that may be nobody's here, and when that is decided.
    unclaimed: VecDeque<(Ktime, u32)>,
}

/// Longer than any kernel tries to connect.
const KEPT: Duration = Duration::from_secs(150);
const MOST: usize = 8192;

impl Drops {
    /// `patience`: after this long a SYN that belongs to no socket of this node is told by itself.
    pub(super) fn take(&mut self, dropped: &Dropped, patience: Duration) {
        let Dropped { at, reason, source, destination, cookie, netns: _, segment } = dropped;
        self.expire(*at);
        let (owner, client, server) = match (segment, cookie) {
            (Segment::Syn { client_isn }, _) => (Owner::Opening(*client_isn), *source, *destination),
            (Segment::SynAnswer { client_isn }, _) => (Owner::Opening(*client_isn), *destination, *source),
            (Segment::Other, Some(cookie)) => (Owner::Socket(*cookie), *source, *destination),
            (Segment::Other, None) => (between(*source, *destination), *source, *destination),
        };
        let opening = matches!(owner, Owner::Opening(_));
        let known = self.losses.len();
        let losses = self.losses.entry(owner).or_insert_with(|| Losses {
            first: *at,
            client,
            server,
            opening,
            reasons: Reasons::new(),
        });
        match losses.reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, count)) => *count += 1,
            None => losses.reasons.push((reason.clone(), 1)),
        }
        if self.losses.len() > known {
            self.order.push_back((*at, owner));
            if let Segment::Syn { client_isn } = segment {
                self.unclaimed.push_back((*at + patience, *client_isn));
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.losses.is_empty()
    }

    /// What this leg lost.
    pub(super) fn of<'a>(&'a self, leg: &Leg) -> impl Iterator<Item = &'a Losses> + use<'a> {
        let opening = leg.client_isn().map(Owner::Opening).and_then(|owner| self.losses.get(&owner));
        // A sequence number is 32 bits of anybody's choice: one of the addresses must fit too.
        let opening = opening.filter(|losses| ends(leg).any(|end| touches(losses, end)));
        let sockets = ends(leg).map(|end| Owner::Socket(end.socket.cookie));
        let tuples = ends(leg).map(|end| between(end.socket.local, end.socket.remote));
        let other: SmallVec<[&Losses; 2]> = sockets
            .chain(tuples)
            .filter_map(|owner| self.losses.get(&owner))
            .filter(|losses| losses.first >= leg.since())
            .collect();
        opening.into_iter().chain(other)
    }

    /// This leg's flow was judged: what it lost was told with it.
    pub(super) fn claim(&mut self, leg: &Leg) {
        if self.losses.is_empty() {
            return;
        }
        for owner in leg.client_isn().map(Owner::Opening).into_iter().chain(
            ends(leg).flat_map(|end| [Owner::Socket(end.socket.cookie), between(end.socket.local, end.socket.remote)]),
        ) {
            self.losses.remove(&owner);
        }
    }

    pub(super) fn next_due(&self) -> Option<Ktime> {
        self.unclaimed.front().map(|(at, _)| *at)
    }

    /// The next SYN whose time to be claimed has passed. Gone already where it was claimed.
    pub(super) fn pop_unclaimed(&mut self, now: Ktime) -> Option<(Ktime, u32)> {
        self.unclaimed.front().filter(|(at, _)| *at <= now)?;
        self.unclaimed.pop_front()
    }

    pub(super) fn opening(&self, client_isn: u32) -> Option<&Losses> {
        self.losses.get(&Owner::Opening(client_isn))
    }

    fn expire(&mut self, now: Ktime) {
        while self.order.front().is_some_and(|(at, _)| now.since(*at) > KEPT || self.order.len() >= MOST) {
            let Some((_, owner)) = self.order.pop_front() else { return };
            self.losses.remove(&owner);
        }
    }
}

fn ends(leg: &Leg) -> impl Iterator<Item = &LegEnd> {
    leg.client.iter().chain(&leg.server)
}

fn touches(losses: &Losses, end: &LegEnd) -> bool {
    let ours = [end.socket.local.ip, end.socket.remote.ip];
    ours.contains(&losses.client.ip) || ours.contains(&losses.server.ip)
}

fn between(a: Endpoint, b: Endpoint) -> Owner {
    Owner::Between(a.min(b), a.max(b))
}
