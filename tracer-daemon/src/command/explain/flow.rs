//! An observed flow, from the daemon that saw it.

use super::{Format, judged, show};
use crate::command::daemons::nobody;
use crate::command::observe::Source;
use crate::command::{Answer, Failure};
use crate::sink::wire;
use anyhow::Context;
use std::io::Write;

/// `id` as records bear it.
pub async fn flow(
    source: &Source,
    id: &str,
    format: Format,
    fail_on: &[String],
    out: &mut (impl Write + ?Sized),
) -> Result<Answer, Failure> {
    let daemons = source.daemons().await?;
    let line = daemons.ok_or_else(nobody)?.explain(id).await?;
    let answer = wire::Answer::read(&line).context("cannot read the daemon's answer").map_err(Failure::unreached)?;
    show(&answer, format, out).and_then(|()| out.flush()).map_err(Failure::output)?;
    Ok(judged(&answer, fail_on))
}
