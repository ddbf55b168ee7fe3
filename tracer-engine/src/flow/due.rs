//! When which flow is to be looked at again. Time comes from outside.

use super::leg::LegKey;
use crate::net::Ktime;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// An entry whose flow is gone, or is due at another time by now, is skipped when it comes up.
#[derive(Debug, Default)]
pub(super) struct Due {
    heap: BinaryHeap<Reverse<(Ktime, LegKey)>>,
}

impl Due {
    pub(super) fn push(&mut self, at: Ktime, leg: LegKey) {
        self.heap.push(Reverse((at, leg)));
    }

    pub(super) fn next(&self) -> Option<Ktime> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn pop(&mut self, now: Ktime) -> Option<(Ktime, LegKey)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}
