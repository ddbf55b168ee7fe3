//! `why` of a daemon: a socket that the test serves.

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::journal::*;

fn status(made: u64) -> Value {
    json!({"version": "v1", "program": "mesh-tracer", "node": "n1", "kernel": "6.18", "pid": 1, "started": time(0),
           "time": time(100), "ready": true, "waiting_for": [], "hooks": [], "events": [], "untracked_sockets": 0,
           "facts": [], "records": {"made": made, "journal_written": 0, "journal_lost": 0, "readers": 0,
           "readers_dropped": 0, "readers_skipped": 0}, "memory": {"rss_anon_bytes": 0, "rss_bytes": 0}})
}

/// Answers requests one by one, and gives them back.
fn serve(path: &Path, answers: Vec<String>) -> std::thread::JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        let ask = |answer: String| {
            let (stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            BufReader::new(&stream).read_line(&mut request).unwrap();
            (&stream).write_all(answer.as_bytes()).unwrap();
            request.trim_end().to_owned()
        };
        answers.into_iter().map(ask).collect()
    })
}

fn lines(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").unwrap();
        text
    })
}

fn explained(patch: Option<&str>) -> String {
    let patched = patch.map(|_| json!({"class": "headless-fallback", "reason": "any-host", "security": "mutual-tls"}));
    let mut answer = json!({
        "version": "v1", "id": "n1-1-1", "class": "rejected", "reason": "plaintext-to-strict", "cause": "host-is-pod-ip",
        "security": "none", "basis": "observed", "from": end("shop/cart-0"), "to": end("shop/web-0"), "candidates": [],
        "steps": [], "caveats": ["the facts have changed since"], "explanation": "e", "remedy": "r", "patch": patch,
        "patched": patched
    });
    answer["to"]["service"] = Value::Null;
    answer["to"]["mtls"] = json!("STRICT");
    format!("{answer}\n")
}

#[test]
fn the_daemon_is_asked_for_flows_for_itself_and_for_patches() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flows.sock");
    let stale = Flow { at: 5, id: 2, reason: Some("stale-pod-ip"), cause: None, ..REFUSED };
    let answers = vec![
        format!("{}\n", status(2)),
        lines(&[record(&REFUSED), record(&stale), lost(9, 0, 0)]),
        explained(Some("kind: Service\n")),
        "{\"error\":\"flow n1-1-2 is not remembered\"}\n".to_owned(),
    ];
    let server = serve(&path, answers);
    let args = ["shop/web-0", "--since", "2026-11-23T10:00:00Z", "--socket", path.to_str().unwrap()];
    let text = stdout(&command(&args).output().unwrap());
    let asked = server.join().unwrap();
    assert_eq!(
        asked,
        [
            "\"status\"",
            r#"{"observe":{"backlog":"all","follow":false}}"#,
            r#"{"explain":"n1-1-2"}"#,
            r#"{"explain":"n1-1-1"}"#
        ],
        "newer causes first where they are as frequent"
    );
    assert!(text.contains("kind: Service\nEOF\n"), "at the margin, for a shell: {text}");
    assert!(
        text.ends_with("Not known:\n  - a patch for 2: the daemon refused: flow n1-1-2 is not remembered\n"),
        "{text}"
    );
}

#[test]
fn what_the_daemon_knows_to_be_missing_is_told() {
    let told = |change: &dyn Fn(&mut Value), since: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flows.sock");
        let mut status = status(1);
        change(&mut status);
        let server = serve(&path, vec![format!("{status}\n"), lines(&[record(&SERVED), lost(9, 0, 0)])]);
        let args = ["shop/web-0", "-o", "json", "--since", since, "--socket", path.to_str().unwrap()];
        let output = command(&args).output().unwrap();
        server.join().unwrap();
        let answer = answer(&output);
        let says = |doubt: &Value| format!("{} {}", doubt["code"], doubt["says"]).replace('"', "");
        answer["unknown"].as_array().unwrap().iter().map(says).collect::<Vec<_>>()
    };
    let later = "2026-11-23T10:00:01Z";
    assert_eq!(told(&|_| (), later), [""; 0]);
    let earlier = "2026-11-23T09:59:00Z";
    assert!(told(&|_| (), earlier)[0].contains("started at 2026-11-23T10:00:00Z"), "{:?}", told(&|_| (), earlier));
    let forgotten = told(&|status| status["records"]["made"] = json!(5000), "2026-11-23T10:00:00Z");
    assert!(forgotten[0].contains("last 1 records") && forgotten[0].contains("--journal"), "{forgotten:?}");
    let facts = |synced: bool, why: Option<&str>| {
        json!([{"kind": "Pod", "objects": 3, "synced": synced, "age_seconds": 9, "state": "failing", "why": why,
                "heard_seconds": 75, "malformed": 0}])
    };
    let hook = |attached: bool, missed: u64| json!([{"name": "kfree_skb", "required": false, "attached": attached, "off_because": "no BTF", "missed": missed}]);
    for (key, value, words) in [
        ("ready", json!(false), "not-ready"),
        ("untracked_sockets", json!(4), "sockets-untracked 4 sockets"),
        ("hooks", hook(false, 0), "hook-off hook kfree_skb is off: no BTF"),
        ("hooks", hook(true, 2), "hook-off hook kfree_skb could not run 2 times"),
        ("facts", facts(true, Some("403: ask for the role")), "facts Pod: failing, heard of 1m15s ago: 403"),
        ("facts", facts(false, None), "facts Pod: not all of them are known yet"),
    ] {
        let told = told(&|status| status[key] = value.clone(), later);
        assert!(told.len() == 1 && told[0].starts_with(words), "{words}: {told:?}");
    }
}
