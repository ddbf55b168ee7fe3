//! The public JSON: records, notices of loss, the socket's requests and answers. Versioned: fields may be added in
//! `v1`, never renamed or removed. These types are ours and the engine's are not: a change there breaks `encode` at
//! compile time and nobody's dashboard.

mod answer;
mod asked;
mod codes;
mod encode;
mod explain;
mod line;
mod manifest;
mod record;
mod request;
mod status;
mod time;
mod why;

pub use answer::{Answer, Caller, Dialled, Hop, HopTo, Patched, Step, Unanswered, Way};
pub use asked::{Asked, Misread};
pub(in crate::sink) use codes::Spell;
pub use codes::kind_name;
pub use encode::Origin;
pub use line::{Garbage, Line, Loss, Text, head, read, write};
pub use record::{Candidate, Drop, Evidence, Leg, Party, Record, Revised, Server};
pub use request::{Backlog, Observe, Refusal, Request};
pub use status::{EventCount, Facts, Hook, KubernetesEvents, Memory, Records, Status};
pub use why::{Doubt, Example, Trouble, Why};

use std::borrow::Cow;

pub const VERSION: &str = "v1";

/// One of the codes of `classification.md`. Ours are static; a newer daemon's may be one that we do not know.
pub type Code = Cow<'static, str>;
