//! What the running daemon knows of itself, as the socket tells it.

use super::line::{Text, text};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracer_engine::net::Name;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub program: String,
    pub node: Name,
    pub kernel: String,
    pub pid: u32,
    #[serde(with = "super::time")]
    pub started: Timestamp,
    #[serde(with = "super::time")]
    pub time: Timestamp,
    pub ready: bool,
    /// What readiness waits for.
    pub waiting_for: Vec<String>,
    pub hooks: Vec<Hook>,
    pub events: Vec<EventCount>,
    /// Sockets that were not followed because the kernel's table was full.
    pub untracked_sockets: u64,
    pub facts: Vec<Facts>,
    pub records: Records,
    /// `null` before the first one; only where `--events` asks for them.
    #[serde(default)]
    pub kubernetes_events: Option<KubernetesEvents>,
    pub memory: Memory,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hook {
    pub name: String,
    pub required: bool,
    pub attached: bool,
    /// Why it is not attached, and what to do.
    pub off_because: Option<String>,
    /// Times that the kernel could not run it.
    pub missed: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventCount {
    pub kind: String,
    pub emitted: u64,
    pub decoded: u64,
    pub malformed: u64,
    pub lost: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Facts {
    pub kind: String,
    pub objects: u64,
    pub synced: bool,
    /// Seconds since the last change.
    pub age_seconds: Option<u64>,
    /// How the watch of them stands: `watching`, `listing`, `failing`, `forbidden`, `not-served`. `null`: they come from
    /// files.
    #[serde(default)]
    pub state: Option<String>,
    /// What is wrong with it, and what to do.
    #[serde(default)]
    pub why: Option<String>,
    /// Seconds since the API server last said anything of them, bookmarks included.
    #[serde(default)]
    pub heard_seconds: Option<u64>,
    /// Objects that could not be read since the start, each time that they were told.
    #[serde(default)]
    pub malformed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Records {
    pub made: u64,
    pub journal_written: u64,
    pub journal_lost: u64,
    pub readers: u64,
    /// Took nothing for too long.
    pub readers_dropped: u64,
    /// Records that readers were too slow for, all together.
    pub readers_skipped: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KubernetesEvents {
    pub written: u64,
    pub failed: u64,
    /// Why the last one was not written, and what to do; `null` where it was.
    pub why: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    pub rss_anon_bytes: u64,
    pub rss_bytes: u64,
}

impl Status {
    pub fn line(&self) -> Text {
        text(self)
    }

    pub fn read(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}
