//! From what a proxy accepted to what it opened for it. The kernel does not say: a proxy's inbound and outbound
//! connections are two. A SYN of the proxy that exactly one accepted connection can have caused is claimed by that
//! one; a SYN that several can have caused is claimed by none, and all of them are marked.

use super::leg::{Leg, LegEnd, LegKey, Role, Side};
use super::view::FlowView;
use super::{FlowTable, Foresight, role};
use crate::net::{Endpoint, Ktime};
use crate::socket::Payload;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// One network namespace with a proxy in it.
#[derive(Debug, Default)]
pub(super) struct Quarter {
    /// Captured legs whose upstream leg is not known.
    captures: Vec<LegKey>,
    /// Inbound legs whose local leg is not known.
    inbounds: Vec<LegKey>,
    /// Threads of the proxy that were seen to open a claimed connection.
    workers: SmallVec<[u32; 4]>,
    /// Addresses dialled by captured flows that were counted and are still open: the proxy may dial them again for
    /// later requests.
    carried: FxHashMap<Endpoint, u32>,
}

impl Quarter {
    fn waiting(&mut self, role: Role) -> &mut Vec<LegKey> {
        if role == Role::Local { &mut self.inbounds } else { &mut self.captures }
    }

    pub(super) fn carry(&mut self, dialled: Endpoint) {
        *self.carried.entry(dialled).or_default() += 1;
    }

    pub(super) fn put_down(&mut self, dialled: Endpoint) {
        if let Some(count) = self.carried.get_mut(&dialled) {
            *count -= 1;
            if *count == 0 {
                self.carried.remove(&dialled);
            }
        }
    }

    fn learn(&mut self, tid: u32) {
        if tid != 0 && !self.workers.contains(&tid) {
            self.workers.push(tid);
        }
    }
}

impl FlowTable {
    /// Whether an unclaimed connection of the proxy's uid is the proxy's own doing: a later request on a kept-alive
    /// connection, a pool, a retry for a flow that was judged already. Else an application runs with that uid.
    pub fn is_proxys_own(&self, leg: &Leg) -> bool {
        let Some(client) = &leg.client else { return false };
        if role::is_ztunnels(&client.socket)
            || matches!(leg.client_sent(), Some(first) if matches!(&first.payload, Payload::ClientHello(hello) if hello.is_mesh()))
        {
            return true;
        }
        self.quarters.get(&client.socket.owner.netns).is_some_and(|quarter| {
            quarter.workers.contains(&client.socket.owner.tid) || quarter.carried.contains_key(&client.socket.remote)
        })
    }

    /// A proxy accepted this leg: what it opens from now on may be for it.
    pub(super) fn await_claims(&mut self, key: LegKey) {
        let Some(server) = self.leg(key).and_then(|leg| leg.server.as_ref()) else { return };
        let (netns, adopted) = (server.socket.owner.netns, server.adopted);
        let opens = match server.role {
            Role::Capture => Role::Proxy,
            Role::Inbound => Role::Local,
            _ => return,
        };
        let waiting = self.quarters.entry(netns).or_default().waiting(opens);
        if !adopted && !waiting.contains(&key) {
            waiting.push(key);
        }
    }

    /// Finds out for whom a proxy opened `key`.
    pub(super) fn claim(&mut self, key: LegKey, foresight: &mut impl Foresight) {
        let Some(client) = self.leg(key).and_then(|leg| leg.client.as_ref()) else { return };
        let (netns, role, since) = (client.socket.owner.netns, client.role, client.since);
        let tid = client.socket.owner.tid;
        let waiting = std::mem::take(self.quarters.entry(netns).or_default().waiting(role));
        let may = |parent: &LegKey| self.may_have_opened(*parent, key, foresight);
        let claimants: SmallVec<[LegKey; 4]> = waiting.iter().copied().filter(may).collect();
        let alive = self.leg(key).is_some_and(Leg::alive);
        let quarter = self.quarters.entry(netns).or_default();
        *quarter.waiting(role) = waiting;
        match claimants[..] {
            [parent] => {
                quarter.learn(tid);
                if alive {
                    quarter.waiting(role).retain(|waiting| *waiting != parent);
                }
                if let Some(parent) = self.leg_mut(parent) {
                    parent.children.push(key);
                }
                if let Some(leg) = self.leg_mut(key) {
                    leg.parent = Some(parent);
                }
                self.check_claim(key, foresight);
                self.wake(key, since + self.limits.verdict);
            }
            [] => {
                let bystanders = quarter.waiting(role).clone();
                for bystander in bystanders {
                    if let Some(leg) = self.leg_mut(bystander) {
                        leg.unexplained |= leg.since() <= since;
                    }
                }
            }
            _ => {
                for one in claimants.into_iter().chain([key]) {
                    if let Some(leg) = self.leg_mut(one) {
                        leg.ambiguous = true;
                    }
                }
            }
        }
    }

