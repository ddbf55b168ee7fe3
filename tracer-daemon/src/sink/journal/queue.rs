//! Between the engine and the journal's own thread: bounded. A full queue costs the records that do not fit, never
//! the engine's time; the journal then says how many are missing.

use super::super::Told;
use super::super::wire::Text;
use super::{Closed, Counts, Journal};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

/// Records that may wait: a second of a busy node, a few MB.
const WAITING: usize = 4096;
/// Records written at once.
const BATCH: usize = 512;

#[derive(Debug)]
pub struct Queue {
    sender: SyncSender<Arc<Told>>,
    counts: Arc<Counts>,
    missing: u64,
}

impl Journal {
    /// Writes on a thread of its own until every `Queue` is gone. `closed` is called when nobody reads any more.
    pub fn start(self, closed: impl FnOnce() + Send + 'static) -> io::Result<(Queue, JoinHandle<()>)> {
        let (sender, receiver) = sync_channel(WAITING);
        let queue = Queue { sender, counts: self.counts(), missing: 0 };
        let thread = thread::Builder::new().name("journal".to_owned()).spawn(move || {
            if write_all(self, &receiver) == Err(Closed) {
                closed();
            }
        })?;
        Ok((queue, thread))
    }
}

impl Queue {
    pub fn push(&mut self, told: &Arc<Told>) {
        if self.missing > 0 && self.sender.try_send(told.gap(self.missing)).is_ok() {
            self.missing = 0;
        }
        match self.sender.try_send(Arc::clone(told)) {
            // Nobody reads any more: the daemon is about to stop.
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => {
                self.missing += 1;
                self.counts.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn write_all(mut journal: Journal, receiver: &Receiver<Arc<Told>>) -> Result<(), Closed> {
    let mut batch: Vec<Text> = Vec::with_capacity(BATCH);
    while let Ok(first) = receiver.recv() {
        batch.push(Text::clone(first.text()));
        batch.extend(receiver.try_iter().take(BATCH - 1).map(|told| Text::clone(told.text())));
        journal.write(&batch)?;
        batch.clear();
    }
    Ok(())
}
