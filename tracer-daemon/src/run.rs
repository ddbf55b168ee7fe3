//! `mesh-tracer run`: when the daemon starts and when it stops. What it is made of is `app`'s business.

use anyhow::Context;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracer_daemon::app::App;
use tracer_daemon::cli::RunArgs;
use tracer_daemon::command::Failure;
use tracer_daemon::config::Config;
use tracer_daemon::heap;
use tracer_daemon::lifecycle::{DRAIN_WITHIN, Drain};
use tracing::{info, warn};

/// The engine and the journal have threads of their own; what is left is reading the ring and answering.
const WORKERS: usize = 2;

struct Signals {
    term: Signal,
    int: Signal,
}

pub(super) fn run(args: RunArgs) -> Result<(), Failure> {
    heap::keep_small();
    let config = Config::try_from(args).map_err(Failure::input)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .context("cannot start threads")
        .map_err(Failure::unreached)?;
    let ended = runtime.block_on(start_to_stop(config));
    // Whatever still runs was told to stop and is not waited for any longer.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ended
}

async fn start_to_stop(config: Config) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let (drain, stop) = Drain::new();
    let mut app = tokio::select! {
        app = App::start(config, &stop) => app?,
        () = signals.next() => return Ok(()),
    };
    let failure = tokio::select! {
        () = signals.next() => None,
        () = stop.asked() => None,
        failure = app.failed() => Some(failure),
    };
    info!("stopping: what was seen is written first");
    drain.begin();
    tokio::select! {
        () = app.finish() => {}
        () = signals.next() => warn!("stopped at once by a second signal: what was not yet written is lost"),
        () = tokio::time::sleep(DRAIN_WITHIN) => {
            warn!("stopped after {} s: what was not yet written is lost", DRAIN_WITHIN.as_secs());
        }
    }
    failure.map_or(Ok(()), Err)
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let on = |kind| signal(kind).context("cannot listen for signals").map_err(Failure::unreached);
        Ok(Self { term: on(SignalKind::terminate())?, int: on(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
