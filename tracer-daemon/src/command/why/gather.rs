//! The flows of the subject, folded by cause while they are read, in any order: of what was said of one flow the last
//! word counts.

use super::super::observe::Named;
use super::subject::Subject;
use crate::sink::wire::{Candidate, Code, Example, Record, Server, Trouble};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use tracer_engine::net::Name;

/// How many pairs of ends a trouble names.
const EXAMPLES: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// By the hash of its id: a flow that went well needs no more than to be told from another.
    flows: HashMap<u64, Sighting>,
    groups: Vec<Group>,
    by_key: HashMap<Key, usize>,
    namespaces: BTreeSet<String>,
    nodes: BTreeSet<Name>,
    behind: BTreeSet<(String, String)>,
}

/// The last word on a flow.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    time: Timestamp,
    /// A group and one of its pairs, where it is in trouble.
    trouble: Option<(usize, usize)>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Key {
    class: Code,
    reason: Option<Code>,
    cause: Option<Code>,
    /// In the order of their spelling.
    candidates: Vec<(Code, Code, Option<Code>)>,
    /// Nobody has answered its SYN yet.
    connecting: bool,
    traffic: Code,
    to: String,
}

#[derive(Debug)]
struct Group {
    key: Key,
    explanation: String,
    remedy: String,
    pairs: Vec<Pair>,
    by_ends: HashMap<(String, String), usize>,
}

/// Who calls whom.
#[derive(Debug)]
struct Pair {
    from: String,
    to: String,
    /// The newest, and when it was.
    id: String,
    time: Timestamp,
}

impl Gathered {
    pub(super) fn take(&mut self, subject: &Subject, record: &Record) {
        let mut ends = subject.at(record).peekable();
        if ends.peek().is_none() {
            return;
        }
        self.namespaces.extend(ends.map(str::to_owned));
        self.behind.extend(subject.workload_behind(record));
        if !self.nodes.contains(&record.node) {
            self.nodes.insert(record.node.clone());
        }
        let flow = hash(&record.id);
        let said_later = self.flows.get(&flow).is_some_and(|last| last.time > record.time);
        if said_later {
            return;
        }
        let trouble = matches!(&*record.class, "rejected" | "undetermined").then(|| self.place(record));
        let sighting = Sighting { time: record.time, trouble };
        match self.flows.entry(flow) {
            // A correction bears the time of its own making; of two at one moment it is the one that corrects.
            Entry::Occupied(last) if last.get().time == record.time && record.revises.is_none() => {}
            Entry::Occupied(mut last) => drop(last.insert(sighting)),
            Entry::Vacant(place) => drop(place.insert(sighting)),
        }
    }

    pub(super) fn flows(&self) -> u64 {
        self.flows.len() as u64
    }

    pub(super) fn namespaces(&self) -> &BTreeSet<String> {
        &self.namespaces
    }

    pub(super) fn nodes(&self) -> Vec<Name> {
        self.nodes.iter().cloned().collect()
    }

    /// Workloads that were seen behind the Service of the subject's name, and are not of that name themselves.
    pub(super) fn behind(&self) -> BTreeSet<(String, String)> {
        self.behind.clone()
    }

    /// The troubles in the order in which they are told, and how many flows were left out as probes and scrapes.
    pub(super) fn troubles(&self, all: bool) -> (Vec<Trouble>, u64) {
        let mut told: Vec<Option<Trouble>> = self.groups.iter().map(|_| None).collect();
        let mut hidden = 0;
        let mut counts: HashMap<(usize, usize), (u64, Timestamp)> = HashMap::new();
        for Sighting { time, trouble } in self.flows.values() {
            let Some((at, pair)) = *trouble else { continue };
            let group = &self.groups[at];
            if !all && group.key.traffic != "app" {
                hidden += 1;
                continue;
            }
            let trouble = told[at].get_or_insert_with(|| group.open(*time));
            trouble.count += 1;
            trouble.first = trouble.first.min(*time);
            trouble.last = trouble.last.max(*time);
            let (count, last) = counts.entry((at, pair)).or_insert((0, *time));
            *count += 1;
            *last = (*last).max(*time);
        }
        for ((at, pair), (count, last)) in counts {
            let Pair { from, to, id, time: _ } = &self.groups[at].pairs[pair];
            if let Some(trouble) = &mut told[at] {
                trouble.examples.push(Example { from: from.clone(), to: to.clone(), count, id: id.clone(), last });
            }
        }
        let mut told: Vec<Trouble> = told.into_iter().flatten().collect();
        for trouble in &mut told {
            trouble.examples.sort_by(|a, b| (b.count, b.last, &a.from).cmp(&(a.count, a.last, &b.from)));
            trouble.examples.truncate(EXAMPLES);
        }
        told.sort_by(|a, b| {
            let rank = |t: &Trouble| (t.class != "rejected", t.traffic != "app", Reverse(t.count), Reverse(t.last));
            rank(a).cmp(&rank(b)).then_with(|| a.to.cmp(&b.to))
        });
        (told, hidden)
    }

    /// Its group and its pair.
    fn place(&mut self, record: &Record) -> (usize, usize) {
        let key = Key::of(record);
        let at = *self.by_key.entry(key).or_insert_with_key(|key| {
            self.groups.push(Group {
                key: key.clone(),
                explanation: record.explanation.clone(),
                remedy: record.remedy.clone(),
                pairs: Vec::new(),
                by_ends: HashMap::new(),
            });
            self.groups.len() - 1
        });
        (at, self.groups[at].pair(record))
    }
}

impl Key {
    fn of(record: &Record) -> Self {
        let spelled = |Candidate { class, reason, cause }: &Candidate| (class.clone(), reason.clone(), cause.clone());
        let mut candidates: Vec<_> = record.candidates.iter().map(spelled).collect();
        candidates.sort();
        Self {
            class: record.class.clone(),
            reason: record.reason.clone(),
            cause: record.cause.clone(),
            candidates,
            connecting: record.outcome == "still-connecting",
            traffic: record.traffic.clone(),
            to: destination(&record.server),
        }
    }
}

impl Group {
    fn pair(&mut self, record: &Record) -> usize {
        let ends = (Named::from(&record.client).short(), Named::from(&record.server).short());
        let pairs = &mut self.pairs;
        let pair = *self.by_ends.entry(ends).or_insert_with_key(|(from, to)| {
            pairs.push(Pair { from: from.clone(), to: to.clone(), id: record.id.clone(), time: record.time });
            pairs.len() - 1
        });
        let newest = &mut self.pairs[pair];
        if newest.time < record.time {
            newest.time = record.time;
            newest.id.clone_from(&record.id);
        }
        pair
    }

    fn open(&self, at: Timestamp) -> Trouble {
        let Key { class, reason, cause, candidates, connecting, traffic, to } = self.key.clone();
        Trouble {
            class,
            reason,
            cause,
            candidates: candidates
                .into_iter()
                .map(|(class, reason, cause)| Candidate { class, reason, cause })
                .collect(),
            connecting,
            traffic,
            to,
            count: 0,
            first: at,
            last: at,
            examples: Vec::new(),
            explanation: self.explanation.clone(),
            remedy: self.remedy.clone(),
            patch: None,
            patched: None,
            patch_unknown: None,
            caveats: Vec::new(),
        }
    }
}

/// What one object mends: a workload's port, whichever of its pods was dialled.
fn destination(server: &Server) -> String {
    match (&server.namespace, &server.workload, &server.pod) {
        (Some(namespace), Some(workload), Some(_)) => format!("{namespace}/{workload}:{}", server.port),
        _ => Named::from(server).short(),
    }
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
