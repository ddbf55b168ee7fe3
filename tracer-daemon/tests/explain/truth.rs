//! The batch as anybody would run it: 40 clusters, 4,484 questions, and the answers that Istio's own code gives.

use crate::{answers, cluster, file, read};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

/// Classes and reasons.
type Ends = BTreeSet<(String, String)>;

fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(file("tests/truth"))
        .expect("the truth is there")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert_eq!(folders.len(), 40);
    folders
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn texts(of: &Value) -> BTreeSet<&str> {
    of.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What of the answer is not as the truth has it.
fn differs(answer: &Value, truth: &Value) -> Option<String> {
    if truth["class"] == "undetermined" {
        let pairs = |of: &Value| -> Ends {
            let all = of.as_array().into_iter().flatten();
            all.map(|one| (one["class"].to_string(), one["reason"].to_string())).collect()
        };
        let (found, wanted) = (pairs(&answer["candidates"]), pairs(&truth["candidates"]));
        let open = answer["class"] == "undetermined" && found == wanted;
        return (!open).then(|| format!("{} {found:?}", answer["class"]));
    }
    for field in ["class", "reason"] {
        if answer[field] != truth[field] {
            return Some(format!("{field} {}", answer[field]));
        }
    }
    let causes = texts(&truth["causes"]);
    if !causes.is_empty() && !answer["cause"].as_str().is_some_and(|cause| causes.contains(cause)) {
        return Some(format!("cause {}", answer["cause"]));
    }
    (!truth["security"].is_null() && answer["security"] != truth["security"])
        .then(|| format!("security {}", answer["security"]))
}

#[test]
fn a_batch_answers_every_call_as_istio_does() {
    let (mut checked, mut wrong) = (0, String::new());
    for folder in folders() {
        let truths = lines(&read(&folder.join("truth.jsonl")));
        let (answered, ended) = answers(&mut cluster(&folder.join("cluster.yaml")), &read(&folder.join("calls.jsonl")));
        ended.expect("no line is bad");
        assert_eq!(answered.len(), truths.len(), "{}: as many answers as questions", folder.display());
        for (answer, truth) in answered.iter().zip(&truths) {
            assert_eq!(answer["id"], truth["id"], "{}: in their order", folder.display());
            assert_eq!(answer["version"], "v1");
            assert_eq!(answer["basis"], "predicted");
            assert_eq!(answer["candidates"] == json!([]), answer["class"] != "undetermined", "{answer}");
            let said = |field: &str| !answer[field].as_str().unwrap_or_default().is_empty();
            assert!(said("explanation") && said("remedy") && answer["steps"][0]["says"].is_string(), "{answer}");
            if truth["class"].is_null() {
                continue;
            }
            checked += 1;
            if let Some(how) = differs(answer, truth) {
                let _ = writeln!(wrong, "{} #{}: {how}\n  {truth}\n  {answer}", folder.display(), truth["id"]);
            }
        }
    }
    assert_eq!(checked, 4484 - 26);
    assert!(wrong.is_empty(), "{wrong}");
}

/// The candidates contain the truth of every call to the same place, whatever else a line still says.
#[test]
fn with_send_left_out_the_truth_is_among_what_is_answered() {
    let (mut checked, mut missing) = (0, String::new());
    for folder in folders() {
        let truths = lines(&read(&folder.join("truth.jsonl")));
        let calls = lines(&read(&folder.join("calls.jsonl")));
        let mut places: BTreeMap<(String, String), (String, Ends)> = BTreeMap::new();
        for (call, truth) in calls.iter().zip(&truths) {
            let mut asked = call.clone();
            asked.as_object_mut().expect("an object").remove("send");
            let place = (call["from"].to_string(), call["to"].to_string());
            let (_, wanted) = places.entry(place).or_insert_with(|| (asked.to_string(), Ends::new()));
            let one = |of: &Value| (of["class"].to_string(), of["reason"].to_string());
            if truth["class"] == "undetermined" {
                wanted.extend(truth["candidates"].as_array().into_iter().flatten().map(one));
            } else if !truth["class"].is_null() {
                wanted.insert(one(truth));
            }
        }
        let questions: Vec<&str> = places.values().map(|(asked, _)| asked.as_str()).collect();
        let (answered, ended) = answers(&mut cluster(&folder.join("cluster.yaml")), &questions.join("\n"));
        ended.expect("no line is bad");
        for ((place, (_, wanted)), answer) in places.iter().zip(&answered) {
            let mut found: Ends = BTreeSet::new();
            for one in answer["candidates"].as_array().into_iter().flatten().chain([answer]) {
                found.insert((one["class"].to_string(), one["reason"].to_string()));
            }
            checked += wanted.len();
            for lacking in wanted.difference(&found) {
                let _ = writeln!(missing, "{} {place:?}: {lacking:?} is not in {found:?}", folder.display());
            }
        }
    }
    assert!(checked > 2000, "{checked}");
    assert!(missing.is_empty(), "{missing}");
}
