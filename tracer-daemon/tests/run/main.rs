//! `run` on this kernel, from outside: what it serves, how it reloads, how it ends. Needs root.

#![expect(clippy::unwrap_used, reason = "in a test an unwrap is an assertion with a line number")]

mod daemon;
mod pods;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use daemon::{Daemon, Running, conserved};
use pods::Pods;

fn of_port(text: &str, port: u16) -> Vec<&str> {
    text.lines().filter(|line| line.contains(&format!("\"port\":{port},"))).collect()
}

#[test]
fn a_call_is_seen_served_and_written() {
    let daemon = Daemon::start(&[]);
    assert!(daemon.get("/livez").starts_with("HTTP/1.1 200"));
    assert!(daemon.get("/readyz").starts_with("HTTP/1.1 200"));
    let mut follower = daemon.observe(&["-f", "-o", "json"]);
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    // A reader that has just connected may miss the first call; its own second one it cannot.
    let (sender, seen) = std::sync::mpsc::sync_channel(1024);
    let reading =
        std::thread::spawn(move || while lines.next().is_some_and(|line| sender.send(line.unwrap()).is_ok()) {});
    let mut ports = Vec::new();
    let line = loop {
        ports.push(daemon.pods.call());
        if let Ok(line) = seen.recv_timeout(Duration::from_millis(500)) {
            break line;
        }
    };
    assert!(ports.iter().any(|port| line.contains(&format!("\"port\":{port},"))), "{line}");
    for word in [
        r#""pod":"caller""#,
        r#""pod":"callee""#,
        r#""class":"unmeshed""#,
        r#""reason":"not-in-mesh""#,
        r#""node":"n1""#,
    ] {
        assert!(line.contains(word), "{word} in {line}");
    }
    daemon.explains(&line);
    let metrics = daemon.get("/metrics");
    for word in [
        r#"meshtracer_probe_attached{probe="inet_sock_set_state"} 1"#,
        r#"meshtracer_facts_objects{kind="Pod"} 2"#,
        r#"source_workload="caller""#,
        r#"meshtracer_events_total{stage="lost",kind="connect"} 0"#,
    ] {
        assert!(metrics.contains(word), "{word} in {metrics}");
    }

    let (status, took, log, dir) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(log.contains("stopped: "), "{log}");
    let journal = fs::read_to_string(dir.path().join("flows.jsonl")).unwrap();
    for port in ports {
        assert_eq!(of_port(&journal, port).len(), 1, "one record a call: {journal}");
    }
    assert!(!dir.path().join("flows.sock").exists());
    reading.join().unwrap();
    let follower = follower.wait_with_output().unwrap();
    assert_eq!(follower.status.code(), Some(0), "the stream had its end: {follower:?}");
    assert!(String::from_utf8(follower.stderr).unwrap().contains(" 0 lost"));
}

#[test]
fn a_tape_replays_to_the_journal_byte_for_byte() {
    let daemon = Daemon::start(&["--tape", "tape"]);
    // Two of so many may be given one port.
    let callee = format!("\"server\":{{\"ip\":\"{}\"", daemon.pods.ip(2));
    daemon.pods.calls(50);
    daemon.pods.call();
    let (status, _, log, dir) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    let journal = fs::read_to_string(dir.path().join("flows.jsonl")).unwrap();
    assert_eq!(journal.lines().filter(|line| line.contains(&callee)).count(), 51, "{journal}");
    let mut replay = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
    let replayed = replay.args(["replay", "tape"]).current_dir(dir.path()).output().unwrap();
    assert_eq!(replayed.status.code(), Some(0), "{replayed:?}");
    assert_eq!(String::from_utf8(replayed.stdout).unwrap(), journal);
}

#[test]
fn the_tape_of_a_daemon_that_is_killed_replays_up_to_a_second_before() {
    let daemon = Daemon::start(&["--tape", "tape"]);
    let port = daemon.pods.call();
    // Told, so that it was recorded; what comes next is written with it, a second later at the latest.
    let mut follower = daemon.observe(&["-f", "--last", "1", "--port", &port.to_string()]);
    let mut line = String::new();
    BufReader::new(follower.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let tape = daemon.path("tape");
    let replay = || Command::new(env!("CARGO_BIN_EXE_mesh-tracer")).arg("replay").arg(&tape).output().unwrap();
    let told = |output: &std::process::Output| !of_port(&String::from_utf8_lossy(&output.stdout), port).is_empty();
    assert!((0..500).any(|_| told(&replay())), "not on the tape while the daemon runs");
    daemon.signal(rustix::process::Signal::KILL);
    let replayed = replay();
    assert!(told(&replayed), "{replayed:?}");
    assert_eq!(replayed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&replayed.stderr).contains("the tape is cut in line"), "{replayed:?}");
    follower.kill().unwrap();
    follower.wait().unwrap();
}

