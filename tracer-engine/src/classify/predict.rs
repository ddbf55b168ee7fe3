//! What the facts alone say of a call: every end of the walk stays open, for nothing was seen.

use super::fates::{Candidate, Fate, Hints};
use super::name::{self, Open};
use crate::mesh::index::Index;
use crate::net::Ktime;
use crate::verdict::{Basis, Verdict};
use crate::walk::outcome::{Call, Outcome};
use crate::walk::walk;

/// The verdict of a what-if.
pub fn predict(index: &Index, call: &Call, as_of: Ktime) -> Verdict {
    named(&walk(index, call, as_of))
}

/// The name of these ends, as if each of them were still open.
pub fn named(outcomes: &[Outcome]) -> Verdict {
    let open: Open<'_> = outcomes.iter().map(|outcome| Candidate { outcome, fate: Fate::Walked }).collect();
    name::name(&open, &Hints::default(), Basis::Predicted)
}
