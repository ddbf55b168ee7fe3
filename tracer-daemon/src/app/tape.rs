//! `--tape`: every input, in the order in which the engine is told. Written on a thread of its own; a tape with a hole
//! is of no use, so one that cannot keep up ends there, and says so.

use crate::clock;
use crate::source::tape::{Recorded, TapeHeader, TapeWriter};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tracing::warn;

/// Batches that may wait for the disk.
const BATCHES: usize = 64;
/// Inputs that may wait beside them.
const WAITING: usize = 65_536;
/// The most that a daemon which is killed has not yet written.
const FLUSHED: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Tape {
    batch: Vec<Recorded>,
    /// `None`: it has ended.
    sender: Option<SyncSender<Vec<Recorded>>>,
    /// An input is missing: it must not look complete.
    cut: Arc<AtomicBool>,
    path: PathBuf,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write the tape {}: {error}; name a file in a folder that is there and writable (--tape FILE)", path.display())]
pub(super) struct TapeError {
    path: PathBuf,
    error: io::Error,
}

impl Tape {
    /// The thread ends when the tape is finished or dropped, and has then written its end.
    pub(super) fn start(path: &Path, header: &TapeHeader) -> Result<(Self, JoinHandle<()>), TapeError> {
        let failed = |error| TapeError { path: path.to_owned(), error };
        let file = File::create(path).map_err(failed)?;
        let writer = TapeWriter::new(BufWriter::new(file), header).map_err(failed)?;
        let (sender, receiver) = sync_channel(BATCHES);
        let cut = Arc::new(AtomicBool::new(false));
        let (target, is_cut) = (path.to_owned(), Arc::clone(&cut));
        let thread = thread::Builder::new().name("tape".to_owned()).spawn(move || {
            if let Err(error) = write_all(writer, &receiver, &is_cut) {
                warn!("tape {}: {error}; it ends here, tracing goes on", target.display());
            }
        });
        let tape = Self { batch: Vec::new(), sender: Some(sender), cut, path: path.to_owned() };
        Ok((tape, thread.map_err(failed)?))
    }

    pub(super) fn record(&mut self, input: Recorded) {
        if self.sender.is_some() {
            self.batch.push(input);
        }
    }

    /// Hands on what was recorded since. Where the disk is behind, that waits for the next time.
    pub(super) fn flush(&mut self) {
        let Some(sender) = self.sender.as_ref().filter(|_| !self.batch.is_empty()) else { return };
        let size = self.batch.len();
        match sender.try_send(mem::take(&mut self.batch)) {
            // The next one will be of about this size.
            Ok(()) => self.batch.reserve(size),
            Err(TrySendError::Full(batch)) if batch.len() < WAITING => self.batch = batch,
            Err(TrySendError::Full(_)) => {
                warn!("tape {}: the disk cannot keep up; it ends here, tracing goes on", self.path.display());
                self.cut.store(true, Ordering::Release);
                self.sender = None;
            }
            Err(TrySendError::Disconnected(_)) => self.sender = None,
        }
    }

    /// Nothing more is recorded: waits until the rest is on its way to the disk.
    pub(super) fn finish(self) {
        if let Some(sender) = self.sender {
            // Without its thread there is nothing to wait for, and that was said.
            let _ = sender.send(self.batch);
        }
    }
}

/// Without the end mark where an input is missing: a reader then knows.
fn write_all(
    mut writer: TapeWriter<impl Write>,
    batches: &Receiver<Vec<Recorded>>,
    cut: &AtomicBool,
) -> io::Result<()> {
    let mut flushed = clock::ktime();
    loop {
        match batches.recv_timeout(FLUSHED) {
            Ok(batch) => batch.iter().try_for_each(|input| writer.write(input))?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let now = clock::ktime();
        if now.since(flushed) >= FLUSHED {
            writer.flush()?;
            flushed = now;
        }
    }
    if cut.load(Ordering::Acquire) { writer.flush() } else { writer.finish().map(drop) }
}
