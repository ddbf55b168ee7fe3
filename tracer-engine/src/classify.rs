//! The only place that reasons over walk and flow: asks the walk about a flow, strikes out what the evidence
//! contradicts, names what remains, and says when that is to be counted.

mod call;
mod dialled;
mod fates;
mod foresight;
mod name;
mod news;
mod predict;
mod report;
mod strike;
pub(crate) mod unclaimed;
mod walks;

pub use foresight::Facts;
pub use predict::{foretold, predict};
pub use report::Opinion;
pub(crate) use report::{chosen_service, outcome_of, party};

use crate::evidence::{Circumstances, Evidence, Seen, collect};
use crate::flow::{FlowView, LegEnd, Role, is_inbound_bind};
use crate::mesh::index::Index;
use crate::net::Ktime;
use crate::record::Reporter;
use crate::verdict::{Basis, Reason, Verdict};
use crate::walk::outcome::Outcome;
use call::Calls;
use fates::{Candidate, Fate, Hints};
use name::Open;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;
use walks::Walks;

#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// After the last leg is ESTABLISHED a flow is judged by what is known.
    pub verdict: Duration,
    /// This much silence is a stall.
    pub stall: Duration,
    /// First payloads are read at all.
    pub first_bytes: bool,
}

#[derive(Debug)]
pub struct Classifier {
    deadlines: Deadlines,
    /// Pods of other nodes are told of too.
    everywhere: bool,
    walks: Walks,
}

/// What is to be done about a flow now.
#[derive(Debug)]
pub enum Judgement {
    /// Look again then, or when something happens.
    Wait(Option<Ktime>),
    /// A proxy's own connection, or the end of one whose beginning is not known: no flow.
    Nobodys,
    Count(Box<Opinion>),
    /// What was told stands.
    Stands,
}

/// A SYN that hangs for longer than any kernel tries: its end was lost.
const HANGING: Duration = Duration::from_mins(5);

/// The deadline does not run while a leg that the walk expects is not ESTABLISHED. A proxy tries for ten seconds.
const UPSTREAM: Duration = Duration::from_secs(12);

impl Classifier {
    pub fn new(deadlines: Deadlines, everywhere: bool) -> Self {
        Self { deadlines, everywhere, walks: Walks::default() }
    }

    /// The facts changed at `at`.
    pub fn changed(&mut self, index: &Index, at: Ktime) {
        self.walks.changed(index, at);
    }

    /// What the facts say to a table of flows.
    pub fn facts<'a>(&'a mut self, index: &'a Index) -> Facts<'a> {
        Facts { index, walks: &mut self.walks, first_bytes: self.deadlines.first_bytes }
    }

    /// Whether the flow is to be counted now, and as what.
    pub fn judge(&mut self, index: &Index, flow: &FlowView<'_>, now: Ktime) -> Judgement {
        let Some(reporter) = reporter(flow) else { return Judgement::Nobodys };
        if flow.connecting() {
            let hanging = now.since(flow.root.since()) >= HANGING;
            return if hanging { Judgement::Nobodys } else { Judgement::Wait(None) };
        }
        if flow.told && is_silent(flow) {
            return Judgement::Stands;
        }
        if let Some(at) = news::awaited(index, flow, now, self.everywhere).filter(|_| !flow.told) {
            return Judgement::Wait(Some(at));
        }
        let over = flow.near().is_some_and(LegEnd::ended);
        let opened = flow.opened().unwrap_or(flow.root.since());
        let deadline = opened + self.deadlines.verdict;
        let case = self.case(index, flow, reporter, now, over || now >= deadline);
        let open = case.open();
        let settled = case.decided() && name::agreed(&open).is_some();
        if over || settled || case.seen.contains(&Evidence::Silent) {
            return Judgement::Count(Box::new(case.opinion(&open)));
        }
        let stalls = |candidate: &Candidate<'_>| candidate.reason() == Reason::ServerFirstStall;
        let stalled = opened + self.deadlines.stall;
        if is_silent(flow) && self.deadlines.first_bytes && now < stalled && open.iter().any(stalls) {
            return Judgement::Wait(Some(stalled));
        }
        let latest = opened + UPSTREAM;
        if flow.complete() && now < latest && open.iter().any(|candidate| lacks_upstream(flow, candidate)) {
            return Judgement::Wait(Some(latest));
        }
        if now < deadline {
            return Judgement::Wait(Some(deadline));
        }
        Judgement::Count(Box::new(case.opinion(&open)))
    }

    /// What can be said of a flow whose SYN is unanswered: what is still open.
    pub fn still_connecting(&mut self, index: &Index, flow: &FlowView<'_>, now: Ktime) -> Option<Box<Opinion>> {
        let case = self.case(index, flow, reporter(flow)?, now, false);
        let open = case.open();
        let verdict = name::undetermined(&open, &case.hints);
        Some(Box::new(Opinion { verdict, ..case.opinion(&open) }))
    }

