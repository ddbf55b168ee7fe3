//! Journals of a few flows, and `why` asked of them.

use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a record of these tests differs in.
pub(crate) struct Flow {
    /// Seconds from ten o'clock.
    pub(crate) at: u32,
    pub(crate) id: u32,
    pub(crate) client: &'static str,
    pub(crate) server: &'static str,
    pub(crate) service: Option<&'static str>,
    pub(crate) class: &'static str,
    pub(crate) reason: Option<&'static str>,
    pub(crate) cause: Option<&'static str>,
    pub(crate) traffic: &'static str,
    pub(crate) outcome: &'static str,
    pub(crate) revises: bool,
}

/// cart calls web by its pod ip, and is refused.
pub(crate) const REFUSED: Flow = Flow {
    at: 1,
    id: 1,
    client: "shop/cart-0",
    server: "shop/web-0",
    service: None,
    class: "rejected",
    reason: Some("plaintext-to-strict"),
    cause: Some("host-is-pod-ip"),
    traffic: "app",
    outcome: "reset",
    revises: false,
};

pub(crate) const SERVED: Flow = Flow { class: "mesh-routed", reason: Some("host-balanced"), cause: None, ..REFUSED };

/// `namespace/name-0`, of workload `name`.
pub(crate) fn end(name: &str) -> Value {
    let (namespace, pod) = name.split_once('/').unwrap();
    let workload = pod.rsplit_once('-').unwrap().0;
    json!({"ip": "10.244.0.5", "port": 8080, "namespace": namespace, "pod": pod, "workload": workload,
           "workload_kind": "StatefulSet", "mesh": "sidecar"})
}

pub(crate) fn record(flow: &Flow) -> String {
    let Flow { at, id, client, server, service, class, reason, cause, traffic, outcome, revises } = flow;
    let mut server = end(server);
    server["service"] = json!(service);
    let revises = revises.then(|| json!({"class": "rejected", "reason": "server-first-stall"}));
    // As the daemon writes it: the version and the date come first.
    let rest = json!({
        "node": "n1", "id": format!("n1-1-{id}"), "reporter": "source", "client": end(client), "server": server,
        "class": class, "reason": reason, "cause": cause, "security": "none", "basis": "observed", "candidates": [],
        "scope": "first-request", "handshake": null, "seen_from": "start", "traffic": traffic, "legs_ambiguous": false,
        "revises": revises, "outcome": outcome, "connect_us": 410, "bytes_sent": 78, "bytes_received": 0, "legs": [],
        "evidence": [], "drops": [], "explanation": format!("It is {class}."), "remedy": "Do what helps.",
        "events_lost": 0
    });
    format!(r#"{{"version":"v1","time":"{}",{}"#, time(*at), &rest.to_string()[1..])
}

pub(crate) fn time(at: u32) -> String {
    format!("2026-11-23T10:{:02}:{:02}.000000000Z", at / 60, at % 60)
}

pub(crate) fn lost(at: u32, events: u64, records: u64) -> String {
    let time = time(at);
    format!(r#"{{"version":"v1","time":"{time}","node":"n1","lost":{{"events":{events},"records":{records}}}}}"#)
}

pub(crate) fn journal(lines: &[String]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for line in lines {
        writeln!(file, "{line}").unwrap();
    }
    file
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
    command.arg("why").args(args).env_remove("NO_COLOR").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// From nine until a quarter past ten, if nothing else is said.
pub(crate) fn why(journal: &Path, args: &[&str]) -> Output {
    let path = journal.to_str().unwrap();
    let mut command = command(&["--journal", path, "--until", "2026-11-23T10:15:00Z"]);
    if !args.contains(&"--since") {
        command.args(["--since", "2026-11-23T09:00:00Z"]);
    }
    command.args(args).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn answer(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).unwrap()
}

pub(crate) fn codes(answer: &Value) -> Vec<&str> {
    answer["unknown"].as_array().unwrap().iter().map(|doubt| doubt["code"].as_str().unwrap()).collect()
}

/// class, reason, to, count
pub(crate) fn troubles(answer: &Value) -> Vec<String> {
    let told = |trouble: &Value| {
        let text = |key: &str| trouble[key].as_str().unwrap_or("-").to_owned();
        format!("{} {} {} {}", text("class"), text("reason"), text("to"), trouble["count"])
    };
    answer["troubles"].as_array().unwrap().iter().map(told).collect()
}
