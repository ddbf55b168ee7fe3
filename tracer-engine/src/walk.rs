//! Istio's own decisions, followed: from (source, dialled address, what is sent) to every outcome that the facts leave
//! open. `walk` is for the hot path; `explain` follows the same functions and keeps the steps.
//!
//! One function a step of `classification.md` (S1 to S6, D1 to D3), named after it.

pub mod outcome;

mod causes;
mod caveats;
mod destination;
mod ending;
mod journey;
mod landing;
mod source;
mod trail;

use crate::mesh::index::Index;
use crate::net::Ktime;
use journey::Journey;
use outcome::{Call, Outcomes};
use trail::{Told, Trail, Untold};

/// Every end that the facts leave open for this call, without steps.
pub fn walk(index: &Index, call: &Call, as_of: Ktime) -> Outcomes {
    follow::<Untold>(index, call, as_of)
}

/// As `walk`, with the steps that lead to each outcome.
pub fn explain(index: &Index, call: &Call, as_of: Ktime) -> Outcomes {
    follow::<Told>(index, call, as_of)
}

fn follow<T: Trail>(index: &Index, call: &Call, as_of: Ktime) -> Outcomes {
    let mut outcomes = Outcomes::new();
    source::leave(&Journey::new(index, call, as_of), T::default(), &mut outcomes);
    outcomes
}
