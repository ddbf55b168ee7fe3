//! What a file may look like.

use crate::{facts, read, write, written};
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;
use tracer_daemon::source::cluster::{ClusterEvent, FactsError, FileFacts, IstioInstallation, ObjectKind};

fn namespace(name: &str) -> String {
    format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}\n")
}

/// Names of the objects that a directory or file says there are.
fn applied(path: &Path) -> Result<Vec<String>, FactsError> {
    let mut facts = FileFacts::open(&[path.to_owned()], IstioInstallation::default())?;
    let applied = facts.load()?.into_iter().filter_map(|event| match event {
        ClusterEvent::Applied(object) => Some(object.metadata().name.clone()),
        ClusterEvent::Deleted(_) | ClusterEvent::Synced(_) => None,
    });
    Ok(applied.collect())
}

fn said(path: &Path) -> String {
    applied(path).expect_err("no facts").to_string()
}

#[test]
fn documents_are_separated_by_markers() {
    let (a, b) = (namespace("a"), namespace("b"));
    let block = "# a comment\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: c\n  annotations:\n    text: |\n      a\n\n       --- b\n";
    for text in [
        format!("{a}---\n{b}"),
        format!("---\n{a}---\n---\n# nothing\n---\n{b}---\n"),
        format!("%YAML 1.2\n---\n{a}...\n---\n{b}..."),
        format!("\u{feff}{a}--- # b\n{b}"),
        format!("---\r\n{}---\r\n{}", a.replace('\n', "\r\n"), b.replace('\n', "\r\n")),
        format!("--- {a}--- {b}"),
        format!("{block}---\n{b}"),
    ] {
        assert_eq!(facts(&text).len(), 2, "{text:?}");
    }
}

#[test]
fn lists_may_nest_and_be_json() {
    let (a, b) = (namespace("a"), namespace("b"));
    for text in [
        format!("{{apiVersion: v1, kind: List, metadata: {{resourceVersion: ''}}, items: [{a}, {b}]}}"),
        format!("items: [{{kind: List, apiVersion: v1, items: [{a}]}}, {b}]\nkind: List\napiVersion: v1"),
        "apiVersion: v1\nkind: NamespaceList\nitems:\n- metadata: {name: a}\n- metadata: {name: b}\n".to_owned(),
        r#"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a","labels":null}},
           {"apiVersion":"v1","kind":"Namespace","metadata":{"name":"b"}}]}"#
            .to_owned(),
    ] {
        assert_eq!(facts(&text).len(), 2, "{text:?}");
    }
    assert_eq!(facts("{apiVersion: v1, kind: List, items: []}").len(), 0);
    assert_eq!(facts("{apiVersion: v1, kind: List, items: null}").len(), 0);
}

#[test]
fn unknown_kinds_are_counted_and_named() {
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: [anything: goes]}";
    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {password: aGk=}}";
    let text = format!("{deployment}\n---\n{{kind: List, items: [{secret}, {deployment}, {}]}}", namespace("a"));
    let facts = read(&text).expect("readable facts");
    let expected = BTreeMap::from([("Deployment".to_owned(), 2), ("Secret".to_owned(), 1)]);
    assert_eq!(facts.report.unknown_kinds, expected);
    assert_eq!(facts.report.objects, 1);
}

#[test]
fn every_kind_is_synced_at_first() {
    let (_dir, file) = written(namespace("a"));
    let mut facts = FileFacts::open(&[file], IstioInstallation::default()).expect("facts");
    let events = facts.load().expect("readable facts");
    let synced: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ClusterEvent::Synced(kind) => Some(*kind),
            ClusterEvent::Applied(_) | ClusterEvent::Deleted(_) => None,
        })
        .collect();
    assert_eq!(synced, ObjectKind::ALL);
}

#[test]
fn a_directory_is_its_files_but_not_its_hidden_ones() {
    let dir = TempDir::new().expect("a temporary directory");
    let inner = dir.path().join("..2026_08_01");
    std::fs::create_dir(&inner).expect("a directory");
    write(&inner.join("b.yml"), namespace("b"));
    symlink(inner.join("b.yml"), dir.path().join("b.yml")).expect("a symlink");
    write(&dir.path().join("a.yaml"), namespace("a"));
    write(&dir.path().join("c.json"), r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"c"}}"#);
    write(&dir.path().join(".hidden.yaml"), "{");
    write(&dir.path().join("README.md"), "# not facts {");
    assert_eq!(applied(dir.path()).expect("readable facts"), ["a", "b", "c"]);
}

#[test]
fn what_cannot_be_read_is_said() {
    let dir = TempDir::new().expect("a temporary directory");
    let missing = dir.path().join("missing.yaml");
    let expected = format!(
        "cannot read facts from {}: No such file or directory (os error 2); --facts takes a file, a directory or -",
        missing.display()
    );
    assert_eq!(said(&missing), expected);
    let expected = format!("no facts in directory {}: it holds no .yaml, .yml or .json file", dir.path().display());
    assert_eq!(said(dir.path()), expected);

    let (_dir, file) = written(b"kind: \xff\xfe");
    let expected = format!("facts from {} are no text: byte 6 is not UTF-8; YAML or JSON is expected", file.display());
    assert_eq!(said(&file), expected);

    let twice = FileFacts::open(&["-".into(), "-".into()], IstioInstallation::default());
    let twice = twice.err().map(|error| error.to_string());
    assert_eq!(twice.as_deref(), Some("--facts - is given twice: standard input can be read once"));
}
