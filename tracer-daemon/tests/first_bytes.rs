//! `--first-bytes off`: what real meshes show of a call without its first payloads leaves more open, and is never wrong.
//! The golden tapes are played without them; what was told with them, and is the truth, must be told or be left open.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use tracer_daemon::replay::Replay;
use tracer_daemon::sink::wire::{self, Line, Record};
use tracer_daemon::source::tape::{Recorded, TapeError, TapeHeader, TapeReader};
use tracer_engine::socket::{KernelEvent, SocketChange};

/// By both ends of the application's connection; of several words on one flow the last.
type Told = BTreeMap<(SocketAddr, SocketAddr), Record>;

fn told<'a>(lines: impl Iterator<Item = &'a str>) -> Told {
    let records = lines.filter_map(|line| match wire::read(line).expect("our own line") {
        Line::Record(record) => Some(*record),
        Line::Lost(_) => None,
    });
    let ends = |record: &Record| {
        let Record { client, server, .. } = record;
        (SocketAddr::new(client.ip, client.port), SocketAddr::new(server.ip, server.port))
    };
    records.map(|record| (ends(&record), record)).collect()
}

fn without_first_bytes(tape: &Path) -> Told {
    let file = File::open(tape).unwrap_or_else(|error| panic!("no tape {}: {error}", tape.display()));
    let reader = TapeReader::open(BufReader::new(file)).expect("a tape");
    let header = TapeHeader { first_bytes: false, ..reader.header().clone() };
    let no_payload = |input: &Result<Recorded, TapeError>| {
        let change = match input {
            Ok(Recorded::Kernel(KernelEvent::Socket(event))) => Some(&event.change),
            _ => None,
        };
        !matches!(change, Some(SocketChange::FirstBytes { .. }))
    };
    let lines: Vec<_> = Replay::new(&header, reader.filter(no_payload))
        .map(|told| told.expect("every line of the tape can be read").text().clone())
        .collect();
    told(lines.iter().map(|line| &**line))
}

/// How many are told all the same, and how many are left open.
fn judged(mesh: &str, wrong: &mut Vec<String>) -> (usize, usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tapes").join(mesh);
    let truth = fs::read_to_string(folder.join("expected.jsonl")).expect("the records of the tape");
    let mut without = without_first_bytes(&folder.join("input.jsonl"));
    let (mut same, mut open) = (0, 0);
    for (ends, truth) in told(truth.lines()) {
        // On the machine where it was recorded others called too: what is nobody's in this mesh, or fits no route of it.
        if truth.client.pod.is_none() || truth.class == "undetermined" {
            without.remove(&ends);
            continue;
        }
        let record = without.remove(&ends).unwrap_or_else(|| panic!("{mesh}: nothing is told of {ends:?}"));
        let among = |record: &Record| {
            record
                .candidates
                .iter()
                .any(|open| open.class == truth.class && Some(&open.reason) == truth.reason.as_ref())
        };
        if record.class == truth.class && record.reason == truth.reason {
            same += 1;
        } else if record.class == "undetermined" && record.reason.is_none() && among(&record) {
            open += 1;
        } else {
            let said = |record: &Record| {
                let reason = record.reason.as_deref().unwrap_or_default();
                let open: Vec<_> = record.candidates.iter().map(|open| &*open.reason).collect();
                format!("{} {reason} {open:?} of {}, legs {:?}", record.class, record.id, record.legs)
            };
            wrong.push(format!("{mesh}: {}\n  with first bytes {}", said(&record), said(&truth)));
        }
    }
    assert!(without.is_empty(), "{mesh}: more is told than there was: {:?}", without.keys());
    (same, open)
}

#[test]
fn a_mesh_without_first_bytes_is_told_right_or_left_open() {
    let mut wrong = Vec::new();
    for mesh in ["demo", "basic", "strict", "registry-only"] {
        let (same, open) = judged(mesh, &mut wrong);
        println!("{mesh}: {same} the same, {open} left open with the truth among the candidates");
        assert!(same > 0 && open > 0, "{mesh}: {same} the same, {open} open: this proves nothing");
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}
