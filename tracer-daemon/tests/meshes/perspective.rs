//! The tape of a mesh as one pod's node alone would have recorded it.

use crate::stage::PodSeen;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use tracer_daemon::command::replay::replay;
use tracer_daemon::replay::Replay;
use tracer_daemon::sink::wire::{self, Line, Record};
use tracer_daemon::source::tape::{Recorded, TapeError, TapeReader};
use tracer_engine::socket::KernelEvent;

/// What is told from the events of this pod's network namespace, the node's own between the `pods`, and all facts.
pub(crate) fn of_pod(tape: &Path, pod: &PodSeen, pods: &[PodSeen]) -> Vec<Record> {
    play(tape, |input| match input {
        Recorded::Kernel(KernelEvent::Socket(event)) => event.socket.owner.netns == pod.netns,
        Recorded::Kernel(KernelEvent::Dropped(dropped)) => {
            dropped.netns == pod.netns || pods.iter().all(|pod| dropped.netns != pod.netns)
        }
        Recorded::Kernel(KernelEvent::DropCount(_) | KernelEvent::CgroupOwner(_))
        | Recorded::Cluster { .. }
        | Recorded::Tick(_)
        | Recorded::Clock(_)
        | Recorded::Lost { .. } => true,
    })
}

/// What `mesh-tracer replay` writes.
pub(crate) fn replayed(tape: &Path) -> String {
    let file = File::open(tape).unwrap_or_else(|error| panic!("no tape {}: {error}", tape.display()));
    let mut lines = Vec::new();
    replay(BufReader::new(file), &mut lines).expect("every line of the tape can be read");
    String::from_utf8(lines).expect("records are text")
}

fn play(tape: &Path, keep: impl Fn(&Recorded) -> bool) -> Vec<Record> {
    let file = File::open(tape).unwrap_or_else(|error| panic!("no tape {}: {error}", tape.display()));
    let mut reader = TapeReader::open(BufReader::new(file)).expect("a tape");
    let header = reader.header().clone();
    let kept = |input: &Result<Recorded, TapeError>| input.as_ref().is_ok_and(&keep) || input.is_err();
    let told = Replay::new(&header, reader.by_ref().filter(kept));
    let mut records: Vec<Record> = told
        .map(|told| told.expect("every line of the tape can be read"))
        .filter_map(|told| match wire::read(told.text()).expect("our own line") {
            Line::Record(record) => Some(*record),
            Line::Lost(_) => None,
        })
        .collect();
    assert_eq!(reader.cut(), None, "{} is cut", tape.display());
    // The last word on a flow is its verdict: what hung and what was revised came before it.
    records.reverse();
    records
}
