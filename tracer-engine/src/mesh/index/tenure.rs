//! The pods that have or had one address, each from when until when.

use super::occupant::Occupant;
use crate::mesh::attribution::UnknownReason;
use crate::mesh::facts::{Pod, Uid};
use crate::net::Ktime;
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;
use std::time::Duration;

/// How long a pod that is gone still answers for its address.
const TOMBSTONE: Duration = Duration::from_mins(5);

/// Of nearly every address there is one pod to tell: it takes two words.
#[derive(Debug)]
pub(super) enum Tenure {
    /// This pod, from then on.
    Sole { pod: Arc<Pod>, from: Ktime },
    /// Pods that are gone, or several that claim it at once.
    Several(Box<Tenancies>),
}

pub(super) type Tenancies = SmallVec<[Tenancy; 2]>;

/// A pod had the address from `from` until `until`.
#[derive(Debug)]
pub(super) struct Tenancy {
    pod: Arc<Pod>,
    from: Ktime,
    until: Option<Ktime>,
}

/// A tenancy, wherever it is kept.
#[derive(Clone, Copy)]
struct Term<'a> {
    pod: &'a Arc<Pod>,
    from: Ktime,
    until: Option<Ktime>,
}

impl Tenure {
    /// `pod` has the address from `from` on, unless it is known to have it already; it was told at `at`.
    pub(super) fn claim(&mut self, at: Ktime, from: Ktime, pod: &Arc<Pod>) {
        let until = pod.gone.then_some(at);
        self.change(|tenancies| {
            tenancies.retain(|tenancy| !tenancy.is_forgotten(at));
            if let Some(known) = tenancies.iter_mut().find(|tenancy| tenancy.pod.uid == pod.uid) {
                known.until = known.until.or(until);
                known.pod = Arc::clone(pod);
            } else {
                tenancies.push(Tenancy { pod: Arc::clone(pod), from, until });
            }
        });
    }

    /// The pod with this uid has it no more.
    pub(super) fn release(&mut self, at: Ktime, uid: Uid) {
        self.change(|tenancies| {
            for tenancy in tenancies.iter_mut().filter(|tenancy| tenancy.pod.uid == uid) {
                tenancy.until.get_or_insert(at);
            }
        });
    }

    /// Forgets pods that are gone for long by `now`; whether any is left.
    pub(super) fn expire(&mut self, now: Ktime) -> bool {
        if let Self::Several(_) = self {
            self.change(|tenancies| tenancies.retain(|tenancy| !tenancy.is_forgotten(now)));
        }
        self.terms().next().is_some()
    }

    /// The pod that had it at `at`, or the last one that had it before.
    pub(super) fn at(&self, at: Ktime) -> Option<Occupant<'_>> {
        if let Self::Sole { pod, .. } = self {
            // Also where its first bytes were on the wire before the API server told of it.
            return Some(Occupant::Pod(pod));
        }
        if let Some(held) = self.held(at) {
            return Some(held);
        }
        let ended = |term: &Term<'_>| term.until.is_some_and(|until| until <= at && at.since(until) < TOMBSTONE);
        if let Some(last) = self.terms().filter(ended).max_by_key(|term| term.until) {
            return Some(Occupant::Tombstone(last.pod));
        }
        self.terms().filter(|term| term.from > at).min_by_key(|term| term.from).map(|term| Occupant::Pod(term.pod))
    }

    pub(super) fn pod_with_uid(&self, uid: Uid) -> Option<&Arc<Pod>> {
        self.terms().map(|term| term.pod).find(|pod| pod.uid == uid)
    }

    /// Where nobody had it at `at`: when the next one was told to have it.
    pub(super) fn told_after(&self, at: Ktime) -> Option<Ktime> {
        let held = self.terms().any(|term| term.holds(at));
        let next = || self.terms().map(|term| term.from).filter(|from| *from > at).min();
        if held { None } else { next() }
    }

    /// When the last of those was told that have it at `at`, or will.
    pub(super) fn latest(&self, at: Ktime) -> Ktime {
        let not_ended = |term: &Term<'_>| term.until.is_none_or(|until| at < until);
        self.terms().filter(not_ended).map(|term| term.from).max().unwrap_or_default()
    }

    /// Of several that hold it the last comer, and of those that were there before us the youngest.
    fn held(&self, at: Ktime) -> Option<Occupant<'_>> {
        let held = || self.terms().filter(|term| term.holds(at));
        let rank = |term: &Term<'_>| (term.from, term.pod.created);
        let last = held().max_by_key(rank)?;
        let only = held().filter(|term| rank(term) == rank(&last)).count() == 1;
        Some(if only { Occupant::Pod(last.pod) } else { Occupant::Unknown(UnknownReason::AddressNotUnique) })
    }

    fn terms(&self) -> impl Iterator<Item = Term<'_>> {
        let (sole, several) = match self {
            Self::Sole { pod, from } => (Some(Term { pod, from: *from, until: None }), &[][..]),
            Self::Several(tenancies) => (None, &tenancies[..]),
        };
        let several = several.iter().map(|Tenancy { pod, from, until }| Term { pod, from: *from, until: *until });
        sole.into_iter().chain(several)
    }

    fn change(&mut self, change: impl FnOnce(&mut Tenancies)) {
        let mut tenancies: Tenancies = match std::mem::take(self) {
            Self::Sole { pod, from } => smallvec![Tenancy { pod, from, until: None }],
            Self::Several(tenancies) => *tenancies,
        };
        change(&mut tenancies);
        *self = match &tenancies[..] {
            [Tenancy { pod, from, until: None }] => Self::Sole { pod: Arc::clone(pod), from: *from },
            _ => Self::Several(Box::new(tenancies)),
        };
    }
}

impl Default for Tenure {
    /// Nobody's.
    fn default() -> Self {
        Self::Several(Box::default())
    }
}

impl Tenancy {
    fn is_forgotten(&self, now: Ktime) -> bool {
        self.until.is_some_and(|until| now.since(until) >= TOMBSTONE)
    }
}

impl Term<'_> {
    fn holds(&self, at: Ktime) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

const _: () = assert!(size_of::<Tenure>() == 16);
