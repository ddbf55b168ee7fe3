//! Kubernetes Events (`--events`): a rejection that keeps happening is told where `kubectl describe` shows it, on the pod
//! or the Service that is called. This says which and how often; who writes them is `source::cluster`'s.

use crate::clock::Epoch;
use jiff::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;
use tracer_engine::mesh::facts::ObjectKey;
use tracer_engine::net::{Ktime, Name};
use tracer_engine::record::{Attribution, FlowRecord, LegKind, Outcome, Party, Reporter, Traffic};
use tracer_engine::verdict::{Class, Text};

/// Rejections after which it is no accident any more.
const AFTER: u64 = 3;
/// Silence after which the next one begins anew.
const FORGOTTEN: Duration = Duration::from_mins(10);
/// One that goes on is told again at most so often.
const AGAIN: Duration = Duration::from_mins(5);
/// Announcements at once, all together, and how long it takes until there may be one more.
const AT_ONCE: u32 = 25;
const ONE_MORE: Duration = Duration::from_secs(10);
/// What is kept count of at once. Beyond them nothing new is told until older ones are forgotten.
const KNOWN: usize = 1024;
/// What the API takes as a note (`NoteLengthLimit`, pkg/apis/core/validation/events.go).
const NOTE_BYTES: usize = 1024;

/// Keeps count of rejections, and says when one is to be told. Bounded in memory and in what it says.
#[derive(Debug)]
pub struct Announcer {
    node: Name,
    known: HashMap<Key, Repeated>,
    budget: u32,
    refilled: Ktime,
}

/// One kind of rejection, to be told now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announcement {
    pub about: About,
    /// The same for what is one Event with a count that grows.
    pub series: String,
    /// As Kubernetes spells reasons: `PlaintextToStrict`.
    pub reason: String,
    pub note: String,
    pub first: Timestamp,
    pub last: Timestamp,
    /// How often since `first`.
    pub count: u64,
}

