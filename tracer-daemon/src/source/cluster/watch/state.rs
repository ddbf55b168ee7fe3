//! How a kind's watch stands.

use std::fmt;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Everything that there is is being told.
    Listing,
    Watching,
    /// The server does not know this kind: Istio's definitions are not installed.
    NotServed,
    /// Not allowed to; `rule` is what a role would have to say.
    Forbidden {
        rule: String,
        why: String,
    },
    /// What was told stays; it gets older while this lasts.
    Failing {
        why: String,
    },
}

impl State {
    /// As `status` has it.
    pub fn code(&self) -> &'static str {
        match self {
            State::Listing => "listing",
            State::Watching => "watching",
            State::NotServed => "not-served",
            State::Forbidden { .. } => "forbidden",
            State::Failing { .. } => "failing",
        }
    }
}

impl State {
    /// What somebody has to mend, and how.
    pub fn trouble(&self) -> Option<String> {
        match self {
            State::Listing | State::Watching | State::NotServed => None,
            State::Forbidden { .. } | State::Failing { .. } => Some(self.to_string()),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Listing => f.write_str("being listed"),
            State::Watching => f.write_str("watched"),
            State::NotServed => f.write_str("not served: Istio's definitions are not installed"),
            State::Forbidden { rule, why } => write!(f, "off: {why}; add to a role: {rule}"),
            State::Failing { why } => write!(f, "failing, what is known gets older: {why}"),
        }
    }
}
