//! The program's own words: one line each, on stderr.

use anyhow::{Context, Result};
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// `filter` as `--log` has it: a level, or `target=level` pairs.
pub(super) fn start(filter: &str) -> Result<()> {
    // The client of the API server complains of each stream that ends, and whoever asked says what it came to.
    let filter = if filter.contains("kube") { filter.to_owned() } else { format!("{filter},kube_client=off") };
    let filter = EnvFilter::try_new(&filter).with_context(|| {
        format!("--log {filter:?}: expected error, warn, info, debug, trace, or target=level pairs")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
    Ok(())
}