    /// What is known of a flow that has no verdict, now that nothing more will be.
    pub fn last_word(&mut self, index: &Index, flow: &FlowView<'_>, now: Ktime) -> Option<Box<Opinion>> {
        let reporter = reporter(flow)?;
        if flow.told || flow.connecting() {
            return None;
        }
        let over = flow.near().is_some_and(LegEnd::ended);
        let case = self.case(index, flow, reporter, now, over);
        Some(Box::new(case.opinion(&case.open())))
    }

    /// A flow of this node with all that is known of it; `None`: nobody's.
    pub fn open_case<'a, 'v>(&mut self, index: &Index, flow: &'v FlowView<'a>, now: Ktime) -> Option<Case<'a, 'v>> {
        Some(self.case(index, flow, reporter(flow)?, now, false))
    }

    fn case<'a, 'v>(
        &mut self,
        index: &Index,
        flow: &'v FlowView<'a>,
        reporter: Reporter,
        now: Ktime,
        over: bool,
    ) -> Case<'a, 'v> {
        let Deadlines { stall, first_bytes, .. } = self.deadlines;
        let seen = collect(flow, Circumstances { now, stall, over, first_bytes });
        let dialled = flow.root.client.as_ref().map(|client| client.socket.remote.ip);
        let as_of = news::as_of(index, flow);
        let mut hints = Hints::new(index, &seen, dialled, as_of);
        if !first_bytes {
            hints.without_first_bytes(flow.root.client_bytes(), flow.root.server_bytes());
        }
        let calls = match reporter {
            Reporter::Source => Calls::from_iter(call::from_source(index, flow, call::sends(flow, &seen))),
            Reporter::Destination => call::from_destination(index, flow, &seen),
        };
        let walked = calls.iter().map(|call| self.walks.outcomes(index, call, as_of)).collect();
        let near = flow.near().filter(|_| !flow.root.server_spoke());
        let blind = near.is_some_and(|near| news::has_unknown(index, &near.socket, as_of));
        Case { flow, reporter, seen, hints, calls, walked, blind }
    }
}

/// One flow before its judge.
pub struct Case<'a, 'v> {
    flow: &'v FlowView<'a>,
    reporter: Reporter,
    seen: Seen<'a>,
    hints: Hints,
    calls: Calls,
    walked: SmallVec<[Arc<[Outcome]>; 2]>,
    /// Nothing is known of one of its ends, and nobody answered.
    blind: bool,
}

impl Case<'_, '_> {
    /// Strike out.
    fn open(&self) -> Open<'_> {
        let candidates = self.walked.iter().flat_map(|outcomes| outcomes.iter()).flat_map(|o| self.hints.forks(o));
        candidates.filter(|candidate| !self.seen.iter().any(|piece| strike::strikes(piece, candidate))).collect()
    }

    fn decided(&self) -> bool {
        self.seen.iter().any(Evidence::decisive)
    }

    /// Strike out and name.
    pub fn verdict(&self) -> Verdict {
        self.named(&self.open())
    }

    fn named(&self, open: &Open<'_>) -> Verdict {
        let basis = if self.decided() { Basis::Observed } else { Basis::Predicted };
        // From the destination alone what was dialled is not known, so that nothing fits contradicts nothing.
        let contradicts =
            open.is_empty() && self.reporter == Reporter::Source && !self.walked.iter().all(|w| w.is_empty());
        if contradicts {
            let walked = self.walked.iter().flat_map(|outcomes| outcomes.iter());
            let walked = walked.map(|outcome| Candidate { outcome, fate: Fate::Walked }).collect();
            name::contradiction(&walked, &self.hints)
        } else {
            name::sure(name::name(open, &self.hints, basis), self.blind)
        }
    }

    fn opinion(&self, open: &Open<'_>) -> Opinion {
        let opinion = Opinion::new(self.named(open), self.reporter, self.flow, &self.seen, open);
        Opinion { calls: self.calls.clone(), ..opinion }
    }
}

/// Which end of the flow this node has. `None`: it is a proxy's own connection, or the seam between a proxy and its
/// application of which the other part was not seen.
fn reporter(flow: &FlowView<'_>) -> Option<Reporter> {
    match (flow.root.client.as_ref(), flow.root.server.as_ref()) {
        (Some(client), _) => match client.role {
            Role::Proxy if flow.root.ambiguous || flow.proxys_own || client.adopted => None,
            Role::App | Role::Proxy => Some(Reporter::Source),
            _ => None,
        },
        (None, Some(server)) => match server.role {
            Role::Inbound if !server.adopted => Some(Reporter::Destination),
            Role::Accepted if !is_inbound_bind(server.socket.remote.ip) => Some(Reporter::Destination),
            _ => None,
        },
        (None, None) => None,
    }
}

/// On a TCP chain the proxy opens a connection of its own for every one that it accepts.
fn lacks_upstream(flow: &FlowView<'_>, candidate: &Candidate<'_>) -> bool {
    let path = &candidate.outcome.path;
    let ready = !path.source_sniffs || flow.root.client_spoke();
    flow.captured() && flow.upstream.is_empty() && path.captured && !path.http_chain && path.hop.is_some() && ready
}

fn is_silent(flow: &FlowView<'_>) -> bool {
    !flow.root.client_spoke() && !flow.root.server_spoke()
}