#[test]
fn what_was_seen_just_before_the_end_is_written() {
    let daemon = Daemon::start(&["--verdict-deadline", "4s"]);
    let port = daemon.pods.call();
    let (status, took, log, dir) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let journal = fs::read_to_string(dir.path().join("flows.jsonl")).unwrap();
    assert_eq!(of_port(&journal, port).len(), 1, "{journal}");
}

#[test]
fn facts_are_read_again_and_a_broken_file_changes_nothing() {
    let mut daemon = Daemon::start(&[]);
    let write = |daemon: &Daemon, text: &str| fs::write(daemon.path("cluster.yaml"), text).unwrap();
    let facts = daemon.pods.facts();
    write(&daemon, &format!("{facts}---\nkind: Pod\nmetadata: {{name: [\n"));
    let line = daemon.wait_for("still hold");
    assert!(line.contains("cluster.yaml") && line.contains("document 3"), "{line}");
    assert!(daemon.get("/metrics").contains(r#"meshtracer_facts_objects{kind="Pod"} 2"#));
    write(&daemon, &format!("{facts}---\n{}", daemon.pods.pod("third", 3)));
    daemon.wait_for("facts changed");
    let (status, _, log, _) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_full_disk_under_the_journal_is_said_once_and_tracing_goes_on() {
    let mut daemon = Daemon::start(&["--journal", "/dev/full"]);
    daemon.pods.call();
    let line = daemon.wait_for("/dev/full");
    assert!(line.contains("No space left") && line.contains("--journal"), "{line}");
    daemon.pods.call();
    assert!(daemon.get("/livez").starts_with("HTTP/1.1 200"));
    let (status, _, log, _) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("No space left"), "once is enough: {log}");
    assert!(log.contains("2 lost there"), "{log}");
}

#[test]
fn a_second_daemon_on_the_same_socket_says_so() {
    let daemon = Daemon::start(&[]);
    let output = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"))
        .args(["run", "--facts", "cluster.yaml", "--socket", "flows.sock", "--listen", "127.0.0.1:0", "--log", "error"])
        .current_dir(daemon.dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("already running"));
    assert!(daemon.get("/livez").starts_with("HTTP/1.1 200"), "the first one is untouched");
    assert!(daemon.path("flows.sock").exists());
}

/// Two DaemonSets on one node: both tell all of it, and one that leaves takes nothing of the other's with it.
#[test]
fn two_daemons_on_one_node_do_not_disturb_each_other() {
    let first = Daemon::start(&[]);
    let second = Daemon::of(Pods { net: first.pods.net }, &[]);
    first.pods.calls(20);
    let stopped = |daemon: Daemon| {
        let (status, _, log, dir) = daemon.stop();
        assert_eq!(status.code(), Some(0), "{log}");
        let journal = fs::read_to_string(dir.path().join("flows.jsonl")).unwrap();
        let handshakes = journal.lines().filter(|line| line.contains(r#""pod":"callee""#)).map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["handshake"].as_str().unwrap().to_owned()
        });
        handshakes.collect::<BTreeSet<_>>()
    };
    let pods = Pods { net: first.pods.net };
    let of_second = stopped(second);
    assert_eq!(of_second.len(), 20);
    pods.calls(20);
    let of_first = stopped(first);
    assert!(of_first.is_superset(&of_second), "of one connection both tell the same handshake");
    assert_eq!(of_first.len(), 40, "its probes are still there");
}

#[test]
fn a_journal_on_stdout_whose_reader_leaves_ends_the_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let pods = Pods::new();
    fs::write(dir.path().join("cluster.yaml"), pods.facts()).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"))
        .args(["run", "--facts", "cluster.yaml", "--journal", "-", "--socket", "flows.sock", "--listen", "127.0.0.1:0"])
        .args(["--node-name", "n1"])
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let child = &mut running.0;
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(log.any(|line| line.contains("tracing on n1")));
    drop(child.stdout.take());
    pods.call();
    assert!(log.any(|line| line.contains("stopped: ")));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn status_tells_hooks_facts_and_memory() {
    let daemon = Daemon::start(&[]);
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
        command.args(["status", "--socket"]).arg(daemon.path("flows.sock")).args(args).output().unwrap()
    };
    let output = run(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    for word in ["on n1", "ready    yes", "inet_sock_set_state (required)", "Pod: 2", "lost 0", "anonymous"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let all_on = !text.contains("hook     off");
    assert_eq!(output.status.code(), Some(i32::from(!all_on)), "{text}");
    let json: serde_json::Value = serde_json::from_slice(&run(&["-o", "json"]).stdout).unwrap();
    assert_eq!(json["version"], "v1");
    assert!(json["memory"]["rss_anon_bytes"].as_u64().unwrap() < 30_000_000, "{json}");
}

/// Reading the kernel's BTF takes tens of megabytes if one is careless, and gives none of them back.
#[test]
fn trap_09_starting_takes_little_memory_and_keeps_less() {
    let daemon = Daemon::start(&[]);
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.child.0.id())).unwrap();
    let megabytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    };
    // The first counts mapped files too, this test's debug build among them.
    assert!(megabytes("VmHWM:") < 90, "{status}");
    assert!(megabytes("RssAnon:") < 10, "{status}");
}

