//! `why` as a person runs it: on journals, tapes, and a socket that this test serves.

#![expect(clippy::unwrap_used, reason = "in a test an unwrap is an assertion with a line number")]

mod daemon;
mod journal;

use serde_json::{Value, json};
use std::fs;
use std::path::Path;

use journal::*;

#[test]
fn flows_are_grouped_by_cause_and_the_rest_is_counted() {
    let file = journal(&[
        record(&REFUSED),
        record(&Flow { at: 2, id: 2, client: "shop/cart-1", ..REFUSED }),
        record(&Flow { at: 3, id: 3, server: "shop/web-1", ..REFUSED }),
        record(&Flow { at: 4, id: 4, reason: Some("stale-pod-ip"), cause: None, ..REFUSED }),
        record(&Flow {
            at: 5,
            id: 5,
            client: "shop/web-0",
            server: "data/db-0",
            class: "undetermined",
            reason: None,
            ..REFUSED
        }),
        record(&Flow { at: 6, id: 6, ..SERVED }),
        record(&Flow { at: 7, id: 7, client: "data/other-0", server: "data/db-0", ..REFUSED }),
    ]);
    let answer = answer(&why(file.path(), &["shop/web", "-o", "json"]));
    assert_eq!(
        troubles(&answer),
        [
            "rejected plaintext-to-strict shop/web:8080 3",
            "rejected stale-pod-ip shop/web:8080 1",
            "undetermined - data/db:8080 1"
        ]
    );
    assert_eq!(answer["flows"], 6, "and not those of others");
    let first = &answer["troubles"][0];
    assert_eq!((&first["first"], &first["last"]), (&json!(time(1)), &json!(time(3))));
    assert_eq!(first["examples"][0]["id"], "n1-1-3", "the newest of those that are as frequent");
    assert_eq!(first["patch"], Value::Null);
    assert!(first["patch_unknown"].as_str().unwrap().contains("--facts FILE"), "{first}");
}

#[test]
fn a_pod_a_workload_and_a_service_are_found_by_name() {
    let by_service = Flow { id: 2, at: 2, service: Some("shop/front"), ..SERVED };
    let file = journal(&[record(&REFUSED), record(&by_service)]);
    let counted = |subject: &str| {
        let answer = answer(&why(file.path(), &[subject, "-o", "json"]));
        (answer["subject"].as_str().unwrap().to_owned(), answer["flows"].as_u64().unwrap(), troubles(&answer).len())
    };
    for (subject, name, flows, causes) in [
        ("shop/web-0", "shop/web-0", 2, 1),
        ("web-0", "shop/web-0", 2, 1),
        ("shop/cart", "shop/cart", 2, 1),
        ("data/web-0", "data/web-0", 0, 0),
        // A call to the pod's own address does not name the Service: other flows tell who stands behind it.
        ("shop/front", "shop/front", 2, 1),
        ("svc/shop/front", "shop/front", 2, 1),
    ] {
        assert_eq!(counted(subject), (name.to_owned(), flows, causes), "{subject}");
    }
}

