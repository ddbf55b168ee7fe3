//! One flow, whole: the leg that the application opened and those that carried it.

use super::FlowTable;
use super::drops::Losses;
use super::leg::{Leg, LegEnd, Role, Side};
use crate::net::Ktime;
use smallvec::SmallVec;

#[derive(Clone, Debug)]
pub struct FlowView<'a> {
    /// The application's leg. Of a flow seen from its destination alone: the leg between the pods.
    pub root: &'a Leg,
    /// What the source's proxy opened for it, in order; retries make several.
    pub upstream: SmallVec<[&'a Leg; 3]>,
    /// What the destination's proxy opened for it, in order.
    pub local: SmallVec<[&'a Leg; 3]>,
    /// Events that the kernel lost, of all flows, since the first was seen of this one.
    pub events_lost: u64,
    /// A verdict was told and may be revised.
    pub told: bool,
    /// Segments of it that the kernel dropped, by the leg that lost them.
    pub dropped: SmallVec<[(&'a Leg, &'a Losses); 1]>,
    /// Nothing that its proxy accepted explains this connection of a proxy's uid, but the proxy itself does.
    pub proxys_own: bool,
}

impl<'a> FlowView<'a> {
    pub(super) fn new(table: &'a FlowTable, root: &'a Leg) -> Self {
        let children = |leg: &'a Leg| leg.children.iter().filter_map(|key| table.leg(*key));
        let mut upstream = SmallVec::new();
        let mut local = SmallVec::new();
        for child in children(root) {
            if child.role(Side::Client) == Some(Role::Local) {
                local.push(child);
            } else {
                local.extend(children(child));
                upstream.push(child);
            }
        }
        let events_lost = table.lost - root.lost_before;
        let proxys_own = root.role(Side::Client) == Some(Role::Proxy) && table.is_proxys_own(root);
        let mut view = Self {
            root,
            upstream,
            local,
            events_lost,
            told: root.told.is_some(),
            dropped: SmallVec::new(),
            proxys_own,
        };
        if !table.drops.is_empty() {
            view.dropped = view.legs().flat_map(|leg| table.drops.of(leg).map(move |losses| (leg, losses))).collect();
        }
        view
    }

    /// The leg that leaves the source's pod: the last upstream leg of a captured flow, else the application's own.
    pub fn hop(&self) -> Option<&'a Leg> {
        if self.captured() { self.upstream.last().copied() } else { Some(self.root) }
    }

    /// The source's proxy accepted the application's leg.
    pub fn captured(&self) -> bool {
        self.root.server.as_ref().is_some_and(|end| end.role == Role::Capture)
    }

    pub fn legs(&self) -> impl Iterator<Item = &'a Leg> {
        [self.root].into_iter().chain(self.upstream.iter().copied()).chain(self.local.iter().copied())
    }

    /// The socket at which the flow was first seen, and whose end is the flow's end.
    pub fn near(&self) -> Option<&'a LegEnd> {
        self.root.client.as_ref().or(self.root.server.as_ref())
    }

    /// What its proxies opened could not be told from what they opened for others.
    pub fn ambiguous(&self) -> bool {
        self.legs().any(|leg| leg.ambiguous)
    }

    /// Its beginning was not seen.
    pub fn adopted(&self) -> bool {
        self.near().is_some_and(|end| end.adopted)
    }

    /// All that its proxies did for it was seen, so that what was not seen did not happen.
    pub fn complete(&self) -> bool {
        self.events_lost == 0 && !self.ambiguous() && !self.adopted() && !self.root.unexplained
    }

    /// A SYN of the flow is out and unanswered.
    pub fn connecting(&self) -> bool {
        self.legs().any(Leg::connecting)
    }

    /// When the last of its legs was ESTABLISHED.
    pub fn opened(&self) -> Option<Ktime> {
        self.legs().filter_map(Leg::opened).max()
    }

    /// Times that a SYN of the flow was sent again.
    pub fn retransmits(&self) -> u32 {
        self.legs().filter_map(|leg| leg.client.as_ref()).map(|end| u32::from(end.retransmits)).sum()
    }
}