/// The ring holds some 40,000 events; nobody reads it while the daemon is stopped.
#[test]
fn a_daemon_that_was_stopped_counts_what_it_missed_and_says_so() {
    let mut daemon = Daemon::start(&[]);
    daemon.signal(rustix::process::Signal::STOP);
    daemon.pods.calls(9000);
    daemon.signal(rustix::process::Signal::CONT);
    let line = daemon.wait_for("kernel events were lost");
    // Once the ring is empty there is room again.
    let lost = conserved(&daemon);
    assert!(lost > 1000, "{lost} lost, but: {line}");
    let (port, ..) = daemon.pods.hold();
    let (status, _, log, dir) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    let journal = fs::read_to_string(dir.path().join("flows.jsonl")).unwrap();
    assert_eq!(of_port(&journal, port).len(), 1, "what came after is told");
    let told: u64 = journal
        .lines()
        .filter_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["lost"]["events"].as_u64()
        })
        .sum();
    assert_eq!(told, lost, "the journal says how many are missing");
}

/// On a machine that had no time for the daemon.
#[test]
fn a_deadline_does_not_overtake_what_was_said_before_it() {
    const DEADLINE: Duration = Duration::from_secs(2);
    let daemon = Daemon::start(&[]);
    // Which comes first is a matter of luck where nothing sees to it.
    for round in 0..4 {
        let (port, mut client, mut server) = daemon.pods.silent();
        conserved(&daemon);
        daemon.signal(rustix::process::Signal::STOP);
        client.write_all(b"ping").unwrap();
        server.read_exact(&mut [0; 4]).unwrap();
        server.set_read_timeout(Some(DEADLINE)).unwrap();
        assert!(server.read(&mut [0]).is_err(), "until the deadline has passed");
        daemon.signal(rustix::process::Signal::CONT);
        let record = loop {
            let journal = fs::read_to_string(daemon.path("flows.jsonl")).unwrap();
            if let [record] = of_port(&journal, port)[..] {
                break record.to_owned();
            }
        };
        assert!(record.contains("first-bytes"), "round {round}: {record}");
    }
}

#[test]
fn a_daemon_that_was_killed_is_followed_by_one_that_finds_what_is_open() {
    let daemon = Daemon::start(&[]);
    let pods = Pods { net: daemon.pods.net };
    let held = pods.hold();
    daemon.signal(rustix::process::Signal::KILL);
    drop(daemon);
    let next = Daemon::of(pods, &[]);
    let (port, client, server) = held;
    drop((client, server));
    let lost = conserved(&next);
    let (status, _, log, dir) = next.stop();
    assert_eq!((status.code(), lost), (Some(0), 0), "{log}");
    let journal = fs::read_to_string(dir.path().join("flows.jsonl")).unwrap();
    let [record] = of_port(&journal, port)[..] else { panic!("not one record: {journal}") };
    for word in [r#""seen_from":"middle""#, r#""pod":"caller""#, r#""pod":"callee""#] {
        assert!(record.contains(word), "{word} in {record}");
    }
}

/// A daemon whose journal is a pipe that nobody empties: its drain cannot end.
fn stuck() -> (Daemon, fs::File) {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let mut reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let daemon = Daemon::start(&["--journal", pipe.to_str().unwrap()]);
    rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).unwrap();
    // As the daemon's descriptor is its own, only this one is non-blocking: it fills what is left of the pipe.
    while reader.write(&[b'\n'; 4096]).is_ok() {}
    while reader.write(b"\n").is_ok() {}
    daemon.pods.call();
    (daemon, reader)
}

#[test]
fn a_second_signal_ends_it_at_once_and_a_drain_that_hangs_is_not_waited_for() {
    let (mut daemon, reader) = stuck();
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait_for("stopping");
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait_for("stopped at once by a second signal");
    assert_eq!(daemon.child.0.wait().unwrap().code(), Some(0));
    assert!(!daemon.path("flows.sock").exists());
    drop(reader);

    let (daemon, reader) = stuck();
    let (status, took, log, _) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(log.contains("stopped after 4 s"), "{log}");
    drop(reader);
}