/// Who was called.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum About {
    Pod(ObjectKey),
    Service(ObjectKey),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Key {
    about: About,
    port: u16,
    from: From,
    /// Reason and cause, as they are spelled.
    why: (&'static str, Option<Name>),
}

/// Whoever calls: pods of one workload are one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum From {
    Workload(Name, Name),
    Address(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Repeated {
    first: Ktime,
    last: Ktime,
    count: u64,
    told: Option<Ktime>,
}

impl Announcer {
    /// Of the daemon on `node`.
    pub fn new(node: Name) -> Self {
        Self { node, known: HashMap::new(), budget: AT_ONCE, refilled: Ktime(0) }
    }

    /// Takes note of a record; an announcement where it is time for one.
    pub fn record(&mut self, record: &FlowRecord, epoch: Epoch) -> Option<Announcement> {
        let key = self.key(record)?;
        let at = record.at;
        if self.known.len() >= KNOWN && !self.known.contains_key(&key) {
            self.known.retain(|_, repeated| at.since(repeated.last) < FORGOTTEN);
            if self.known.len() >= KNOWN {
                return None;
            }
        }
        self.refill(at);
        let begin = Repeated { first: at, last: at, count: 0, told: None };
        let repeated = self.known.entry(key.clone()).or_insert(begin);
        if at.since(repeated.last) >= FORGOTTEN {
            *repeated = begin;
        }
        repeated.last = at;
        repeated.count += 1;
        let due = repeated.count >= AFTER && repeated.told.is_none_or(|told| at.since(told) >= AGAIN);
        if !due || self.budget == 0 {
            return None;
        }
        self.budget -= 1;
        repeated.told = Some(at);
        let Repeated { first, last, count, told: _ } = *repeated;
        // Where it begins anew it is another one, whose count begins anew.
        let series = format!("{key:?} {}", first.0);
        let Key { about, why: (reason, _), .. } = key;
        Some(Announcement {
            about,
            series,
            reason: camel(reason),
            note: note(record),
            first: epoch.at(first),
            last: epoch.at(last),
            count,
        })
    }

    /// `None`: no rejection, of nobody who can be described, or another node's daemon tells it.
    fn key(&self, record: &FlowRecord) -> Option<Key> {
        let FlowRecord { client, server, verdict, traffic, revises, .. } = record;
        let reason = verdict.reason.filter(|_| verdict.class == Class::Rejected && *traffic == Traffic::App)?;
        // It was counted when this was said of it first.
        if *revises == Some((verdict.class, verdict.reason)) || self.is_told_elsewhere(record) {
            return None;
        }
        let about = match (&server.who, &server.service) {
            (Attribution::Pod(pod), _) => About::Pod(pod.pod.clone()),
            (Attribution::Service(service), _) | (_, Some(service)) => About::Service(service.clone()),
            _ => return None,
        };
        let from = match &client.who {
            Attribution::Pod(pod) => From::Workload(pod.pod.namespace.clone(), pod.workload.name.clone()),
            _ => From::Address(client.ip),
        };
        let cause = verdict.spelled_causes().next().map(Name::from);
        Some(Key { about, port: server.port, from, why: (reason.code(), cause) })
    }

    /// A connection that came to a pod of another node is seen, and told, by the daemon there. One that was dialled at a
    /// Service may be told by both: here on the Service, there on the pod.
    fn is_told_elsewhere(&self, record: &FlowRecord) -> bool {
        let FlowRecord { reporter, server, legs, .. } = record;
        let at_its_end = legs.iter().any(|leg| matches!(leg.kind, LegKind::Inbound | LegKind::Local));
        let is_there = matches!(&server.who, Attribution::Pod(pod) if pod.node != self.node);
        if *reporter == Reporter::Destination || at_its_end || !is_there {
            return false;
        }
        let by_proxy = legs.iter().any(|leg| matches!(leg.kind, LegKind::Capture | LegKind::Upstream));
        let between_pods = if by_proxy { LegKind::Upstream } else { LegKind::App };
        let came = |outcome| matches!(outcome, Outcome::Established | Outcome::Closed | Outcome::Reset);
        legs.iter().any(|leg| leg.kind == between_pods && came(leg.outcome))
    }

    fn refill(&mut self, now: Ktime) {
        let more = now.since(self.refilled).as_secs() / ONE_MORE.as_secs();
        if more > 0 {
            let more = u32::try_from(more).unwrap_or(u32::MAX);
            self.budget = self.budget.saturating_add(more).min(AT_ONCE);
            self.refilled = now;
        }
    }
}

/// `shop/cart-0 -> shop/web-0:8080 plaintext-to-strict (host-is-pod-ip): ...`
fn note(record: &FlowRecord) -> String {
    let FlowRecord { client, server, verdict, .. } = record;
    let Text { explanation, remedy, promise: _ } = verdict.text();
    let reason = verdict.reason.map_or("undetermined", |reason| reason.code());
    let cause = verdict.spelled_causes().next().map(|cause| format!(" ({cause})")).unwrap_or_default();
    let mut note =
        format!("{} -> {}:{} {reason}{cause}: {explanation} {remedy}", name(client), name(server), server.port);
    if note.len() > NOTE_BYTES {
        note.truncate(note.floor_char_boundary(NOTE_BYTES));
    }
    note
}

fn name(Party { ip, port: _, who, service }: &Party) -> String {
    match (who, service) {
        (Attribution::Pod(pod) | Attribution::Tombstone(pod), _) => format!("{}/{}", pod.pod.namespace, pod.pod.name),
        (Attribution::Service(key), _) | (_, Some(key)) => format!("svc/{}/{}", key.namespace, key.name),
        (Attribution::Node(name), None) => format!("node/{name}"),
        (Attribution::External | Attribution::Unknown(_), None) => ip.to_string(),
    }
}

/// `plaintext-to-strict` -> `PlaintextToStrict`
fn camel(code: &str) -> String {
    code.split('-')
        .flat_map(|word| word.chars().take(1).map(|c| c.to_ascii_uppercase()).chain(word.chars().skip(1)))
        .collect()
}
