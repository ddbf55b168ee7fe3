//! How long `why` takes on a journal of 1,000,000 flows: of a day whose last quarter of an hour is asked for, and all of it.
//! One flow in a hundred is the subject's.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tracer_daemon::command::observe::Source;
use tracer_daemon::command::why::{Format, Why, why};

const FLOWS: u64 = 1_000_000;
const DAY: Duration = Duration::from_hours(24);
const ROUNDS: usize = 11;
/// 2026-11-23T00:00:00Z
const MIDNIGHT: i64 = 1_795_392_000;

fn main() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("flows.jsonl");
    let bytes = write(&path);
    println!("{FLOWS} flows of a day, {:.2} GB", bytes as f64 / 1e9);
    for (name, since) in
        [("the last 15 minutes", Duration::from_mins(15)), ("the last 4 hours", DAY / 6), ("the whole day", DAY)]
    {
        let mut took: Vec<Duration> = (0..ROUNDS).map(|_| ask(&path, since)).collect();
        took.sort();
        let ms = |took: Duration| took.as_secs_f64() * 1e3;
        println!("{name}: {:.1} ms ({:.1} to {:.1})", ms(took[ROUNDS / 2]), ms(took[0]), ms(took[ROUNDS - 1]));
    }
}

fn at(since_midnight: Duration) -> jiff::Timestamp {
    jiff::Timestamp::new(MIDNIGHT, 0).expect("a time") + since_midnight
}

fn ask(path: &Path, since: Duration) -> Duration {
    let what = Why {
        subject: "data/db".parse().expect("a name"),
        source: Source::Journal(path.to_owned()),
        since: at(DAY.saturating_sub(since)),
        until: at(DAY),
        all: false,
        format: Format::Text(120),
        fail_on: Vec::new(),
    };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut out = Vec::new();
    let begun = now();
    runtime.block_on(why(what, &mut out)).expect("an answer");
    let took = begun.elapsed();
    assert!(String::from_utf8_lossy(&out).contains("REJECTED"));
    took
}

/// Records of a real mesh over and over, each with a date and an id of its own.
fn write(path: &Path) -> u64 {
    let tape = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tapes/basic/expected.jsonl");
    let records = fs::read_to_string(tape).expect("the records of a tape");
    let others: Vec<String> =
        records.lines().map(|line| line.replace("\"db\"", "\"xy\"").replace("/db\"", "/xy\"")).collect();
    let own: Vec<&str> = records.lines().filter(|line| line.contains("\"workload\":\"db\"")).collect();
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    for flow in 0..FLOWS {
        let n = flow as usize;
        let line = if flow % 100 == 0 { own[n / 100 % own.len()] } else { &others[n % others.len()] };
        let time = at(DAY.mul_f64((flow + 1) as f64 / FLOWS as f64));
        let (_, rest) = line.split_once("\",\"node\"").expect("a record");
        let (node, rest) = rest.split_once("\"id\":\"").expect("a record");
        let (_, rest) = rest.split_once('"').expect("a record");
        writeln!(file, "{{\"version\":\"v1\",\"time\":\"{time:.9}\",\"node\"{node}\"id\":\"n1-1-{flow}\"{rest}")
            .expect("room");
    }
    file.flush().expect("room");
    fs::metadata(path).expect("the file").len()
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is what is measured")]
fn now() -> Instant {
    Instant::now()
}
