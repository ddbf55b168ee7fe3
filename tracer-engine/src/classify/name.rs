//! Name: what is left decides. One class and reason is a verdict, several are candidates, none is a contradiction.

use super::fates::{Candidate, Hints};
use crate::verdict::{self, Basis, Causes, Class, Reason, Security, Verdict};
use smallvec::SmallVec;

pub(super) type Open<'a> = SmallVec<[Candidate<'a>; 4]>;

/// Whether all that remain agree on the reason, and with it on the class.
pub(super) fn agreed(open: &Open<'_>) -> Option<Reason> {
    let reason = open.first()?.reason();
    open.iter().all(|candidate| candidate.reason() == reason).then_some(reason)
}

pub(super) fn name(open: &Open<'_>, hints: &Hints, basis: Basis) -> Verdict {
    let Some(reason) = agreed(open) else { return undetermined(open, hints) };
    Verdict {
        class: reason.class(),
        reason: Some(reason),
        causes: causes(open, hints),
        kernel: hints.kernel(reason),
        security: security(open),
        basis,
        candidates: Vec::new(),
    }
}

/// That the mesh has no part in it is presumed of ends that are known, and of no others. `blind`: nothing is known of
/// one, and nothing was heard of it.
pub(super) fn sure(verdict: Verdict, blind: bool) -> Verdict {
    let Verdict { class: Class::Unmeshed, reason: Some(reason), .. } = verdict else { return verdict };
    if !blind {
        return verdict;
    }
    let candidates = vec![verdict::Candidate { reason, cause: verdict.causes.first().copied() }];
    let (class, causes, basis) = (Class::Undetermined, Causes::new(), Basis::Predicted);
    Verdict { class, reason: None, causes, candidates, security: Security::Unknown, basis, ..verdict }
}

/// The facts leave no end that the evidence allows: they are stale, or a rule is wrong. Both sides are shown, the
/// walk's as candidates.
pub(super) fn contradiction(walked: &Open<'_>, hints: &Hints) -> Verdict {
    Verdict { reason: Some(Reason::FactsContradictEvidence), ..undetermined(walked, hints) }
}

pub(super) fn undetermined(open: &Open<'_>, hints: &Hints) -> Verdict {
    let mut candidates: Vec<verdict::Candidate> = Vec::new();
    for candidate in open {
        let cause = hints.causes(candidate).first().copied();
        let one = verdict::Candidate { reason: candidate.reason(), cause };
        if !candidates.contains(&one) {
            candidates.push(one);
        }
    }
    Verdict {
        class: Class::Undetermined,
        reason: None,
        causes: Causes::new(),
        kernel: None,
        security: security(open),
        basis: Basis::Predicted,
        candidates,
    }
}

/// Those of one candidate in its own order; of several, most specific first.
fn causes(open: &Open<'_>, hints: &Hints) -> Causes {
    let mut each = open.iter().map(|candidate| hints.causes(candidate));
    let mut all = each.next().unwrap_or_default();
    for causes in each {
        if causes != all {
            all.extend(causes);
            all.sort_unstable();
            all.dedup();
        }
    }
    all
}

fn security(open: &Open<'_>) -> Security {
    let Some(first) = open.first().map(Candidate::security) else { return Security::Unknown };
    if open.iter().all(|candidate| candidate.security() == first) { first } else { Security::Unknown }
}
