//! Where a command's answer goes, and what it runs on.

use anstream::AutoStream;
use anyhow::Context;
use std::io::{self, StdoutLock};
use tokio::runtime::Builder;
use tracer_daemon::cli::GlobalArgs;
use tracer_daemon::command::Failure;

/// What a compact line fits where nobody says how wide the terminal is.
const COLUMNS: usize = 120;

/// A command that asks once needs no threads.
pub(super) fn asked<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start").map_err(Failure::unreached)?.block_on(command)
}

pub(super) fn stdout(global: &GlobalArgs) -> AutoStream<StdoutLock<'static>> {
    AutoStream::new(io::stdout().lock(), global.color())
}

/// As wide as the terminal is, where there is one.
pub(super) fn columns() -> usize {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => COLUMNS,
    }
}
