//! Ctrl-C: the runs of this process end before it does, whichever program it is.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::run::Run;

static RUNS: Mutex<Vec<Weak<Run>>> = Mutex::new(Vec::new());

/// Ends `run` when the process is told to end, and then lets the signal do what it would have done.
pub(crate) fn watch(run: &Arc<Run>) -> Result<()> {
    static WATCHING: OnceLock<()> = OnceLock::new();
    if WATCHING.set(()).is_ok() {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot watch for signals")?;
        thread::spawn(move || {
            for signal in signals.forever() {
                end_all();
                if let Err(error) = emulate_default_handler(signal) {
                    eprintln!("warning: signal {signal} did not end this process: {error}");
                }
            }
        });
    }
    let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    runs.retain(|run| run.strong_count() > 0);
    runs.push(Arc::downgrade(run));
    Ok(())
}

fn end_all() {
    let runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    for run in runs.iter().filter_map(Weak::upgrade) {
        if let Err(error) = run.end() {
            eprintln!("warning: run {} left something behind; `tracer-lab clean` removes it: {error:#}", run.name());
        }
    }
}
