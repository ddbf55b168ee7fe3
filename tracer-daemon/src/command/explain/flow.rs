//! An observed flow, from the daemon that saw it.

use super::{Format, judged, show};
use crate::command::{Answer, Failure, socket};
use crate::sink::wire::{self, Request};
use anyhow::Context;
use std::io::Write;
use std::path::Path;

/// `id` as records bear it.
pub async fn flow(
    path: &Path,
    id: &str,
    format: Format,
    fail_on: &[String],
    out: &mut (impl Write + ?Sized),
) -> Result<Answer, Failure> {
    let answer = ask(path, id).await?;
    show(&answer, format, out).and_then(|()| out.flush()).map_err(Failure::output)?;
    Ok(judged(&answer, fail_on))
}

/// What the daemon at `path` says of the flow.
pub(in crate::command) async fn ask(path: &Path, id: &str) -> Result<wire::Answer, Failure> {
    let line = socket::ask_once(path, &Request::Explain(id.to_owned())).await?;
    wire::Answer::read(&line).context("cannot read the daemon's answer").map_err(Failure::unreached)
}
