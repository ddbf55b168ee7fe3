//! The journal on a real file system, full and gone.

use crate::sample::{epoch, origin, rejected};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use tracer_daemon::sink::Told;
use tracer_daemon::sink::journal::{Journal, Target, predecessor};
use tracer_daemon::sink::wire::{self, Line, Text};

fn open(path: &Path, size: u64) -> Journal {
    Journal::open(Target::File(path.to_owned()), size).unwrap()
}

fn line(number: usize) -> Text {
    format!("{{\"line\":{number:010}}}\n").into()
}

#[test]
fn bounded_by_its_size_and_rotated_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flows.jsonl");
    let mut journal = open(&path, 2000);
    for number in 0..1000 {
        assert_eq!(journal.write(&[line(number)]), Ok(()));
    }
    let (old, new) = (fs::read_to_string(predecessor(&path)).unwrap(), fs::read_to_string(&path).unwrap());
    assert!(old.len() + new.len() <= 2000, "{} + {}", old.len(), new.len());
    let kept: String = (1000 - (old + &new).lines().count()..1000).map(|number| line(number).to_string()).collect();
    assert_eq!(fs::read_to_string(predecessor(&path)).unwrap() + &fs::read_to_string(&path).unwrap(), kept);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    assert_eq!(journal.counts().written.load(Relaxed), 1000);
}

#[test]
fn a_full_disk_is_counted_and_survived() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flows.jsonl");
    symlink("/dev/full", &path).unwrap();
    let mut journal = open(&path, 1 << 20);
    assert_eq!(journal.write(&[line(1), line(2)]), Ok(()));
    assert_eq!(journal.write(&[line(3)]), Ok(()));
    assert_eq!((journal.counts().written.load(Relaxed), journal.counts().lost.load(Relaxed)), (0, 3));
}

#[test]
fn a_disk_with_room_again_is_written_again_in_whole_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flows.jsonl");
    let mut journal = open(&path, 100);
    journal.write(&[line(1)]).unwrap();
    // The next line needs a rotation, and a folder in the way makes that fail as a full disk does.
    fs::create_dir(predecessor(&path)).unwrap();
    journal.write(&(2..10).map(line).collect::<Vec<_>>()).unwrap();
    assert_eq!(journal.counts().lost.load(Relaxed), 7);
    fs::remove_dir(predecessor(&path)).unwrap();
    journal.write(&[line(10)]).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), line(10).to_string());
    assert_eq!(fs::read_to_string(predecessor(&path)).unwrap(), format!("{}{}", line(1), line(2)));
    assert_eq!((journal.counts().written.load(Relaxed), journal.counts().lost.load(Relaxed)), (3, 7));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = Journal::open(Target::File("/nowhere/flows.jsonl".into()), 1 << 20).unwrap_err().to_string();
    assert!(error.contains("/nowhere/flows.jsonl") && error.contains("--journal FILE"), "{error}");
}

#[test]
fn a_queue_hands_on_everything_until_it_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flows.jsonl");
    let (mut queue, thread) = open(&path, 1 << 20).start(|| ()).unwrap();
    for _ in 0..100 {
        queue.push(&Told::flow(Box::new(rejected()), &origin(), epoch()));
    }
    drop(queue);
    thread.join().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 100);
    assert!(text.lines().all(|line| matches!(wire::read(line), Ok(Line::Record(_)))));
}

#[test]
fn a_stuck_disk_costs_records_and_never_the_caller() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    // A pipe that nobody reads takes 64 KiB and then nothing.
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let journal = open(&path, 1 << 20);
    let counts = journal.counts();
    let (mut queue, thread) = journal.start(|| ()).unwrap();
    for _ in 0..10_000 {
        queue.push(&Told::flow(Box::new(rejected()), &origin(), epoch()));
    }
    let lost = counts.lost.load(Relaxed);
    assert!(lost > 0, "the queue is bounded");

    // Somebody reads: what was queued arrives, and the journal itself says how much is missing.
    let mut lines = BufReader::new(reader).lines().map(|line| wire::read(&line.unwrap()).unwrap());
    let (mut records, mut told) = (0, 0);
    let mut read = |until: u64| {
        while records < until {
            match lines.next() {
                Some(Line::Record(_)) => records += 1,
                Some(Line::Lost(loss)) => told += loss.records,
                None => unreachable!("the pipe stays open"),
            }
        }
        told
    };
    read(10_000 - lost);
    queue.push(&Told::flow(Box::new(rejected()), &origin(), epoch()));
    assert_eq!(read(10_001 - lost), lost);
    drop(queue);
    thread.join().unwrap();
}
