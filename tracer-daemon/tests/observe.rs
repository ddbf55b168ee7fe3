//! `observe` as a person runs it: on journals, and on a socket that this test serves.

#![expect(clippy::unwrap_used, reason = "in a test an unwrap is an assertion with a line number")]

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// As the daemon writes it. `at` counts seconds from ten o'clock.
fn record(at: u32, class: &str, traffic: &str, port: u16) -> String {
    format!(
        r#"{{"version":"v1","time":"2026-11-23T10:00:{at:02}.000000000Z","node":"n1","id":"n1-1-{at}","reporter":"source","client":{{"ip":"10.244.0.5","port":57282,"namespace":"shop","pod":"web-0","workload":"web","workload_kind":"StatefulSet","mesh":"sidecar"}},"server":{{"ip":"10.244.1.7","port":{port},"namespace":"search","pod":"es-2","workload":"es","workload_kind":"StatefulSet","service":null,"mesh":"sidecar"}},"class":"{class}","reason":"plaintext-to-strict","cause":"port-undeclared","security":"none","basis":"observed","candidates":[],"scope":"first-request","handshake":"5f1c0a9b7e22d4c1","seen_from":"start","traffic":"{traffic}","legs_ambiguous":false,"revises":null,"outcome":"reset","connect_us":410,"bytes_sent":78,"bytes_received":0,"legs":[],"evidence":[],"drops":[],"explanation":"The port is declared by no Service.","remedy":"Declare the port.","events_lost":0}}"#
    )
}

fn lost(events: u64, records: u64) -> String {
    format!(
        r#"{{"version":"v1","time":"2026-11-23T10:00:00.000000000Z","node":"n1","lost":{{"events":{events},"records":{records}}}}}"#
    )
}

