//! What the applications in the pods and their mesh say to each other, a JSON line each, over stdin and stdout.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::recipe::call::Request;
use crate::recipe::pod_name::PodName;

/// To a client: make this call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Carried by the request, so that whoever gets it can say so.
    pub(crate) token: u64,
    pub(crate) request: Request,
    /// Where the certificate lies that the application presents.
    pub(crate) certificates: Option<PathBuf>,
}

/// From a client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) token: u64,
    pub(crate) result: CallResult,
}

/// To a server: which of these requests did you get?
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) tokens: Vec<u64>,
}

/// From a server: once with nothing when it listens, then one for each question.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Received {
    pub(crate) tokens: Vec<u64>,
}

/// What the calling application saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallResult {
    /// Its own end of the connection, by which a record is matched to the call.
    pub local: Option<SocketAddr>,
    /// Nanoseconds of `CLOCK_MONOTONIC`, the clock of kernel events.
    pub started: u64,
    /// `None`: the connection was never established.
    pub connected: Option<u64>,
    pub ended: u64,
    pub ending: Ending,
    /// The HTTP status.
    pub status: Option<u16>,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    /// Whose application got the request: known from the applications, not from the answer.
    pub receivers: Vec<PodName>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Something came back, from whomever.
    Answered,
    /// The other side closed without an answer.
    Eof,
    Reset,
    TimedOut,
    Refused,
    Unreachable,
    /// Anything else, in the words of the library that met it: a TLS alert, bytes that are not HTTP.
    Failed(String),
}

impl CallResult {
    /// Whether an application got the request, as the recorded truth has it.
    pub fn accepted(&self) -> bool {
        !self.receivers.is_empty()
    }
}

impl fmt::Display for CallResult {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.ending, self.status, self.connected) {
            (Ending::Answered, Some(status), _) => write!(out, "{status}, {} B", self.bytes_received),
            (Ending::Answered, None, _) => write!(out, "{} B", self.bytes_received),
            (Ending::Eof, _, _) => write!(out, "closed after {} B", self.bytes_received),
            (Ending::Reset, _, _) => write!(out, "reset after {} B", self.bytes_received),
            (Ending::TimedOut, _, Some(_)) => {
                write!(out, "no answer in {} ms", (self.ended - self.started) / 1_000_000)
            }
            (Ending::TimedOut, _, None) => {
                write!(out, "no connection in {} ms", (self.ended - self.started) / 1_000_000)
            }
            (Ending::Refused, _, _) => out.write_str("connection refused"),
            (Ending::Unreachable, _, _) => out.write_str("host unreachable"),
            (Ending::Failed(words), _, _) => write!(out, "{words}, {} B", self.bytes_received),
        }
    }
}
