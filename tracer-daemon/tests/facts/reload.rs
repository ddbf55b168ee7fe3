//! Files that change while they are watched.

use crate::{write, written};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use tempfile::TempDir;
use tracer_daemon::source::cluster::{ClusterEvent, FileFacts, IstioInstallation};

fn pod(name: &str, ip: &str) -> String {
    format!("{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: a}}, status: {{podIP: {ip}}}}}\n")
}

fn open(path: PathBuf) -> FileFacts {
    let mut facts = FileFacts::open(&[path], IstioInstallation::default()).expect("facts");
    facts.load().expect("readable facts");
    facts
}

/// `+web-0` for what is applied, `-web-0` for what is deleted.
fn difference(facts: &mut FileFacts) -> Vec<String> {
    let events = facts.load().expect("readable facts");
    let told = events.into_iter().map(|event| match event {
        ClusterEvent::Applied(object) => format!("+{}", object.metadata().name),
        ClusterEvent::Deleted(object) => format!("-{}", object.name),
        ClusterEvent::Synced(kind) => format!("={kind}"),
    });
    told.collect()
}

#[test]
fn only_what_differs_is_told() {
    let (_dir, file) = written([pod("a", "10.0.0.1"), pod("b", "10.0.0.2"), pod("c", "10.0.0.3")].join("---\n"));
    let mut facts = open(file.clone());
    assert_eq!(difference(&mut facts), Vec::<String>::new());
    write(&file, [pod("c", "10.0.0.3"), pod("b", "10.0.0.9"), pod("d", "10.0.0.1")].join("---\n"));
    assert_eq!(difference(&mut facts), ["-a", "+b", "+d"]);
    assert_eq!(difference(&mut facts), Vec::<String>::new());
}

#[test]
fn a_reload_that_fails_keeps_what_is_known() {
    let (_dir, file) = written([pod("a", "10.0.0.1"), pod("b", "10.0.0.2")].join("---\n"));
    let mut facts = open(file.clone());
    write(&file, "{");
    facts.load().expect_err("malformed facts");
    fs::remove_file(&file).expect("the file was there");
    facts.load().expect_err("no file");
    write(&file, pod("b", "10.0.0.2"));
    assert_eq!(difference(&mut facts), ["-a"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_is_noticed_once() {
    let (_dir, file) = written(pod("a", "10.0.0.1"));
    let mut facts = open(file.clone());
    let patience = std::time::Duration::from_mins(1);
    let unchanged = tokio::time::timeout(patience, facts.changed()).await;
    unchanged.expect_err("nothing changed");

    write(&file, pod("bb", "10.0.0.1"));
    tokio::time::timeout(patience, facts.changed()).await.expect("the file is another");
    assert_eq!(difference(&mut facts), ["-a", "+bb"]);
    tokio::time::timeout(patience, facts.changed()).await.expect_err("nothing changed since");

    write(&file, "{");
    tokio::time::timeout(patience, facts.changed()).await.expect("the file is another");
    facts.load().expect_err("malformed facts");
    tokio::time::timeout(patience, facts.changed()).await.expect_err("the same fault is told once");
}

#[tokio::test(start_paused = true)]
async fn a_directory_changes_with_its_files_and_with_the_swap_of_a_mounted_config_map() {
    let dir = TempDir::new().expect("a temporary directory");
    let at = |name: &str| dir.path().join(name);
    for (version, name) in [("..1", "a"), ("..2", "b")] {
        fs::create_dir(at(version)).expect("a directory");
        write(&at(version).join("facts.yaml"), pod(name, "10.0.0.1"));
    }
    symlink("..1", at("..data")).expect("a symlink");
    symlink("..data/facts.yaml", at("facts.yaml")).expect("a symlink");
    let mut facts = open(dir.path().to_owned());
    let patience = std::time::Duration::from_mins(1);

    symlink("..2", at("..tmp")).expect("a symlink");
    fs::rename(at("..tmp"), at("..data")).expect("a rename");
    tokio::time::timeout(patience, facts.changed()).await.expect("the mount was swapped");
    assert_eq!(difference(&mut facts), ["-a", "+b"]);

    write(&at("more.yaml"), pod("c", "10.0.0.3"));
    tokio::time::timeout(patience, facts.changed()).await.expect("a file was added");
    assert_eq!(difference(&mut facts), ["+c"]);

    fs::remove_file(at("more.yaml")).expect("the file was there");
    tokio::time::timeout(patience, facts.changed()).await.expect("a file was removed");
    assert_eq!(difference(&mut facts), ["-c"]);
}

#[tokio::test(start_paused = true)]
async fn what_can_be_read_once_never_changes() {
    let mut facts = FileFacts::open(&["-".into()], IstioInstallation::default()).expect("facts");
    let patience = std::time::Duration::from_hours(1);
    tokio::time::timeout(patience, facts.changed()).await.expect_err("standard input cannot change");
}

#[test]
fn a_pipe_is_read_once_and_remembered() {
    let dir = TempDir::new().expect("a temporary directory");
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let other = dir.path().join("other.yaml");
    write(&other, pod("b", "10.0.0.2"));
    let writer = {
        let pipe = pipe.clone();
        std::thread::spawn(move || fs::write(pipe, pod("a", "10.0.0.1")))
    };
    let mut facts = FileFacts::open(&[pipe, other.clone()], IstioInstallation::default()).expect("facts");
    facts.load().expect("readable facts");
    writer.join().expect("the writer ends").expect("the pipe takes it");
    write(&other, pod("c", "10.0.0.2"));
    assert_eq!(difference(&mut facts), ["-b", "+c"], "the pipe's objects are still there");
}
