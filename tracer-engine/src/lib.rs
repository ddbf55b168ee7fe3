//! The pure core of mesh-tracer: facts and kernel events go in, records come out.

pub mod net;
pub mod socket;
pub mod input;
pub mod flow;
pub mod mesh;
pub mod verdict;
pub mod walk;
pub mod evidence;
pub mod classify;
pub mod explain;
pub mod remedy;
pub mod record;

use classify::{Classifier, Deadlines, Judgement};
use flow::{Change, Ended, FlowTable, HowEnded, LegKey, Limits, Tally};
use input::Input;
use mesh::facts::{Delta, Kind};
use mesh::index::Index;
use net::Ktime;
use record::{DropsRecord, FactsRecord, FlowEnd, FlowId, Outcome, Record};
use remedy::Patch;
use socket::{DropCount, SocketEvent};
use std::time::Duration;
use verdict::Verdict;
use walk::outcome::Call;

/// A fold over inputs. It has no clock, does no I/O and cannot fail; the same inputs give the same records.
#[derive(Debug)]
pub struct Engine {
    index: Index,
    flows: FlowTable,
    classifier: Classifier,
    /// The latest time that any input bore.
    now: Ktime,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// A flow is counted at the latest this long after its last leg was ESTABLISHED.
    pub verdict_deadline: Duration,
    /// This much silence on an established connection is a stall.
    pub stall_deadline: Duration,
    /// How long after an event a flow is judged: what happened at the same moment on another cpu, or at the
    /// connection's other end on this node, is known by then.
    pub settle: Duration,
    /// Whether the kernel reads first payloads.
    pub first_bytes: bool,
    /// Whether pods of other nodes are told of: else nobody waits for them.
    pub pods_of_all_nodes: bool,
    /// Counted flows that are kept until they close.
    pub max_open_flows: usize,
    /// Connections that are kept until their flow is counted.
    pub max_undecided: usize,
}

/// Flows that are judged before the caller gets its thread back: the rest are due at once.
const SLICE: usize = 512;

impl Default for Config {
    fn default() -> Self {
        Self {
            verdict_deadline: Duration::from_secs(2),
            stall_deadline: Duration::from_secs(5),
            settle: Duration::from_millis(50),
            first_bytes: true,
            pods_of_all_nodes: true,
            max_open_flows: 2_000_000,
            max_undecided: 1_000_000,
        }
    }
}

impl Engine {
    pub fn new(config: Config) -> Self {
        let Config {
            verdict_deadline,
            stall_deadline,
            settle,
            first_bytes,
            pods_of_all_nodes,
            max_open_flows,
            max_undecided,
        } = config;
        let limits = Limits { settle, verdict: verdict_deadline, open: max_open_flows, undecided: max_undecided };
        Self {
            index: Index::new(),
            flows: FlowTable::new(limits),
            classifier: Classifier::new(
                Deadlines { verdict: verdict_deadline, stall: stall_deadline, first_bytes },
                pods_of_all_nodes,
            ),
            now: Ktime::default(),
        }
    }

    /// Takes in one thing and says what follows from it.
    pub fn handle(&mut self, input: Input, emit: &mut impl FnMut(Record)) {
        match input {
            Input::Socket(event) => {
                // Whatever was due before this happened is judged without it.
                self.advance(event.at, emit);
                self.socket(&event, emit);
            }
            Input::Dropped(dropped) => {
                self.advance(dropped.at, emit);
                self.flows.drop_segment(&dropped);
            }
            Input::DropCount(DropCount { at, reason, between, count }) => {
                self.advance(at, emit);
                let who = |ip| self.index.resolve(ip, at);
                let between = between.map(|(source, destination)| (who(source), who(destination)));
                emit(Record::Drops(DropsRecord { at, reason, between, count }));
            }
            Input::CgroupOwner(owner) => {
                self.advance(owner.at, emit);
                self.index.introduce(&owner);
            }
            Input::Facts { at, delta } => {
                self.advance(at, emit);
                self.learn(at, &delta, emit);
            }
            Input::Tick(now) => self.advance(now, emit),
            Input::Lost { at, count } => {
                self.advance(at, emit);
                self.flows.lose(count);
            }
        }
    }

    /// No more inputs come: each flow that has no verdict yet gets the one that is known by now. That something was not
    /// seen proves nothing here, and a SYN that is still unanswered is nobody's failure.
    pub fn drain(&mut self, emit: &mut impl FnMut(Record)) {
        let now = self.now;
        while let Some((key, _)) = self.flows.pop_due(Ktime(u64::MAX)) {
            let Some(flow) = self.flows.view(key) else { continue };
            if let Some(opinion) = self.classifier.last_word(&self.index, &flow, now) {
                emit(Record::Flow(Box::new(opinion.record(&self.index, &flow, now, None))));
            }
        }
    }

