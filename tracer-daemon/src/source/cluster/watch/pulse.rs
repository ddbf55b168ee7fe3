//! Signs of life of one kind: when the server last said something of it, and how much it has said.

use crate::clock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tracer_engine::net::Ktime;

#[derive(Default, Debug)]
pub struct Pulse {
    bytes: AtomicU64,
    /// `Ktime`; 0: never.
    heard: AtomicU64,
}

impl Pulse {
    pub(super) fn beat(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.heard.store(clock::ktime().0, Relaxed);
    }

    /// Bytes of answers, as they came over the wire within TLS.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// When the server last said something of this kind, bookmarks included; `None`: it never has.
    pub fn heard(&self) -> Option<Ktime> {
        Some(self.heard.load(Relaxed)).filter(|heard| *heard != 0).map(Ktime)
    }
}
