//! The record as JSON has it (`docs`: the command line and the record).

use super::Code;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use tracer_engine::net::Name;

/// One flow and what is said about it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    pub version: Code,
    #[serde(with = "super::time")]
    pub time: Timestamp,
    pub node: Name,
    /// Unique among all nodes and all starts of the daemon. A revision bears the id of what it revises.
    pub id: String,
    pub reporter: Code,
    pub client: Party,
    pub server: Server,
    pub class: Code,
    pub reason: Option<Code>,
    pub cause: Option<Code>,
    /// Every cause that holds, most specific first: `cause` and those after it.
    #[serde(default)]
    pub causes: Vec<Code>,
    pub security: Code,
    pub basis: Code,
    pub candidates: Vec<Candidate>,
    pub scope: Code,
    pub handshake: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshake_unknown: Option<Code>,
    pub seen_from: Code,
    pub traffic: Code,
    pub legs_ambiguous: bool,
    pub revises: Option<Revised>,
    pub outcome: Code,
    pub connect_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_us_unknown: Option<Code>,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    /// Times that a SYN was sent again.
    #[serde(default)]
    pub syn_retransmits: u32,
    pub legs: Vec<Leg>,
    pub evidence: Vec<Evidence>,
    pub drops: Vec<Drop>,
    pub explanation: String,
    pub remedy: String,
    pub events_lost: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Party {
    pub ip: IpAddr,
    pub port: u16,
    pub namespace: Option<Name>,
    pub pod: Option<Name>,
    /// Why no pod is named: `facts-not-synced`, `pod-not-seen-yet`, `address-not-unique`, `service`, `node`,
    /// `external`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_unknown: Option<Code>,
    /// The pod is gone: its address answers for nobody, or for somebody else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pod_gone: bool,
    pub workload: Option<Name>,
    pub workload_kind: Option<Name>,
    pub mesh: Code,
}

/// A party that was dialled: it may stand behind a Service.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Server {
    pub ip: IpAddr,
    pub port: u16,
    pub namespace: Option<Name>,
    pub pod: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_unknown: Option<Code>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pod_gone: bool,
    pub workload: Option<Name>,
    pub workload_kind: Option<Name>,
    /// `namespace/name`
    pub service: Option<String>,
    pub mesh: Code,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Candidate {
    pub class: Code,
    pub reason: Code,
    pub cause: Option<Code>,
}

/// What the record before this one, with the same id, said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revised {
    pub class: Code,
    pub reason: Option<Code>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Leg {
    pub kind: Code,
    /// `ip:port`, `[ip6]:port`
    pub client: String,
    pub server: String,
    pub outcome: Code,
    pub reset_by: Option<Code>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    pub kind: Code,
    pub leg: Code,
    pub says: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Drop {
    pub reason: Name,
    pub count: u64,
}
