//! What was told lately, and everybody who wants to hear more. Bounded both ways: the backlog by count, a reader's
//! lag by the channel's length.

use super::super::Told;
use super::super::wire::{Loss, Origin, Refusal, Text};
use crate::clock;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast::{self, Receiver, Sender};

/// Records that are remembered for `--last` and for a reader that comes after the fact.
const BACKLOG: usize = 2048;
/// Records that a reader may lag behind.
const LAG: usize = 2048;

#[derive(Debug)]
pub struct Hub {
    state: Mutex<State>,
    origin: Arc<Origin>,
    pub readers: AtomicU64,
    pub dropped: AtomicU64,
    pub skipped: AtomicU64,
}

#[derive(Debug)]
struct State {
    backlog: VecDeque<Arc<Told>>,
    /// `None`: closed.
    sender: Option<Sender<Arc<Told>>>,
}

/// Counts a reader while it is there.
#[derive(Debug)]
pub(super) struct Present(Arc<Hub>);

impl Hub {
    pub fn new(origin: Arc<Origin>) -> Arc<Self> {
        let (sender, _) = broadcast::channel(LAG);
        let state = Mutex::new(State { backlog: VecDeque::new(), sender: Some(sender) });
        Arc::new(Self {
            state,
            origin,
            readers: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
        })
    }

    pub fn publish(&self, batch: &[Arc<Told>]) {
        let mut state = self.lock();
        for told in batch {
            if state.backlog.len() == BACKLOG {
                state.backlog.pop_front();
            }
            state.backlog.push_back(Arc::clone(told));
            if let Some(sender) = &state.sender {
                // An error says that nobody listens.
                let _ = sender.send(Arc::clone(told));
            }
        }
    }

    /// Nothing more will be told: readers get what is left and then the end.
    pub fn close(&self) {
        self.lock().sender = None;
    }

    /// The last that was said of this flow, as far as it is remembered.
    pub(super) fn find(&self, id: &str) -> Result<Arc<Told>, Refusal> {
        let refused = |error: String| Refusal { error };
        let Some(flow) = self.origin.flow(id) else {
            return Err(refused(format!(
                "{id:?} is no flow of {} since this daemon started: an id is the field `id` of a record (observe -o json)",
                self.origin.node
            )));
        };
        let is_it = |told: &&Arc<Told>| told.record().is_some_and(|record| record.id == flow);
        let found = self.lock().backlog.iter().rev().find(is_it).cloned();
        found
            .ok_or_else(|| refused(format!("flow {id} is not remembered: the last {BACKLOG} records are, see observe")))
    }

    pub(super) fn backlog(&self) -> Vec<Arc<Told>> {
        self.lock().backlog.iter().cloned().collect()
    }

    /// The backlog and what follows it, without a gap or a repetition. `None`: closed.
    pub(super) fn follow(&self) -> (Vec<Arc<Told>>, Option<Receiver<Arc<Told>>>) {
        let state = self.lock();
        (state.backlog.iter().cloned().collect(), state.sender.as_ref().map(Sender::subscribe))
    }

    /// Tells one reader that it missed this many records; of none, that the stream ends here as it should.
    pub(super) fn gap(&self, records: u64) -> Text {
        self.skipped.fetch_add(records, Ordering::Relaxed);
        Loss { events: 0, records }.line(clock::wall(), &self.origin.node)
    }

    pub(super) fn enter(self: &Arc<Self>) -> Present {
        self.readers.fetch_add(1, Ordering::Relaxed);
        Present(Arc::clone(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}
