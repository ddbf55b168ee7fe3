//! However a run ends, nothing of it stays.

use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tracer_lab::{Mesh, Options};

use crate::remains::{self, Remains};
use crate::{options, up};

#[test]
fn a_mesh_that_is_dropped_leaves_nothing() {
    let mesh = up("basic");
    let run = mesh.run().to_owned();
    let there = remains::of(&run);
    assert_eq!(there.namespaces.len(), 10, "nine pods and the node: {there:?}");
    // Seven proxies and seven applications with ports: one more application has none of the former.
    assert!(there.processes.len() >= 14, "{there:?}");
    drop(mesh);
    assert_eq!(remains::of(&run), Remains::default());
}

#[test]
fn a_panic_leaves_nothing() {
    let mesh = up("basic");
    let run = mesh.run().to_owned();
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _mesh = mesh;
        panic!("a test that fails");
    }));
    assert!(panicked.is_err());
    assert_eq!(remains::of(&run), Remains::default());
}

#[test]
fn a_proxy_that_does_not_start_is_told_and_leaves_nothing() {
    let refused = Mesh::up("basic", &Options { envoy: Some("/bin/false".into()), ..options() });
    let error = format!("{:#}", refused.err().expect("/bin/false is no proxy"));
    assert!(error.contains("the proxy of ") && error.contains("has ended: exit status: 1"), "{error}");
}

#[test]
fn ctrl_c_leaves_nothing() {
    let mut lab = start();
    let run = wait_until_up(&mut lab);
    assert_eq!(remains::of(&run).namespaces.len(), 10);
    kill_process(pid(&lab), Signal::INT).unwrap();
    assert_eq!(lab.wait().unwrap().signal(), Some(Signal::INT.as_raw()));
    assert_eq!(remains::of(&run), Remains::default());
}

#[test]
fn ctrl_c_while_the_network_is_made_leaves_nothing() {
    interrupted_when(|remains| !remains.namespaces.is_empty());
}

#[test]
fn ctrl_c_while_proxies_start_leaves_nothing() {
    interrupted_when(|remains| remains.processes.len() >= 5);
}

fn interrupted_when(far_enough: impl Fn(&Remains) -> bool) {
    let mut lab = start();
    let runs = format!("mt{:x}-", lab.id());
    while !far_enough(&remains::of(&runs)) {
        assert_eq!(lab.try_wait().unwrap(), None, "it ended before it got that far");
    }
    kill_process(pid(&lab), Signal::INT).unwrap();
    // Its own thread sees the proxies die: that must not look like a failure of theirs.
    assert_eq!(lab.wait().unwrap().signal(), Some(Signal::INT.as_raw()));
    assert_eq!(remains::of(&runs), Remains::default());
}

#[test]
fn clean_removes_what_a_killed_run_has_left_and_no_more() {
    let living = up("basic");
    let before = remains::of(living.run());
    let mut lab = start();
    let run = wait_until_up(&mut lab);
    assert_eq!(remains::of(&run).namespaces.len(), 10);
    kill_process(pid(&lab), Signal::KILL).unwrap();
    lab.wait().unwrap();

    let clean = Command::new(env!("CARGO_BIN_EXE_tracer-lab")).arg("clean").output().unwrap();
    assert!(clean.status.success(), "{}", String::from_utf8_lossy(&clean.stderr));
    assert_eq!(remains::of(&run), Remains::default());
    assert_eq!(remains::of(living.run()), before);
}

#[test]
fn the_processes_of_a_killed_run_die_with_it() {
    let mut lab = start();
    let run = wait_until_up(&mut lab);
    let processes = remains::of(&run).processes;
    assert!(processes.len() >= 14, "{processes:?}");
    let handles: Vec<_> = processes.iter().map(|process| handle(process)).collect();
    kill_process(pid(&lab), Signal::KILL).unwrap();
    lab.wait().unwrap();
    for (process, handle) in processes.iter().zip(&handles) {
        let mut ended = [PollFd::new(handle, PollFlags::IN)];
        let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
        assert_eq!(poll(&mut ended, Some(&patience)), Ok(1), "process {process} lives on");
    }
    tracer_lab::clean().unwrap();
}

#[test]
fn a_missing_program_is_named_with_its_package() {
    let lab = Command::new(env!("CARGO_BIN_EXE_tracer-lab")).args(["run", "basic"]).env("PATH", "/nowhere").output();
    let lab = lab.unwrap();
    let error = String::from_utf8(lab.stderr).unwrap();
    assert!(error.contains("program ip not found: install Debian package iproute2"), "{error}");
    assert_eq!(lab.status.code(), Some(3));
}

fn start() -> Child {
    let mut lab = Command::new(env!("CARGO_BIN_EXE_tracer-lab"));
    lab.args(["up", "basic"]).stdout(Stdio::piped()).stderr(Stdio::null());
    lab.spawn().unwrap()
}

/// `tracer-lab up` says the run's name when everything is ready.
fn wait_until_up(lab: &mut Child) -> String {
    let mut name = String::new();
    BufReader::new(lab.stdout.as_mut().unwrap()).read_line(&mut name).unwrap();
    assert!(name.starts_with("mt"), "it did not come up: {name:?}");
    name.trim().to_owned()
}

/// Readable when the process has ended.
fn handle(process: &str) -> OwnedFd {
    pidfd_open(Pid::from_raw(process.parse().unwrap()).unwrap(), PidfdFlags::empty()).unwrap()
}

fn pid(lab: &Child) -> Pid {
    Pid::from_child(lab)
}
