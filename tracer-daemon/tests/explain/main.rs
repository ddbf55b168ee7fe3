//! `explain`: answers that agree with Istio, words that a person can act on, and bad input that is named.

mod answers;
mod bad_input;
mod flow;
mod kubernetes;
mod odd_facts;
mod patch;
mod readme;
mod truth;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tracer_daemon::command::explain::{Cluster, Format, batch};
use tracer_daemon::command::{Answer, Failure};
use tracer_daemon::source::cluster::{IstioInstallation, read_facts};

/// A file of the tests, or of the lab's meshes.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn cluster(path: &Path) -> Cluster {
    let facts = read_facts(&[path.to_owned()], &IstioInstallation::default())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Cluster::new(facts.deltas, facts.skipped.iter().map(ToString::to_string).collect(), "give its object with --facts")
}

/// The answers to these lines, and how the batch ended.
fn answers(cluster: &mut Cluster, questions: &str) -> (Vec<Value>, Result<Answer, Failure>) {
    let mut out = Vec::new();
    let ended = batch(cluster, questions.as_bytes(), Format::Json, &[], &mut out);
    let text = String::from_utf8(out).expect("answers are text");
    (text.lines().map(|line| serde_json::from_str(line).expect("an answer is JSON")).collect(), ended)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
