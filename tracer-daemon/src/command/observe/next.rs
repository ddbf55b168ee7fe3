//! What a stream of lines gives next, wherever it comes from, and how it may end.

use crate::sink::wire::{Garbage, Line};
use crate::source::tape::Cut;
use std::fmt;

/// A line, and what it says.
pub(super) type Said = (String, Result<Line, Garbage>);

#[derive(Debug)]
pub(in crate::command) enum Next {
    Line(String, Result<Line, Garbage>),
    /// Everything that was recorded before we came has been read.
    CaughtUp,
    End(End),
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum End {
    #[default]
    Whole,
    /// Without an end mark: the daemon died, or dropped us.
    Dropped,
    /// Nodes that could not be asked, or not to the end, and why.
    Missing(Vec<String>),
    /// The tape was not finished.
    Cut(Cut),
    /// The tape cannot be read any further, and why.
    Damaged(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Dropped => f.write_str(
                "the daemon closed the stream in the middle: it died, or this reader took nothing for too long",
            ),
            Self::Missing(nodes) => f.write_str(&nodes.join("; ")),
            Self::Cut(cut) => cut.fmt(f),
            Self::Damaged(why) => write!(f, "{why}: what came before it is shown"),
        }
    }
}
