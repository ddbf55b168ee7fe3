//! What `explain` answers, as JSON has it (`docs`: the command line and the record).

use super::line::{Text, text};
use super::{Code, Evidence, Server};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;
use tracer_engine::net::Name;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub version: Code,
    /// As a batch named its line; of an observed flow the flow's.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub id: Value,
    pub class: Code,
    pub reason: Option<Code>,
    pub cause: Option<Code>,
    /// Every cause that holds, most specific first: `cause` and those after it.
    #[serde(default)]
    pub causes: Vec<Code>,
    pub security: Code,
    pub basis: Code,
    pub from: Caller,
    pub to: Dialled,
    /// Where the source's proxy sends it on, or the client itself; null where nothing goes on, or where that is open.
    #[serde(default)]
    pub hop: Option<Hop>,
    /// Empty unless the class is undetermined.
    pub candidates: Vec<Way>,
    /// Those that all candidates begin with, where there are some.
    pub steps: Vec<Step>,
    /// Of an observed flow: what was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    pub caveats: Vec<String>,
    pub explanation: String,
    pub remedy: String,
    /// YAML that does what the remedy says, or null where no single object does.
    pub patch: Option<String>,
    /// What the call comes to with the patch; it was tried on the facts.
    #[serde(default)]
    pub patched: Option<Patched>,
    /// Fields of the question that mean nothing in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Patched {
    pub class: Code,
    pub reason: Option<Code>,
    pub security: Code,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Caller {
    /// A pod that is not scheduled yet has none.
    pub ip: Option<IpAddr>,
    pub namespace: Option<Name>,
    pub pod: Option<Name>,
    /// As in a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_unknown: Option<Code>,
    pub workload: Option<Name>,
    pub workload_kind: Option<Name>,
    pub mesh: Code,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Dialled {
    #[serde(flatten)]
    pub server: Server,
    /// `STRICT`, `PERMISSIVE`, `DISABLE`: what the port enforces; null where no proxy enforces anything, or where the
    /// endpoints of a VIP differ.
    pub mtls: Option<Code>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hop {
    /// Of several the proxy picks one, and of none nobody knows it (a DNS name).
    pub to: Vec<HopTo>,
    /// `outbound|9300||es.search.svc.cluster.local`; null where the proxy passes it on, or none is there.
    pub cluster: Option<String>,
    /// Of mesh mutual TLS.
    pub sni: Option<Name>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HopTo {
    /// `ip:port`, `[ip6]:port`
    pub address: String,
    /// `namespace/name`
    pub pod: Option<String>,
}

/// One of several ends.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Way {
    pub class: Code,
    pub reason: Code,
    pub cause: Option<Code>,
    pub security: Code,
    /// What leads there: any one of these.
    pub when: Vec<String>,
    pub hop: Option<Hop>,
    /// After those that all candidates begin with.
    pub steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    pub at: Code,
    pub says: String,
    pub because: String,
}

/// The line of a batch that could not be answered, in its place.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Unanswered {
    pub id: Value,
    pub error: String,
}

impl Answer {
    /// With its newline.
    pub fn line(&self) -> Text {
        text(self)
    }

    pub fn read(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

impl Unanswered {
    /// With its newline.
    pub fn line(&self) -> Text {
        text(self)
    }
}
