//! `replay` and `observe --tape` as a person runs them.

#![expect(clippy::unwrap_used, reason = "in a test an unwrap is an assertion with a line number")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Plain lines, as the first version of the format has them, and what they tell.
const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tapes/demo/input.jsonl");
const TOLD: &str = include_str!("tapes/demo/expected.jsonl");

fn tracer(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
    command.args(args).env_remove("RUST_LOG").env_remove("NO_COLOR").stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn written(dir: &Path, bytes: &[u8]) -> String {
    let path: PathBuf = dir.join("tape");
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Lines of the demo's tape, packed as a daemon packs them: in two blocks.
fn packed() -> Vec<u8> {
    let lines = fs::read(DEMO).unwrap();
    let (first, second) = lines.split_at(lines.len() / 2);
    let mut packer = zstd::Encoder::new(Vec::new(), 1).unwrap();
    packer.write_all(first).unwrap();
    packer.flush().unwrap();
    packer.write_all(second).unwrap();
    packer.finish().unwrap()
}

#[test]
fn a_tape_gives_the_same_records_packed_or_not_from_a_file_or_from_stdin() {
    let output = tracer(&["replay", DEMO]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), TOLD));
    assert_eq!(stderr(&output), "324 inputs of node-1 (kernel 6.18.44-fc-v595), 18 records\n");

    let dir = tempfile::tempdir().unwrap();
    let tape = written(dir.path(), &packed());
    assert_eq!(stdout(&tracer(&["replay", &tape])), TOLD);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
    let output = command.args(["replay", "-"]).stdin(File::open(&tape).unwrap()).output().unwrap();
    assert_eq!(stdout(&output), TOLD);
}

#[test]
fn a_tape_that_is_cut_replays_up_to_the_cut_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let lines = fs::read(DEMO).unwrap();
    let tape = written(dir.path(), &lines[..lines.len() * 9 / 10]);
    let output = tracer(&["replay", &tape]);
    assert_eq!(output.status.code(), Some(1));
    let told = stdout(&output);
    let first = told.lines().zip(TOLD.lines()).take_while(|(told, expected)| told == expected).count();
    assert!(first >= 10, "{first} of {} records are the same", told.lines().count());
    let said = stderr(&output);
    assert!(said.contains("the tape is cut in line 257") && said.contains("what they told is replayed"), "{said}");

    let output = tracer(&["observe", "--tape", &tape, "-o", "json"]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), told));
    assert!(stderr(&output).contains("the tape is cut in line 257"), "{}", stderr(&output));

    let packed = packed();
    let output = tracer(&["replay", &written(dir.path(), &packed[..packed.len() - 100])]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("the tape is cut in line 1"), "{}", stderr(&output));
    // In the middle of the first block: its lines are not there, the very first neither.
    let output = tracer(&["replay", &written(dir.path(), &packed[..100])]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""));
    assert!(stderr(&output).contains("it ends before its first line does"), "{}", stderr(&output));
}

#[test]
fn a_tape_that_is_damaged_tells_what_came_before_and_where_it_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(DEMO).unwrap();
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines[300] = "{\"socket\":7}\n";
    let tape = written(dir.path(), lines.concat().as_bytes());
    for args in [&["replay", tape.as_str()][..], &["observe", "--tape", &tape]] {
        let output = tracer(args);
        assert_eq!(output.status.code(), Some(2));
        assert!(stdout(&output).lines().count() > 10, "{}", stdout(&output));
        assert!(stderr(&output).contains("line 301 of the tape is damaged: invalid type"), "{}", stderr(&output));
    }
}

#[test]
fn what_is_no_tape_is_named() {
    for command in [&["replay"][..], &["observe", "--tape"]] {
        let output = tracer(&[command, &["/nowhere/tape"]].concat());
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        assert!(said.contains("cannot read the tape /nowhere/tape") && said.contains("run --tape FILE"), "{said}");
        let output = tracer(&[command, &[concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("this is no tape"), "{}", stderr(&output));
    }
    let output = tracer(&["observe", "--tape", DEMO, "--follow"]);
    assert_eq!(output.status.code(), Some(2), "a tape has an end: nothing follows");
}

#[test]
fn observe_filters_the_flows_of_a_tape_like_any_others() {
    let output = tracer(&["observe", "--tape", DEMO, "--cause", "host-is-pod-ip", "-o", "json"]);
    let expected: Vec<&str> = TOLD.lines().filter(|line| line.contains("host-is-pod-ip")).collect();
    assert_eq!((output.status.code(), stdout(&output).lines().collect::<Vec<_>>()), (Some(0), expected.clone()));
    assert!(!expected.is_empty());
    assert_eq!(stderr(&output), format!("{} shown, 0 lost\n", expected.len()));
}
