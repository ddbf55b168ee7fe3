//! What `why` answers: the flows of one pod, workload or Service that did not get through or are in doubt, by cause.

use super::line::{Text, text};
use super::{Candidate, Code, Patched};
use jiff::Timestamp;
use serde::Serialize;
use tracer_engine::net::Name;

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Why {
    pub version: Code,
    /// `namespace/name`
    pub subject: String,
    #[serde(with = "super::time")]
    pub since: Timestamp,
    #[serde(with = "super::time")]
    pub until: Timestamp,
    /// Whose daemons saw these flows.
    pub nodes: Vec<Name>,
    /// Flows of the subject in that time, whatever became of them.
    pub flows: u64,
    /// Of those in trouble: probes and scrapes that nobody asked for.
    pub hidden: u64,
    /// Refused ones first, then those that happened most.
    pub troubles: Vec<Trouble>,
    /// Why there may be more than that. Empty: nothing is known to be missing.
    pub unknown: Vec<Doubt>,
}

/// Flows to one destination that ended for one reason and cause.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Trouble {
    pub class: Code,
    pub reason: Option<Code>,
    pub cause: Option<Code>,
    /// Empty unless the class is undetermined.
    pub candidates: Vec<Candidate>,
    /// Nobody has answered its SYN yet; what becomes of it is not known.
    pub connecting: bool,
    /// `app`, `probe`, `scrape`
    pub traffic: Code,
    /// `namespace/workload:port`; of an address that is nobody's, `ip:port`.
    pub to: String,
    pub count: u64,
    #[serde(with = "super::time")]
    pub first: Timestamp,
    #[serde(with = "super::time")]
    pub last: Timestamp,
    /// Who calls whom, the most frequent first; the most frequent ones alone where there are many.
    pub examples: Vec<Example>,
    pub explanation: String,
    pub remedy: String,
    /// YAML that does what the remedy says for the newest of these flows, or null where no object does.
    pub patch: Option<String>,
    /// What that flow comes to with the patch; it was tried on the facts.
    pub patched: Option<Patched>,
    /// Why nobody could be asked for a patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_unknown: Option<String>,
    /// What limits the patch.
    pub caveats: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Example {
    pub from: String,
    pub to: String,
    pub count: u64,
    /// Of the newest one: for `explain` and `observe`.
    pub id: String,
    #[serde(with = "super::time")]
    pub last: Timestamp,
}

/// Something that keeps the answer from being whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Doubt {
    /// `window`, `events-lost`, `records-lost`, `lines-skipped`, `never-seen`, `not-ready`, `hook-off`, `sockets-untracked`,
    /// `facts`, `status`
    pub code: Code,
    pub says: String,
}

impl Why {
    /// With its newline.
    pub fn line(&self) -> Text {
        text(self)
    }
}
