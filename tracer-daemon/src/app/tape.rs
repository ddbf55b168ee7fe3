//! `--tape`: every input, in the order in which the engine is told. Written on a thread of its own; a tape with a hole
//! is of no use, so one that cannot keep up ends there, and says so.

use crate::source::tape::{Recorded, TapeHeader, TapeWriter};
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use tracing::warn;

/// Inputs that may wait for the disk.
const WAITING: usize = 16_384;

#[derive(Debug)]
pub(super) struct Tape {
    /// `None`: it has ended.
    sender: Option<SyncSender<Recorded>>,
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
    /// The thread ends when the tape is dropped, and has then written its end.
    pub(super) fn start(path: &Path, header: &TapeHeader) -> Result<(Self, JoinHandle<()>), TapeError> {
        let failed = |error| TapeError { path: path.to_owned(), error };
        let file = File::create(path).map_err(failed)?;
        let writer = TapeWriter::new(BufWriter::new(file), header).map_err(failed)?;
        let (sender, receiver) = sync_channel(WAITING);
        let cut = Arc::new(AtomicBool::new(false));
        let (target, is_cut) = (path.to_owned(), Arc::clone(&cut));
        let thread = thread::Builder::new().name("tape".to_owned()).spawn(move || {
            if let Err(error) = write_all(writer, &receiver, &is_cut) {
                warn!("tape {}: {error}; it ends here, tracing goes on", target.display());
            }
        });
        Ok((Self { sender: Some(sender), cut, path: path.to_owned() }, thread.map_err(failed)?))
    }

    pub(super) fn record(&mut self, input: Recorded) {
        let Some(sender) = &self.sender else { return };
        match sender.try_send(input) {
            Ok(()) => {}
            Err(TrySendError::Disconnected(_)) => self.sender = None,
            Err(TrySendError::Full(_)) => {
                warn!("tape {}: the disk cannot keep up; it ends here, tracing goes on", self.path.display());
                self.cut.store(true, Ordering::Release);
                self.sender = None;
            }
        }
    }
}

/// Without the end mark where an input is missing: a reader then knows.
fn write_all(mut writer: TapeWriter<BufWriter<File>>, inputs: &Receiver<Recorded>, cut: &AtomicBool) -> io::Result<()> {
    for input in inputs {
        writer.write(&input)?;
    }
    if cut.load(Ordering::Acquire) { writer.flush() } else { writer.finish().map(drop) }
}