#[test]
fn a_name_of_two_namespaces_is_asked_back() {
    let file = journal(&[record(&REFUSED), record(&Flow { id: 2, server: "data/web-0", ..REFUSED })]);
    let output = why(file.path(), &["web-0"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        stderr(&output),
        "mesh-tracer: web-0 is in 2 namespaces (data, shop): name one, as in `mesh-tracer why data/web-0`\n"
    );
    for bad in ["shop/", "/web", "a/b/c", "", "we\"b"] {
        let output = command(&[bad]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{bad}");
        assert!(stderr(&output).contains("shop/web-0"), "{}", stderr(&output));
    }
}

#[test]
fn the_last_word_on_a_flow_counts() {
    let file = journal(&[
        record(&Flow { id: 1, at: 1, reason: Some("server-first-stall"), ..REFUSED }),
        record(&Flow { id: 2, at: 1, class: "undetermined", reason: None, outcome: "still-connecting", ..REFUSED }),
        record(&Flow { id: 3, at: 1, class: "undetermined", reason: None, outcome: "still-connecting", ..REFUSED }),
        record(&Flow { id: 1, at: 9, revises: true, ..SERVED }),
        record(&Flow { id: 2, at: 9, reason: Some("stale-pod-ip"), ..REFUSED }),
    ]);
    let output = why(file.path(), &["shop/web-0", "-o", "json"]);
    let answer = answer(&output);
    assert_eq!(troubles(&answer), ["rejected stale-pod-ip shop/web:8080 1", "undetermined - shop/web:8080 1"]);
    assert_eq!(answer["flows"], 3);
    assert!(stdout(&why(file.path(), &["shop/web-0"])).contains("its SYN is still unanswered"));
}

#[test]
fn probes_are_hidden_and_counted_unless_asked_for() {
    let file = journal(&[record(&Flow { traffic: "probe", ..REFUSED })]);
    let text = stdout(&why(file.path(), &["shop/web-0"]));
    assert!(text.contains("1 flow of probes and scrapes in trouble hidden (--all shows them)"), "{text}");
    assert_eq!(troubles(&answer(&why(file.path(), &["shop/web-0", "--all", "-o", "json"]))).len(), 1);
}

#[test]
fn nothing_wrong_is_said_and_told_from_nothing_known() {
    let file = journal(&[record(&SERVED), record(&Flow { at: 60, id: 2, ..SERVED })]);
    let good = stdout(&why(file.path(), &["shop/web-0", "--since", "2026-11-23T10:00:30Z"]));
    assert!(good.starts_with("shop/web-0: nothing is wrong: 1 flow got through\n"), "{good}");
    assert!(!good.contains("begins at"), "the journal reaches further back: {good}");
    let never = stdout(&why(file.path(), &["shop/wbe-0"]));
    assert!(never.starts_with("shop/wbe-0: no flow was seen, so nothing can be said\n"), "{never}");
    assert!(never.contains("the name is another"), "{never}");
}

#[test]
fn what_is_missing_is_said() {
    let of = |lines: &[String], args: &[&str]| {
        let file = journal(lines);
        let answer = answer(&why(file.path(), &[&["shop/web-0", "-o", "json"], args].concat()));
        codes(&answer).into_iter().filter(|code| *code != "status").map(str::to_owned).collect::<Vec<_>>()
    };
    let since = ["--since", "2026-11-23T10:00:30Z"];
    let old = record(&SERVED);
    let new = record(&Flow { at: 60, id: 2, ..SERVED });
    let foreign = new.replace(r#""version":"v1""#, r#""version":"v9""#);
    assert_eq!(of(&[old.clone(), new.clone()], &since), [""; 0]);
    assert_eq!(of(std::slice::from_ref(&new), &since), ["window"], "it begins after what is asked for");
    assert_eq!(of(std::slice::from_ref(&old), &since), ["never-seen", "window"], "it ends before");
    assert_eq!(of(&[], &since), ["never-seen", "window"]);
    assert_eq!(of(&[old.clone(), new.clone(), lost(61, 3, 0)], &since), ["events-lost"]);
    assert_eq!(of(&[old.clone(), lost(1, 3, 0), new.clone()], &since), [""; 0], "lost before that time");
    assert_eq!(of(&[old.clone(), new.clone(), lost(61, 0, 3)], &since), ["records-lost"]);
    for bad in ["garbage", &foreign, "{\"version\":\"v1\"}", "\u{fffd}\u{0}", &new[..90], &new[..new.len() - 9]] {
        assert_eq!(of(&[old.clone(), bad.to_owned(), new.clone()], &since), ["lines-skipped"], "{bad}");
    }
}

#[test]
fn the_end_of_a_recording_is_one_more_step_away() {
    let file = journal(&[record(&REFUSED)]);
    let text = stdout(&why(file.path(), &["shop/web-0", "--since", "2026-11-23T10:10:00Z"]));
    assert!(text.contains("--since 2026-11-23T09:45:01Z"), "{text}");
    let text = stdout(&why(file.path(), &["shop/web-0", "--since", "2026-11-23T09:45:01Z"]));
    assert!(text.contains("1 of 1 flow rejected"), "{text}");
}

#[test]
fn the_predecessor_and_an_unfinished_line_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flows.jsonl");
    let newest = record(&Flow { at: 9, id: 3, ..REFUSED });
    let half = &newest[..newest.len() / 2];
    fs::write(dir.path().join("flows.jsonl.1"), record(&REFUSED) + "\n").unwrap();
    let second = record(&Flow { at: 5, id: 2, ..REFUSED });
    fs::write(&path, format!("{second}\n{half}")).unwrap();
    let half_way = answer(&why(&path, &["shop/web-0", "-o", "json"]));
    assert_eq!((&half_way["flows"], codes(&half_way)), (&json!(2), vec!["window", "status"]));
    fs::write(&path, format!("{second}\n{newest}")).unwrap();
    assert_eq!(answer(&why(&path, &["shop/web-0", "-o", "json"]))["flows"], 3);
}

/// Blocks are a mebibyte: lines lie across their borders, and what is older than the time that is meant is not read.
#[test]
fn a_journal_of_many_blocks_is_read_from_its_end() {
    let lines: Vec<String> = (0..6000).map(|n| record(&Flow { at: n / 100, id: n, ..REFUSED })).collect();
    let file = journal(&lines);
    let all = answer(&why(file.path(), &["shop/web-0", "-o", "json"]));
    assert_eq!((&all["flows"], codes(&all)), (&json!(6000), vec!["window", "status"]));
    let some = answer(&why(file.path(), &["shop/web-0", "-o", "json", "--since", "2026-11-23T10:00:30Z"]));
    assert_eq!((&some["flows"], codes(&some)), (&json!(3000), vec!["status"]));
    assert_eq!(some["troubles"][0]["first"], time(30));
}

#[test]
fn lines_that_somebody_wrote_anew_are_read_as_well() {
    let anew = |flow: &Flow| serde_json::from_str::<Value>(&record(flow)).unwrap().to_string();
    let file = journal(&[anew(&REFUSED), anew(&Flow { at: 2, id: 2, ..REFUSED })]);
    assert_eq!(answer(&why(file.path(), &["shop/web-0", "-o", "json"]))["flows"], 2);
}

#[test]
fn a_tape_is_judged_again() {
    let tape = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tapes/demo/input.jsonl");
    let args = ["search/es", "--since", "2026-01-01T00:00:00Z", "-o", "json", "--tape", tape.to_str().unwrap()];
    let answer = answer(&command(&args).output().unwrap());
    let wanted = ["app-not-listening search/es:9999 1", "plaintext-to-strict search/es:9114 1"];
    for wanted in wanted {
        let wanted = format!("rejected {wanted}");
        assert!(troubles(&answer).contains(&wanted), "{wanted} in {:?}", troubles(&answer));
    }
}

/// Each by the name of whom it happened to, and by nothing else that one would have to know.
#[test]
fn every_rejected_story_of_the_demo_is_found_in_one_command() {
    let journal = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tapes/demo/expected.jsonl");
    let mut stories = 0;
    for line in fs::read_to_string(&journal).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        if record["class"] != "rejected" {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let server = &record["server"];
        let subject = format!("{}/{}", text(&server["namespace"]), text(&server["pod"]));
        let shown = stdout(
            &command(&[&subject, "--since", "2020-01-01T00:00:00Z", "--journal"]).arg(&journal).output().unwrap(),
        );
        let cause = record["cause"].as_str().map(|cause| format!(" ({cause})")).unwrap_or_default();
        let named = format!("{}{cause}", text(&record["reason"]));
        let remedy = text(&record["remedy"]);
        let first_words = remedy.split(' ').take(3).collect::<Vec<_>>().join(" ");
        assert!(shown.contains(&named) && shown.contains(&first_words), "{subject}: {named}, {remedy}: {shown}");
        stories += 1;
    }
    assert!(stories >= 9, "{stories}");
}

#[test]
fn the_exit_status_says_what_was_asked_of_it() {
    let file = journal(&[record(&REFUSED)]);
    assert_eq!(why(file.path(), &["shop/web-0"]).status.code(), Some(0));
    assert_eq!(why(file.path(), &["shop/web-0", "--fail-on", "rejected"]).status.code(), Some(1));
    assert_eq!(why(file.path(), &["shop/web-0", "--fail-on", "undetermined"]).status.code(), Some(0));
    assert_eq!(why(file.path(), &["shop/web-0", "--fail-on", "unmeshed"]).status.code(), Some(2));
    assert_eq!(why(Path::new("/nowhere/flows.jsonl"), &["shop/web-0"]).status.code(), Some(2));
    let output = command(&["shop/web-0", "--socket", "/nowhere/flows.sock"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("mesh-tracer run"), "{}", stderr(&output));
}

#[test]
fn text_fits_a_terminal() {
    let remedy = "A sentence that goes on and on, as long as it takes to fill more than one line of a terminal, and then some more.";
    let lines: Vec<String> = [REFUSED, Flow { at: 2, id: 2, client: "shop/cart-1", ..REFUSED }]
        .iter()
        .map(|flow| record(flow).replace("Do what helps.", remedy))
        .collect();
    let file = journal(&lines);
    let text = stdout(&why(file.path(), &["shop/web-0"]));
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    assert_eq!(
        text.lines().take(6).collect::<Vec<_>>(),
        [
            "shop/web-0: 2 of 2 flows rejected",
            "2026-11-23 09:00:00 to 10:15:00 UTC, as n1 saw them",
            "",
            "1. REJECTED  plaintext-to-strict (host-is-pod-ip)",
            "   2 flows to shop/web:8080, 10:00:01 to 10:00:02",
            "       1  shop/cart-1 -> shop/web-0:8080  n1-1-2",
        ],
        "{text}"
    );
}
