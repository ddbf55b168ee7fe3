//! Everything about a flow that a person acts on: a few lines, the remedy last.

use super::paint::{End, because, heading};
use crate::command::paint::{BOLD, DIM, class_style, painted};
use crate::sink::wire::{Evidence, Leg, Record};
use std::fmt::Write;

pub(super) fn block(record: &Record) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write(record, &mut out);
    out
}

fn write(record: &Record, out: &mut String) -> std::fmt::Result {
    let dim = DIM;
    let style = class_style(&record.class);
    let client = End::from(&record.client).long();
    let server = End::from(&record.server).long();
    writeln!(out, "{client} -> {server}  {} {}", painted(&heading(record), style), because(record))?;
    writeln!(
        out,
        "  {dim}{:.9}  {}  on {}, seen by the {}{dim:#}",
        record.time, record.id, record.node, record.reporter
    )?;
    writeln!(out, "  from   {}", client_facts(record))?;
    writeln!(out, "  to     {}", server_facts(record))?;
    writeln!(out, "  how    {}", how(record))?;
    for Leg { kind, client, server, outcome, reset_by } in &record.legs {
        let reset = reset_by.as_ref().map(|by| format!(" by the {by}")).unwrap_or_default();
        writeln!(out, "  leg    {kind:<8} {client} -> {server}  {outcome}{reset}")?;
    }
    for Evidence { kind, leg, says } in &record.evidence {
        writeln!(out, "  seen   {kind} on the {leg} leg: {says}")?;
    }
    for drop in &record.drops {
        writeln!(out, "  drop   {} x {}", drop.count, drop.reason)?;
    }
    if record.reason.is_none() {
        for candidate in &record.candidates {
            let cause = candidate.cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
            writeln!(out, "  open   {} {}{cause}", candidate.class, candidate.reason)?;
        }
    }
    if let Some(before) = &record.revises {
        writeln!(out, "  was    {} {}", before.class, before.reason.as_deref().unwrap_or_default())?;
    }
    if record.events_lost > 0 {
        writeln!(out, "  doubt  {} kernel events were lost while it lived", record.events_lost)?;
    }
    if !record.explanation.is_empty() {
        writeln!(out, "  why    {}", record.explanation)?;
    }
    if !record.remedy.is_empty() {
        writeln!(out, "  remedy {}", painted(&record.remedy, BOLD))?;
    }
    writeln!(out)
}

fn client_facts(record: &Record) -> String {
    let client = &record.client;
    let owner = owner(client.workload_kind.as_deref(), client.workload.as_deref(), client.pod_unknown.as_deref());
    format!("{}:{}, {owner}, mesh {}", client.ip, client.port, client.mesh)
}

fn server_facts(record: &Record) -> String {
    let server = &record.server;
    let owner = owner(server.workload_kind.as_deref(), server.workload.as_deref(), server.pod_unknown.as_deref());
    let service = server.service.as_ref().map(|name| format!(", Service {name}")).unwrap_or_default();
    format!("{}:{}, {owner}{service}, mesh {}", server.ip, server.port, server.mesh)
}

fn owner(kind: Option<&str>, workload: Option<&str>, unknown: Option<&str>) -> String {
    match (kind, workload, unknown) {
        (Some(kind), Some(workload), _) => format!("{kind} {workload}"),
        (_, _, Some(why)) => format!("no pod ({why})"),
        _ => "no pod".to_owned(),
    }
}

fn how(record: &Record) -> String {
    let connect = match (&record.connect_us, &record.connect_us_unknown) {
        (Some(micros), _) => format!("connected in {}.{:03} ms", micros / 1000, micros % 1000),
        (None, Some(why)) => format!("connect time unknown ({why})"),
        (None, None) => "connect time unknown".to_owned(),
    };
    let Record { basis, security, outcome, traffic, bytes_sent, bytes_received, .. } = record;
    let ambiguous = if record.legs_ambiguous { ", legs ambiguous" } else { "" };
    let traffic = if traffic == "app" { String::new() } else { format!(", {traffic}") };
    format!(
        "{outcome}, {basis}, security {security}, {connect}, {bytes_sent} B sent, {bytes_received} B received{traffic}{ambiguous}"
    )
}