fn journal(lines: &[String]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for line in lines {
        writeln!(file, "{line}").unwrap();
    }
    file
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
    command.arg("observe").args(args).env_remove("NO_COLOR").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn observe(journal: &Path, args: &[&str]) -> Output {
    let path = journal.to_str().unwrap();
    command(&[&["--journal", path], args].concat()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn summary(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap().trim_end().to_owned()
}

#[test]
fn json_passes_records_through_and_the_end_says_how_many() {
    let lines = [record(1, "rejected", "app", 9300), record(2, "unmeshed", "app", 80)];
    let file = journal(&lines);
    let output = observe(file.path(), &["-o", "json"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stdout(&output), lines.join("\n") + "\n");
    assert_eq!(summary(&output), "2 shown, 0 lost");
}

#[test]
fn probes_and_scrapes_are_hidden_unless_asked_for() {
    let file = journal(&[
        record(1, "rejected", "app", 9300),
        record(2, "unmeshed", "probe", 15021),
        record(3, "unmeshed", "scrape", 15090),
    ]);
    let output = observe(file.path(), &[]);
    assert_eq!(stdout(&output).lines().count(), 1);
    assert_eq!(summary(&output), "1 shown, 2 probes and scrapes hidden (--all shows them), 0 lost");
    let output = observe(file.path(), &["--all"]);
    assert_eq!(stdout(&output).lines().count(), 3);
    assert_eq!(summary(&output), "3 shown, 0 lost");
}

#[test]
fn filters_last_and_times() {
    let file = journal(&[
        record(1, "rejected", "app", 9300),
        record(2, "unmeshed", "app", 80),
        record(3, "rejected", "app", 9300),
        record(4, "rejected", "app", 9200),
    ]);
    let times = |args: &[&str]| -> Vec<String> {
        let output = observe(file.path(), args);
        stdout(&output).lines().map(|line| line.split('.').next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(times(&["--rejected", "--last", "2"]), ["10:00:03", "10:00:04"]);
    assert_eq!(times(&["--not", "--rejected"]), ["10:00:02"]);
    assert_eq!(times(&["--since", "2026-11-23T10:00:03Z"]), ["10:00:03", "10:00:04"]);
    assert_eq!(times(&["--until", "2026-11-23T10:00:01.5Z"]), ["10:00:01"]);
    assert_eq!(times(&["--port", "80", "--port", "9200"]), ["10:00:02", "10:00:04"]);
    assert_eq!(times(&["--last", "0"]), [""; 0]);
}

#[test]
fn garbage_other_versions_and_losses_are_counted_and_told() {
    let mut foreign = record(2, "rejected", "app", 9300);
    foreign = foreign.replace(r#""version":"v1""#, r#""version":"v9""#);
    let cut = record(3, "rejected", "app", 9300)[..80].to_owned();
    let file = journal(&[
        record(1, "rejected", "app", 9300),
        foreign,
        "garbage".to_owned(),
        cut,
        lost(7, 2),
        lost(1, 0),
        "\u{fffd}\u{0}".to_owned(),
    ]);
    let output = observe(file.path(), &[]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stdout(&output).lines().count(), 1);
    assert_eq!(
        summary(&output),
        "1 shown, 3 lines skipped that are no records, 1 lines skipped that another version wrote, 2 lost, \
         and 8 kernel events: some flows may be missing or told with doubts"
    );
}

#[test]
fn the_predecessor_is_read_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flows.jsonl");
    fs::write(&path, record(2, "rejected", "app", 9300)).unwrap();
    fs::write(dir.path().join("flows.jsonl.1"), record(1, "rejected", "app", 9300) + "\n").unwrap();
    let output = observe(&path, &["-o", "json"]);
    let both = [record(1, "rejected", "app", 9300), record(2, "rejected", "app", 9300)];
    assert_eq!(stdout(&output), both.join("\n") + "\n", "also the last line, which has no newline yet");
}

#[test]
fn wide_ends_with_the_remedy() {
    let file = journal(&[record(1, "rejected", "app", 9300)]);
    let text = stdout(&observe(file.path(), &["-o", "wide"]));
    assert!(
        text.starts_with("shop/web-0 -> search/es-2:9300  REJECTED plaintext-to-strict (port-undeclared)\n"),
        "{text}"
    );
    assert!(text.trim_end().ends_with("remedy Declare the port."), "{text}");
}

#[test]
fn a_journal_that_is_not_there_is_two() {
    let output = observe(Path::new("/nowhere/flows.jsonl"), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(summary(&output).contains("/nowhere/flows.jsonl"), "{}", summary(&output));
    assert_eq!(summary(&output).lines().count(), 1);
}

#[test]
fn colour_only_where_it_is_wanted() {
    let file = journal(&[record(1, "rejected", "app", 9300)]);
    let coloured = |args: &[&str], no_color: &str| {
        let path = file.path().to_str().unwrap();
        let output = command(&[&["--journal", path], args].concat()).env("NO_COLOR", no_color).output().unwrap();
        stdout(&output).contains('\u{1b}')
    };
    assert!(!coloured(&[], ""), "a pipe is no terminal");
    assert!(coloured(&["--color", "always"], ""));
    assert!(coloured(&["--color", "always"], "1"), "a flag wins");
    assert!(!coloured(&["--color", "never"], ""));
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let lines: Vec<String> = (0..50).cycle().take(5000).map(|at| record(at, "rejected", "app", 9300)).collect();
    let file = journal(&lines);
    let mut child = following(&["--journal", file.path().to_str().unwrap()]);
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("REJECTED"));
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), summary(&output).as_str()), (Some(0), ""));
}

fn following(args: &[&str]) -> Child {
    command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn next(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> String {
    lines.next().unwrap().unwrap()
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

#[test]
fn a_journal_is_followed_over_its_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flows.jsonl");
    let append = |line: &str| {
        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    };
    append(&(record(1, "rejected", "app", 9300) + "\n"));
    let mut child = following(&["-f", "-o", "json", "--journal", path.to_str().unwrap()]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(next(&mut lines), record(1, "rejected", "app", 9300));
    let second = record(2, "rejected", "app", 9300) + "\n";
    append(&second[..100]);
    append(&second[100..]);
    assert_eq!(next(&mut lines), second.trim_end(), "a line is told when it is whole");
    append(&(record(3, "rejected", "app", 9300) + "\n"));
    fs::rename(&path, dir.path().join("flows.jsonl.1")).unwrap();
    append(&(record(4, "rejected", "app", 9300) + "\n"));
    assert_eq!(next(&mut lines), record(3, "rejected", "app", 9300));
    assert_eq!(next(&mut lines), record(4, "rejected", "app", 9300));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), summary(&output).as_str()), (Some(0), "4 shown, 0 lost"));
}

/// Accepts one reader on `path`, reads its request and answers with these lines.
fn serve(path: &Path, lines: &[String]) -> std::thread::JoinHandle<String> {
    let listener = UnixListener::bind(path).unwrap();
    let answer = lines.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").unwrap();
        text
    });
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut request = String::new();
        BufReader::new(&stream).read_line(&mut request).unwrap();
        (&stream).write_all(answer.as_bytes()).unwrap();
        request
    })
}