    /// When the next `Input::Tick` is wanted.
    pub fn next_tick(&self) -> Option<Ktime> {
        self.flows.next_due()
    }

    /// The facts, for whoever asks about them beside the flows.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// What would mend a call that came to this verdict. The facts are afterwards as they were before.
    pub fn patch(&mut self, call: &Call, verdict: &Verdict, as_of: Ktime) -> Option<Patch> {
        remedy::patch(&mut self.index, call, verdict, as_of)
    }

    fn socket(&mut self, event: &SocketEvent, emit: &mut impl FnMut(Record)) {
        match self.flows.apply(event, &mut self.classifier.facts(&self.index)) {
            Some(Change::Ended(ended)) => emit(Record::End(end(ended))),
            Some(Change::Retransmitted(key)) => self.connecting(key, event.at, emit),
            None => {}
        }
    }

    fn learn(&mut self, at: Ktime, delta: &Delta, emit: &mut impl FnMut(Record)) {
        self.index.apply(at, delta);
        self.classifier.changed(&self.index, at);
        let kind = kind(delta);
        let (objects, synced) = (self.index.objects(kind), self.index.synced(kind));
        emit(Record::Facts(FactsRecord { kind, objects, synced, at }));
    }

    fn advance(&mut self, to: Ktime, emit: &mut impl FnMut(Record)) {
        self.now = self.now.max(to);
        for _ in 0..SLICE {
            // As of when it was due: what is said does not depend on how often the caller ticks.
            let Some((key, at)) = self.flows.pop_due(self.now) else { break };
            self.judge(key, at, emit);
        }
        while let Some((at, serial, losses)) = self.flows.pop_unclaimed(self.now) {
            let Some(record) = classify::unclaimed::record(&self.index, serial, &losses, at) else { continue };
            let end = FlowEnd::at_once(&record);
            emit(Record::Flow(Box::new(record)));
            emit(Record::End(end));
        }
    }

    fn judge(&mut self, key: LegKey, now: Ktime, emit: &mut impl FnMut(Record)) {
        let told = self.flows.told(key);
        let Some(flow) = self.flows.view(key) else { return };
        let judgement = self.classifier.judge(&self.index, &flow, now);
        let (tally, revisable) = match (judgement, told) {
            (Judgement::Count(opinion), _) => {
                let Verdict { class, reason, .. } = opinion.verdict;
                let tally = Tally { reporter: opinion.reporter, class, reason };
                let revises = told.filter(|told| *told != tally).map(|told| (told.class, told.reason));
                let revisable = opinion.is_stall();
                if told.is_none() || revises.is_some() {
                    emit(Record::Flow(Box::new(opinion.record(&self.index, &flow, now, revises))));
                }
                (tally, revisable)
            }
            (Judgement::Stands, Some(tally)) => (tally, true),
            (Judgement::Wait(Some(at)), _) => {
                drop(flow);
                return self.flows.wake(key, at);
            }
            (Judgement::Nobodys, _) => {
                drop(flow);
                return self.flows.drop_flow(key);
            }
            (Judgement::Wait(None) | Judgement::Stands, _) => return,
        };
        drop(flow);
        for ended in self.flows.count(key, tally, revisable) {
            emit(Record::End(end(ended)));
        }
    }

    /// A SYN was sent again: told at the first and the third time.
    fn connecting(&mut self, key: LegKey, at: Ktime, emit: &mut impl FnMut(Record)) {
        if !self.flows.tell_retransmission(key) {
            return;
        }
        let Some(flow) = self.flows.view(key) else { return };
        if let Some(opinion) = self.classifier.still_connecting(&self.index, &flow, at) {
            emit(Record::Connecting(Box::new(opinion.record(&self.index, &flow, at, None))));
        }
    }
}

fn end(ended: Ended) -> FlowEnd {
    let Ended { serial, tally, at, how, bytes_sent, bytes_received, duration } = ended;
    let Tally { reporter, class, reason } = tally;
    let outcome = match how {
        HowEnded::Closed => Outcome::Closed,
        HowEnded::Reset => Outcome::Reset,
        // The last that was seen of it.
        HowEnded::GivenUp | HowEnded::Unseen { opened: true } => Outcome::Established,
        HowEnded::Unseen { opened: false } => Outcome::StillConnecting,
        HowEnded::Failed(error) => classify::outcome_of(error, false),
    };
    FlowEnd { at, id: FlowId(serial), reporter, class, reason, outcome, bytes_sent, bytes_received, duration }
}

fn kind(delta: &Delta) -> Kind {
    match delta {
        Delta::Upsert(fact) => fact.kind(),
        Delta::Remove(kind, _) | Delta::Synced(kind) => *kind,
    }
}
