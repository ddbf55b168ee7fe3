//! What can be wrong between us and the API server, by what is to be done about it.

use kube::core::Status;
use std::fmt;
use std::time::Duration;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) struct Trouble {
    pub(in super::super) kind: TroubleKind,
    pub(in super::super) why: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum TroubleKind {
    /// Nobody takes the connection, or it breaks.
    Unreachable,
    /// The server's certificate is not signed by the authority that we trust.
    Certificate,
    /// Credentials that the server does not know.
    Unauthorized,
    /// Known, and not allowed to.
    Forbidden,
    NotFound,
    /// What we know is too old to go on from.
    Gone,
    /// The server wants less of this, and may say when to come again.
    TooMany(Option<Duration>),
    /// A request that this server does not understand.
    Refused,
    /// 5xx, and what is no answer at all.
    Broken,
}

impl Trouble {
    pub(super) fn new(kind: TroubleKind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }

    pub(super) fn of_status(status: &Status) -> Self {
        let after = status.details.as_ref().map(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0);
        let kind = match status.code {
            401 => TroubleKind::Unauthorized,
            403 => TroubleKind::Forbidden,
            404 => TroubleKind::NotFound,
            410 => TroubleKind::Gone,
            429 => TroubleKind::TooMany(after.map(|seconds| Duration::from_secs(u64::from(seconds)))),
            400..500 => TroubleKind::Refused,
            _ => TroubleKind::Broken,
        };
        Self::new(kind, format!("{} {}", status.code, status.message.trim()))
    }
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) => Self::of_status(status),
            // Its text could quote an object.
            kube::Error::SerdeError(error) => Self::new(TroubleKind::Broken, format!("no JSON: {error}")),
            kube::Error::Auth(_) => Self::new(TroubleKind::Unauthorized, told(&error)),
            _ => {
                let why = told(&error);
                let certificate = why.contains("invalid peer certificate");
                Self::new(if certificate { TroubleKind::Certificate } else { TroubleKind::Unreachable }, why)
            }
        }
    }
}

/// Why a single question was not answered.
pub(in super::super) fn why(error: kube::Error) -> String {
    Trouble::from(error).why
}

/// An error and what caused it; hyper's own words alone say nothing.
pub(super) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let words = error.to_string();
        // Some repeat in their own words what their cause will say.
        match said.last_mut() {
            Some(last) if last.contains(&words) => {}
            _ => said.push(words),
        }
        next = error.source();
    }
    said.join(": ")
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}
