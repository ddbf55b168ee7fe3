//! What the running daemon says of itself.

use super::daemons::read;
use super::{Answer, Failure, socket};
use crate::sink::wire::{EventCount, Facts, Hook, KubernetesEvents, Request, Status};
use bytesize::ByteSize;
use std::io::{self, Write};
use std::path::Path;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Text,
    Json,
}

/// `No` where the daemon runs but not everything works.
pub async fn status(path: &Path, format: Format, out: &mut (impl Write + ?Sized)) -> Result<Answer, Failure> {
    let line = socket::ask_once(path, &Request::Status).await?;
    let status = read(&line)?;
    match format {
        // As it came: a newer daemon says more than we know of.
        Format::Json => writeln!(out, "{line}"),
        Format::Text => text(&status, out),
    }
    .and_then(|()| out.flush())
    .map_err(Failure::output)?;
    let off = |facts: &Facts| facts.why.is_some();
    let silent = status.kubernetes_events.as_ref().is_some_and(|events| events.why.is_some());
    let degraded =
        silent || !status.ready || status.hooks.iter().any(|hook| !hook.attached) || status.facts.iter().any(off);
    Ok(if degraded { Answer::No } else { Answer::Yes })
}

fn text(status: &Status, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let Status {
        version: _,
        program,
        node,
        kernel,
        pid,
        started,
        time,
        ready,
        waiting_for,
        hooks,
        events,
        untracked_sockets,
        facts,
        records,
        kubernetes_events,
        memory,
    } = status;
    let up = time.as_second().saturating_sub(started.as_second());
    writeln!(out, "{program} on {node} (kernel {kernel}), pid {pid}, up {}", age(up.unsigned_abs()))?;
    match waiting_for.as_slice() {
        [] if *ready => writeln!(out, "ready    yes")?,
        waiting => writeln!(out, "ready    no: waiting for {}", waiting.join(", "))?,
    }
    for Hook { name, required, attached, off_because, missed } in hooks {
        let state = if *attached { "on " } else { "off" };
        let required = if *required { "required" } else { "optional" };
        let why = off_because.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        writeln!(out, "hook     {state} {name} ({required}), missed {missed}{why}")?;
    }
    for EventCount { kind, emitted, decoded, malformed, lost } in events {
        writeln!(out, "events   {kind}: emitted {emitted}, decoded {decoded}, malformed {malformed}, lost {lost}")?;
    }
    if *untracked_sockets > 0 {
        writeln!(out, "sockets  {untracked_sockets} not followed: the kernel's table of sockets was full")?;
    }
    for Facts { kind, objects, synced, age_seconds, state, why, heard_seconds, malformed } in facts {
        let synced = if *synced { "" } else { ", not synced" };
        let ago = |what, seconds: &Option<u64>| seconds.map(|s| format!(", {what} {} ago", age(s))).unwrap_or_default();
        let (changed, heard) = (ago("changed", age_seconds), ago("heard of", heard_seconds));
        let malformed = if *malformed > 0 { format!(", {malformed} unreadable") } else { String::new() };
        let state = state.as_ref().map(|state| format!(", {state}")).unwrap_or_default();
        let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        writeln!(out, "facts    {kind}: {objects}{synced}{changed}{heard}{malformed}{state}{why}")?;
    }
    writeln!(
        out,
        "records  made {}; journal: written {}, lost {}; readers {}, dropped {}, skipped by them {}",
        records.made,
        records.journal_written,
        records.journal_lost,
        records.readers,
        records.readers_dropped,
        records.readers_skipped
    )?;
    if let Some(KubernetesEvents { written, failed, why }) = kubernetes_events {
        let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        writeln!(out, "told     Kubernetes Events: {written} written, {failed} not{why}")?;
    }
    writeln!(out, "memory   {} anonymous, {} resident", ByteSize(memory.rss_anon_bytes), ByteSize(memory.rss_bytes))
}

pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}
