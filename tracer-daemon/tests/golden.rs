//! Golden tapes: what was recorded of a real mesh gives the same records, byte for byte. A change that means to alter
//! them writes them anew (`MESH_TRACER_KEEP_RECORDS=1 cargo test -p tracer-daemon --test golden`) and shows what it
//! altered in its diff; `MESH_TRACER_KEEP_TAPES=1` with `--test meshes` records the tapes themselves anew.
//! They are kept unpacked, so that git can tell what changed.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use tracer_daemon::replay::Replay;
use tracer_daemon::source::tape::TapeReader;

#[test]
fn demo() {
    replays("demo");
}

#[test]
fn basic() {
    replays("basic");
}

#[test]
fn strict() {
    replays("strict");
}

#[test]
fn registry_only() {
    replays("registry-only");
}

fn replays(mesh: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tapes").join(mesh);
    let input = File::open(folder.join("input.jsonl")).unwrap_or_else(|error| panic!("no tape of {mesh}: {error}"));
    let mut tape = TapeReader::open(BufReader::new(input)).expect("a tape");
    let header = tape.header().clone();
    let told: String = Replay::new(&header, &mut tape)
        .map(|told| told.expect("every line of the tape can be read").text().to_string())
        .collect();
    assert_eq!(tape.cut(), None);
    keep(&folder.join("expected.jsonl"), &told);
    let expected = fs::read_to_string(folder.join("expected.jsonl")).expect("the records of the tape");
    for (number, (told, expected)) in told.lines().zip(expected.lines()).enumerate() {
        assert_eq!(told, expected, "record {}", number + 1);
    }
    assert_eq!(told.lines().count(), expected.lines().count(), "records");
}

#[expect(clippy::disallowed_methods, reason = "a switch of this test, not of the product")]
fn keep(path: &Path, told: &str) {
    if std::env::var_os("MESH_TRACER_KEEP_RECORDS").is_some() {
        fs::write(path, told).expect("tests/tapes can be written");
    }
}
