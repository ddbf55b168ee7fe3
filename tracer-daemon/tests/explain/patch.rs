//! Every patch does what its remedy promises: applied to its cluster as Kubernetes would, the same call is asked again.

use crate::kubernetes::Objects;
use crate::{answers, cluster, file, read};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use tracer_engine::verdict::{Cause, Promise, Reason, text};

/// A call that has a patch, and what is promised of it.
struct Patched {
    asked: String,
    answer: Value,
}

fn clusters() -> Vec<PathBuf> {
    let under = |path: &str| fs::read_dir(file(path)).expect("the clusters are there");
    let entries = under("tests/truth").chain(under("../tracer-lab/meshes"));
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry can be read").path()).collect();
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    assert_eq!(folders.len(), 46);
    folders
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn promise_of(answer: &Value) -> Promise {
    let reason = Reason::from_code(text_of(&answer["reason"])).expect("a reason");
    text(reason, Cause::from_code(text_of(&answer["cause"]))).promise
}

fn is_kept(promise: Promise, answer: &Value) -> bool {
    let through = !["rejected", "undetermined"].contains(&text_of(&answer["class"]));
    match promise {
        Promise::Nothing => false,
        Promise::Through => through,
        Promise::Mutual => through && answer["security"] == "mutual-tls",
    }
}

#[test]
fn every_patch_brings_about_what_its_remedy_promises() {
    let (mut tried, mut broken, mut rows) = (0, String::new(), BTreeSet::new());
    for folder in clusters() {
        let path = folder.join("cluster.yaml");
        let questions = read(&folder.join("calls.jsonl"));
        let (answered, ended) = answers(&mut cluster(&path), &questions);
        ended.expect("no line is bad");
        let mut by_patch: BTreeMap<String, Vec<Patched>> = BTreeMap::new();
        for (asked, answer) in questions.lines().zip(answered) {
            if let Some(patch) = answer["patch"].as_str() {
                rows.insert((text_of(&answer["reason"]).to_owned(), text_of(&answer["cause"]).to_owned()));
                by_patch.entry(patch.to_owned()).or_default().push(Patched { asked: asked.to_owned(), answer });
            } else {
                assert!(answer["patched"].is_null());
            }
        }
        let before = Objects::read(&read(&path));
        for (patch, calls) in by_patch {
            let dir = tempfile::tempdir().expect("a folder");
            let after = dir.path().join("cluster.json");
            fs::write(&after, before.applied(&patch).written()).expect("a file");
            let questions: Vec<&str> = calls.iter().map(|call| call.asked.as_str()).collect();
            let (again, _) = answers(&mut cluster(&after), &questions.join("\n"));
            for (Patched { asked, answer }, again) in calls.iter().zip(&again) {
                tried += 1;
                let as_said =
                    ["class", "reason", "security"].iter().all(|field| again[field] == answer["patched"][field]);
                if !as_said || !is_kept(promise_of(answer), again) {
                    let _ = writeln!(
                        broken,
                        "{} {asked}\n{} {}\n{patch}\nsaid {}\ncame {} {} {}",
                        folder.display(),
                        answer["reason"],
                        answer["cause"],
                        answer["patched"],
                        again["class"],
                        again["reason"],
                        again["security"]
                    );
                }
            }
        }
    }
    println!("{tried} patches tried, of {} reasons and causes: {rows:?}", rows.len());
    assert!(broken.is_empty(), "{} of {tried} broken\n{broken}", broken.matches("\nsaid").count());
    assert!(tried > 1000, "{tried}");
}
