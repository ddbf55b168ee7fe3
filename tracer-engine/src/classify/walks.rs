//! Walks that were made already. The facts change seldom and flows repeat, so most questions were answered before.

use crate::mesh::index::Index;
use crate::net::Ktime;
use crate::walk::outcome::{Call, Outcome};
use crate::walk::walk;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Past this many the cache starts anew: a pod that is dialled by many with ever new Hosts must not fill the memory.
const KEPT: usize = 16_384;

#[derive(Debug, Default)]
pub(super) struct Walks {
    generation: u64,
    /// When the facts changed last. A question about a time before it is not one about these facts.
    changed: Ktime,
    known: FxHashMap<Call, Arc<[Outcome]>>,
}

impl Walks {
    /// The facts changed at `at`.
    pub(super) fn changed(&mut self, index: &Index, at: Ktime) {
        if self.generation != index.generation() {
            self.generation = index.generation();
            self.changed = self.changed.max(at);
            self.known.clear();
        }
    }

    pub(super) fn outcomes(&mut self, index: &Index, call: &Call, as_of: Ktime) -> Arc<[Outcome]> {
        // What a proxy knows of a new pod is another answer a moment later.
        if as_of < self.changed || index.is_new(call.to.ip, as_of) {
            return walk(index, call, as_of).into();
        }
        if let Some(known) = self.known.get(call) {
            return Arc::clone(known);
        }
        if self.known.len() >= KEPT {
            self.known.clear();
        }
        let outcomes: Arc<[Outcome]> = walk(index, call, as_of).into();
        self.known.insert(call.clone(), Arc::clone(&outcomes));
        outcomes
    }
}
