//! 4,484 calls as a kernel would show them. `tests/truth` says for each what both proxies do with it (listener, chain,
//! hop, filter chain); here that is played as the connections that real Envoys make of it, and the engine must come to
//! the recorded verdict: from both ends and from the source's alone exactly, from the destination's alone never to a
//! wrong one.

mod clusters;
mod play;
#[expect(dead_code, reason = "the engine's own tests use more of it")]
#[path = "../../../tracer-engine/tests/flow/wire.rs"]
mod wire;

use clusters::{Asked, Cluster, Truth};
use play::Played;
use std::fmt::Write;
use tracer_engine::input::Input;
use tracer_engine::net::{Ktime, NetNs};
use tracer_engine::record::{FlowRecord, Record};
use tracer_engine::socket::SocketEvent;
use tracer_engine::{Config, Engine};

#[derive(Default)]
struct Score {
    right: usize,
    doubtful: usize,
    unseen: usize,
    wrong: usize,
    listed: String,
}

#[test]
fn from_both_ends() {
    let score = judge(true, |_, _| true);
    assert!(score.wrong == 0 && score.right > 4400, "{score}");
}

#[test]
fn from_the_source_alone() {
    let score = judge(true, |played, event| event.socket.owner.netns == NetNs(played.source));
    assert!(score.wrong == 0 && score.right > 4400, "{score}");
}

#[test]
fn from_the_destination_alone() {
    let score = judge(false, |played, event| {
        event.socket.owner.netns == NetNs(played.destination) && played.source != played.destination
    });
    assert!(score.wrong == 0 && score.right > 1000, "{score}");
}

fn judge(exact: bool, sees: impl Fn(&Played, &SocketEvent) -> bool) -> Score {
    let mut score = Score::default();
    for cluster in clusters::all() {
        for (asked, truth) in cluster.calls.iter().filter(|(_, truth)| truth.class.is_some()) {
            let played = play::play(&cluster, asked, truth);
            let events = played.events.iter().filter(|event| sees(&played, event)).cloned().collect();
            let flows = run(&cluster, events);
            score.add(&cluster, asked, truth, &flows, exact);
        }
    }
    println!("{score}");
    score
}

fn run(cluster: &Cluster, mut events: Vec<SocketEvent>) -> Vec<FlowRecord> {
    events.sort_by_key(|event| event.at);
    let mut engine = Engine::new(Config::default());
    let mut flows = Vec::new();
    let mut emit = |record| {
        if let Record::Flow(flow) = record {
            flows.push(*flow);
        }
    };
    for delta in &cluster.deltas {
        engine.handle(Input::Facts { at: Ktime(1), delta: delta.clone() }, &mut emit);
    }
    for event in events {
        engine.handle(Input::Socket(event), &mut emit);
    }
    while let Some(due) = engine.next_tick() {
        engine.handle(Input::Tick(due), &mut emit);
    }
    flows
}

impl Score {
    fn add(&mut self, cluster: &Cluster, asked: &Asked, truth: &Truth, flows: &[FlowRecord], exact: bool) {
        let [flow] = flows else {
            if exact || flows.len() > 1 {
                self.reject(cluster, asked, truth, &format!("{} flows", flows.len()), flows);
            } else {
                self.unseen += 1;
            }
            return;
        };
        let verdict = &flow.verdict;
        let said = (verdict.class.code(), verdict.reason.map_or("", |reason| reason.code()));
        let among = || verdict.candidates.iter().any(|open| Some(open.reason.code()) == truth.reason.as_deref());
        let truly = (truth.class.as_deref().unwrap_or_default(), truth.reason.as_deref().unwrap_or_default());
        // Where the walk does not know which endpoint it will be, the endpoint that was seen decides.
        let open = truth.class.as_deref() == Some("undetermined");
        if said == truly || open {
            let cause = verdict.cause().map_or("", |cause| cause.code());
            let cause_right = truth.causes.is_empty() || truth.causes.iter().any(|one| one == cause);
            let security_right = truth.security.as_ref().is_none_or(|one| verdict.security.code() == one);
            if open || !exact || cause_right && security_right {
                self.right += 1;
            } else {
                self.reject(cluster, asked, truth, "another cause or security", flows);
            }
        } else if !exact && said.0 == "undetermined" && among() {
            self.doubtful += 1;
        } else {
            self.reject(cluster, asked, truth, "another verdict", flows);
        }
    }

    fn reject(&mut self, cluster: &Cluster, asked: &Asked, truth: &Truth, what: &str, flows: &[FlowRecord]) {
        self.wrong += 1;
        let _ = writeln!(self.listed, "{} #{}: {what}\n  {asked:?}\n  {truth:?}", cluster.name, asked.id);
        for flow in flows {
            let FlowRecord { verdict, evidence, legs_ambiguous, .. } = flow;
            let _ = writeln!(self.listed, "  said {verdict:?} {legs_ambiguous}");
            for piece in evidence {
                let _ = writeln!(self.listed, "    {:?} {:?}: {}", piece.kind, piece.leg, piece.says);
            }
        }
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { right, doubtful, unseen, wrong, listed } = self;
        write!(f, "{right} right, {doubtful} undetermined with the truth among the candidates, ")?;
        write!(f, "{unseen} without a record, {wrong} wrong\n{listed}")
    }
}
