//! Readiness: whoever the daemon must wait for holds a `BlockReady`; dropping it, on whatever path, stops blocking.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::info;

#[derive(Clone, Debug, Default)]
pub struct Ready {
    waiting: Arc<Mutex<BTreeMap<String, usize>>>,
}

/// Somebody's "not yet".
#[derive(Debug)]
#[must_use = "dropped at once it blocks nothing"]
pub struct BlockReady {
    what: String,
    ready: Ready,
}

impl Ready {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn block(&self, what: impl Into<String>) -> BlockReady {
        let what = what.into();
        *self.lock().entry(what.clone()).or_default() += 1;
        BlockReady { what, ready: self.clone() }
    }

    pub fn is_ready(&self) -> bool {
        self.lock().is_empty()
    }

    /// What is waited for.
    pub fn waiting_for(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BlockReady {
    fn drop(&mut self) {
        let mut waiting = self.ready.lock();
        if let Some(count) = waiting.get_mut(&self.what) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.what);
                if waiting.is_empty() {
                    info!("ready");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_the_last_block_is_dropped() {
        let ready = Ready::new();
        assert!(ready.is_ready());
        let facts = ready.block("facts");
        let again = ready.block("facts");
        let hooks = ready.block("hooks");
        assert_eq!(ready.waiting_for(), ["facts", "hooks"]);
        drop(facts);
        drop(hooks);
        assert_eq!(ready.waiting_for(), ["facts"]);
        drop(again);
        assert!(ready.is_ready());
    }
}
