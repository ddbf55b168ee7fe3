//! What a stream of lines gives next, wherever it comes from.

use crate::sink::wire::{Garbage, Line};

#[derive(Debug)]
pub(super) enum Next {
    Line(String, Result<Line, Garbage>),
    /// Everything that was recorded before we came has been read.
    CaughtUp,
    End {
        /// Without an end mark: the daemon died, or dropped us.
        cut: bool,
    },
}
