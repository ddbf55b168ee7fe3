//! Cluster facts from files: what is read, what is lowered, what is said of bad input.

mod bad_input;
mod files;
mod istio;
mod kubernetes;
mod meshes;
mod pods;
mod reload;

use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tracer_daemon::source::cluster::{Facts, FactsError, IstioInstallation, read_facts};
use tracer_engine::mesh::facts::{Delta, Fact};

/// A directory with one file of facts.
fn written(text: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let dir = TempDir::new().expect("a temporary directory");
    let file = dir.path().join("cluster.yaml");
    write(&file, text);
    (dir, file)
}

fn write(file: &Path, text: impl AsRef<[u8]>) {
    std::fs::write(file, text).expect("the temporary directory takes a file");
}

fn read(text: &str) -> Result<Facts, FactsError> {
    let (_dir, file) = written(text);
    read_facts(&[file], &IstioInstallation::default())
}

/// All facts of a text that must be without fault.
fn facts(text: &str) -> Vec<Fact> {
    let Facts { deltas, skipped, report: _ } = read(text).expect("readable facts");
    assert_eq!(skipped, [], "{text}");
    let upserts = deltas.into_iter().filter_map(|delta| match delta {
        Delta::Upsert(fact) => Some(*fact),
        Delta::Remove(..) | Delta::Synced(_) => None,
    });
    upserts.collect()
}

fn fact(text: &str) -> Fact {
    let mut facts = facts(text);
    assert_eq!(facts.len(), 1, "{text}");
    facts.remove(0)
}

/// Takes one kind of fact out of its enumeration.
macro_rules! fact_as {
    ($kind:ident, $text:expr) => {
        match crate::fact($text) {
            tracer_engine::mesh::facts::Fact::$kind(fact) => fact,
            other => panic!("expected a {}, got {other:?}", stringify!($kind)),
        }
    };
}
use fact_as;

/// What is said of each object that cannot be lowered.
fn skipped(text: &str) -> Vec<String> {
    let facts = read(text).expect("readable facts");
    facts.skipped.iter().map(ToString::to_string).collect()
}
