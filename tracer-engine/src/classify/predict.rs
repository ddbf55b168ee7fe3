//! What the facts alone say of a call: every end of the walk stays open, for nothing was seen.

use super::fates::{Candidate, Fate, Hints};
use super::name::{self, Open};
use super::news;
use crate::mesh::index::Index;
use crate::net::Ktime;
use crate::verdict::{Basis, Verdict};
use crate::walk::outcome::{Call, Outcome, Source};
use crate::walk::walk;

/// The verdict of a what-if.
pub fn predict(index: &Index, call: &Call, as_of: Ktime) -> Verdict {
    foretold(index, call, as_of, &walk(index, call, as_of))
}

/// The verdict of a what-if that ends like this.
pub fn foretold(index: &Index, call: &Call, as_of: Ktime, outcomes: &[Outcome]) -> Verdict {
    let open: Open<'_> = outcomes.iter().map(|outcome| Candidate { outcome, fate: Fate::Walked }).collect();
    let from = match &call.from {
        Source::Ip(ip) => Some(*ip),
        Source::Pod(_) => None,
    };
    let blind = from.into_iter().chain([call.to.ip]).any(|ip| news::is_unknown(index, ip, as_of));
    name::sure(name::name(&open, &Hints::default(), Basis::Predicted), blind)
}
