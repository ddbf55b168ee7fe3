//! Ctrl-C: the runs of this process end before it does, whichever program it is.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::run::Run;

static RUNS: Mutex<Vec<Weak<Run>>> = Mutex::new(Vec::new());
/// A signal has come that ends this process as soon as its runs have ended.
static ENDING: AtomicBool = AtomicBool::new(false);

/// A run that ends when this is dropped, or before a signal ends the process.
pub(crate) struct Held(Arc<Run>);

pub(crate) fn hold(run: Arc<Run>) -> Result<Held> {
    static WATCHING: OnceLock<()> = OnceLock::new();
    let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    if WATCHING.get().is_none() {
        let signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot watch for signals")?;
        thread::spawn(|| watch(signals));
        WATCHING.get_or_init(|| ());
    }
    runs.retain(|run| run.strong_count() > 0);
    runs.push(Arc::downgrade(&run));
    Ok(Held(run))
}

fn watch(mut signals: Signals) {
    for signal in signals.forever() {
        ENDING.store(true, Ordering::SeqCst);
        let runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
        runs.iter().filter_map(Weak::upgrade).for_each(|run| run.end_or_warn());
        if let Err(error) = emulate_default_handler(signal) {
            eprintln!("warning: signal {signal} did not end this process: {error}");
        }
    }
}

impl Deref for Held {
    type Target = Run;

    fn deref(&self) -> &Run {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.end_or_warn();
        // A thread that saw its proxies die must neither complain of it nor end the process in another way.
        while ENDING.load(Ordering::SeqCst) {
            thread::park();
        }
    }
}
