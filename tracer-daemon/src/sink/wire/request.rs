//! What a reader may ask of the daemon's socket: one JSON line; the answer is JSON lines.

use super::line::{Text, text};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// `{"observe":{"backlog":"all","follow":true}}`: records. Filters are the reader's own business.
    Observe(Observe),
    /// `{"explain":"n1-18b3a7c2d10-7"}`: one [`super::Answer`], for a flow that the daemon still remembers.
    Explain(String),
    /// `"status"`: one [`super::Status`].
    Status,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Observe {
    /// Of the records that the daemon still remembers.
    pub backlog: Backlog,
    /// Go on with records as they are made.
    pub follow: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backlog {
    None,
    All,
}

/// `{"error":"..."}`: the answer to a request that cannot be served.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    pub error: String,
}

impl Request {
    pub fn line(&self) -> Text {
        text(self)
    }

    pub fn read(line: &str) -> Result<Self, Refusal> {
        serde_json::from_str(line).map_err(|error| Refusal {
            error: format!(
                "{error}; a request is \"status\", {{\"explain\":\"FLOW_ID\"}} or \
                 {{\"observe\":{{\"backlog\":\"all\",\"follow\":true}}}}"
            ),
        })
    }
}

impl Refusal {
    pub fn line(&self) -> Text {
        text(self)
    }

    /// Whether a line of an answer is a refusal.
    pub fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}