    /// The SNI of a claimed leg must be one that the walk foresees for its flow; else the claim was wrong.
    pub(super) fn check_claim(&mut self, key: LegKey, foresight: &mut impl Foresight) {
        let Some(leg) = self.leg(key) else { return };
        let (Some(parent), Some(client)) = (leg.parent, &leg.client) else { return };
        let Some(Payload::ClientHello(hello)) = leg.client_sent().map(|first| &first.payload) else { return };
        if client.role != Role::Proxy || !hello.is_mesh() {
            return;
        }
        let Some(sni) = hello.sni.clone() else { return };
        let to = client.socket.remote;
        let confirmed = self.view(self.root_of(key)).is_none_or(|flow| foresight.confirms(&flow, to, &sni));
        if confirmed {
            return;
        }
        if let Some(parent) = self.leg_mut(parent) {
            parent.children.retain(|child| *child != key);
            parent.ambiguous = true;
        }
        if let Some(leg) = self.leg_mut(key) {
            leg.parent = None;
            leg.ambiguous = true;
        }
    }

    /// A claimed leg ended: its proxy may try again. What a tunnel carries next is another connection, not another try.
    pub(super) fn reopen_claims(&mut self, key: LegKey) {
        let Some(parent) = self.leg(key).and_then(|leg| leg.parent) else { return };
        let tunnel = |end: &LegEnd| end.socket.local.port == role::HBONE;
        if !self.leg(parent).and_then(|leg| leg.server.as_ref()).is_some_and(tunnel) {
            self.await_claims(parent);
        }
    }

    pub(super) fn stop_waiting(&mut self, key: LegKey) {
        let Some(server) = self.leg(key).and_then(|leg| leg.server.as_ref()) else { return };
        let netns = server.socket.owner.netns;
        let opens = match server.role {
            Role::Capture => Role::Proxy,
            Role::Inbound => Role::Local,
            _ => return,
        };
        if let Some(quarter) = self.quarters.get_mut(&netns) {
            quarter.waiting(opens).retain(|waiting| *waiting != key);
        }
    }

    /// Whether the connection that the proxy accepted as `parent` can be why it opened `child`.
    fn may_have_opened(&self, parent: LegKey, child: LegKey, foresight: &mut impl Foresight) -> bool {
        if self.root_of(parent) == child {
            return false;
        }
        let (Some(parent), Some(child)) = (self.leg(parent), self.leg(child)) else { return false };
        let (Some(server), Some(client)) = (&parent.server, &child.client) else { return false };
        let syn = client.since;
        if server.since > syn || parent.closed_at().is_some_and(|closed| closed < syn) || answered(parent, syn) {
            return false;
        }
        if !self.free_for(parent, client) {
            return false;
        }
        let Some(flow) = self.view(self.root_of(parent.key)) else { return false };
        match client.role {
            Role::Local => {
                let port_fits = parent.client.as_ref().is_none_or(|accepted_from| {
                    let dialled = accepted_from.socket.remote;
                    dialled.ip != client.socket.remote.ip || dialled.port == client.socket.remote.port
                });
                port_fits && foresight.hands_on(&flow, said_by(parent, syn), client.socket.remote.port)
            }
            _ => foresight.expects(&flow, client.socket.remote, syn),
        }
    }

    /// A flow has one live leg at a time, and a retry stays on the worker thread of the try before.
    fn free_for(&self, parent: &Leg, client: &LegEnd) -> bool {
        parent.children.iter().filter_map(|child| self.leg(*child)).all(|earlier| {
            let same_worker = earlier
                .client
                .as_ref()
                .is_none_or(|end| end.socket.owner.tid == client.socket.owner.tid || end.socket.owner.tid == 0);
            !earlier.alive() && same_worker
        })
    }
}

/// Whether the accepted connection had its answer by then: what it asked for was carried already.
fn answered(parent: &Leg, by: Ktime) -> bool {
    let carried_elsewhere = |payload: &Payload| !matches!(payload, Payload::TlsAnswer { .. });
    parent.server_sent().is_some_and(|first| first.at <= by && carried_elsewhere(&first.payload))
}

fn said_by(parent: &Leg, by: Ktime) -> Option<&Payload> {
    parent.client_sent().filter(|first| first.at <= by).map(|first| &first.payload)
}

/// Which leg of a flow a view is asked about.
impl FlowView<'_> {
    /// The first bytes that the application had sent by `by`.
    pub fn said_by(&self, by: Ktime) -> Option<&Payload> {
        self.root.client_sent().filter(|first| first.at <= by).map(|first| &first.payload)
    }

    /// The side of the application's leg that this node has, the client's if both.
    pub fn near_side(&self) -> Side {
        if self.root.client.is_some() { Side::Client } else { Side::Server }
    }
}
