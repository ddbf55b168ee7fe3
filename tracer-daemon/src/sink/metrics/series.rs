//! Families that name workloads: a cluster can have any number of those, a scrape cannot. A hard cap on the series of
//! all such families together; what has no room is counted under `other`; what is idle makes room.

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use tracer_engine::net::Ktime;

pub(super) trait Labels: Clone + Eq + Hash + Debug + EncodeLabelSet + Send + Sync + 'static {
    /// The overflow bucket: names become `other`, codes stay.
    fn without_names(&self) -> Self;

    /// The last resort: one series, everything `other`.
    fn nothing() -> Self;
}

/// How many series there may still be. A part is kept back for overflow buckets, whose codes have few values.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
    reserve: usize,
}

#[derive(Debug)]
pub(super) struct Series<L: Labels> {
    family: Family<L, Counter>,
    known: HashMap<L, Known>,
    /// Counts updates that went to an overflow bucket.
    limited: Counter,
}

#[derive(Debug)]
struct Known {
    counter: Counter,
    used: Ktime,
    /// Overflow buckets stay: what they count must not fall.
    overflow: bool,
}

impl Budget {
    pub(super) fn new(cap: usize) -> Self {
        let reserve = (cap / 10).min(500);
        Self { left: cap, reserve }
    }

    fn take(&mut self, overflow: bool) -> bool {
        let free = if overflow { self.left } else { self.left.saturating_sub(self.reserve) };
        let taken = free > 0;
        if taken {
            self.left -= 1;
            if overflow {
                self.reserve = self.reserve.saturating_sub(1);
            }
        }
        taken
    }

    fn give_back(&mut self) {
        self.left += 1;
    }
}

impl<L: Labels> Series<L> {
    pub(super) fn register(registry: &mut Registry, name: &'static str, help: &'static str, limited: Counter) -> Self
    where
        Family<L, Counter>: EncodeMetric + TypedMetric,
    {
        let family = Family::default();
        registry.register(name, help, family.clone());
        Self { family, known: HashMap::new(), limited }
    }

    pub(super) fn add(&mut self, labels: L, by: u64, at: Ktime, budget: &mut Budget) {
        if let Some(known) = self.known.get_mut(&labels) {
            known.used = at;
            known.counter.inc_by(by);
            return;
        }
        if budget.take(false) {
            self.create(labels, by, at, false);
            return;
        }
        self.limited.inc();
        let bucket = labels.without_names();
        let bucket = if self.known.contains_key(&bucket) || budget.take(true) { bucket } else { L::nothing() };
        match self.known.get_mut(&bucket) {
            Some(known) => drop(known.counter.inc_by(by)),
            None => self.create(bucket, by, at, true),
        }
    }

    /// Forgets what was not counted since `before`. A series that comes back starts at zero, as Prometheus expects of
    /// a counter that was reset.
    pub(super) fn expire(&mut self, before: Ktime, budget: &mut Budget) {
        let family = &self.family;
        self.known.retain(|labels, known| {
            let stays = known.overflow || known.used >= before;
            if !stays {
                family.remove(labels);
                budget.give_back();
            }
            stays
        });
    }

    fn create(&mut self, labels: L, by: u64, at: Ktime, overflow: bool) {
        let counter = self.family.get_or_create_owned(&labels);
        counter.inc_by(by);
        self.known.insert(labels, Known { counter, used: at, overflow });
    }
}
