//! Istio's own decisions, followed: from (source, dialled address, what is sent) to every outcome that the facts leave
//! open. `walk` is for the hot path; `explain` follows the same functions and keeps the steps.

pub mod outcome;

use crate::mesh::index::Index;
use crate::net::Ktime;
use outcome::{Call, Outcomes};

/// Every end that the facts leave open for this call, without steps.
pub fn walk(index: &Index, call: &Call, as_of: Ktime) -> Outcomes {
    let _ = (index, call, as_of);
    Vec::new()
}

/// As `walk`, with the steps that lead to each outcome.
pub fn explain(index: &Index, call: &Call, as_of: Ktime) -> Outcomes {
    walk(index, call, as_of)
}