#[test]
fn a_socket_is_asked_for_what_is_wanted_and_its_end_is_told_from_a_cut() {
    let dir = tempfile::tempdir().unwrap();
    let one = record(1, "rejected", "app", 9300);
    let two = record(2, "rejected", "app", 9300);
    let table = [
        (
            &[][..],
            r#"{"observe":{"backlog":"all","follow":false}}"#,
            vec![one.clone(), lost(0, 0)],
            0,
            "1 shown, 0 lost",
        ),
        (
            &["-f"],
            r#"{"observe":{"backlog":"none","follow":true}}"#,
            vec![two.clone(), lost(0, 3), lost(0, 0)],
            0,
            "1 shown, 3 lost",
        ),
        (
            &["-f", "--last", "1"],
            r#"{"observe":{"backlog":"all","follow":true}}"#,
            vec![one.clone(), one.clone(), lost(0, 0), two.clone(), two.clone(), lost(0, 0)],
            0,
            "3 shown, 0 lost",
        ),
        (
            &["-f", "--since", "2026-11-23T10:00:02Z"],
            r#"{"observe":{"backlog":"all","follow":true}}"#,
            vec![one.clone(), two.clone(), lost(0, 0)],
            3,
            "1 shown, 0 lost",
        ),
        (&[], r#"{"observe":{"backlog":"all","follow":false}}"#, vec![one.clone()], 3, "1 shown, 0 lost"),
    ];
    for (number, (args, request, answer, status, told)) in table.into_iter().enumerate() {
        let path = dir.path().join(format!("{number}.sock"));
        let server = serve(&path, &answer);
        let output = command(&[&["--socket", path.to_str().unwrap()], args].concat()).output().unwrap();
        assert_eq!(server.join().unwrap().trim_end(), request, "{args:?}");
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", summary(&output));
        assert_eq!(summary(&output).lines().next(), Some(told), "{args:?}");
    }
}

#[test]
fn a_refusal_of_the_daemon_is_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flows.sock");
    let server = serve(&path, &[r#"{"error":"1024 readers are connected already; try again later"}"#.to_owned()]);
    let output = command(&["--socket", path.to_str().unwrap()]).output().unwrap();
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(summary(&output).contains("try again later"), "{}", summary(&output));
}

#[test]
fn following_is_live_and_ends_with_its_summary_on_interrupt() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flows.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut child = following(&["-f", "--socket", path.to_str().unwrap()]);
    let (mut stream, _) = listener.accept().unwrap();
    BufReader::new(&stream).read_line(&mut String::new()).unwrap();
    let stdout: ChildStdout = child.stdout.take().unwrap();
    let mut lines = BufReader::new(stdout).lines();
    for at in 1..4 {
        // Each is seen before the next is sent: nothing waits in a buffer.
        writeln!(stream, "{}", record(at, "rejected", "app", 9300)).unwrap();
        assert!(next(&mut lines).starts_with(&format!("10:00:0{at}")));
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), summary(&output).as_str()), (Some(0), "3 shown, 0 lost"));
}
