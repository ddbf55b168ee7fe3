//! What a watch tells.

use super::state::State;
use crate::source::cluster::listed::Listed;
use crate::source::cluster::object::{ClusterEvent, ObjectKind, ObjectRef};
use std::fmt;

#[derive(Debug)]
pub enum Told {
    Event(ClusterEvent),
    /// After a gap everything was told anew.
    Listed(Listed),
    /// An object that cannot be read. What was known of it before stays.
    Malformed {
        object: ObjectRef,
        why: String,
    },
    State(Watched, State),
}

/// A collection that is watched: a kind, or one object of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Watched {
    pub kind: ObjectKind,
    pub name: Option<String>,
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{} {name}", self.kind),
            None => self.kind.fmt(f),
        }
    }
}
