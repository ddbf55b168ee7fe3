//! The tape of a mesh as one pod's node alone would have recorded it.

use crate::stage::PodSeen;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use tracer_daemon::replay::{epoch, replay};
use tracer_daemon::sink::wire::{Origin, Record};
use tracer_daemon::source::tape::{Recorded, TapeReader};
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
        | Recorded::Lost { .. } => true,
    })
}

pub(crate) fn play(tape: &Path, keep: impl Fn(&Recorded) -> bool) -> Vec<Record> {
    let file = File::open(tape).unwrap_or_else(|error| panic!("no tape {}: {error}", tape.display()));
    let mut reader = TapeReader::open(BufReader::new(file)).expect("a tape");
    let header = reader.header().clone();
    let origin = Origin { node: header.node.as_str().into(), started: header.boot };
    let mut records = Vec::new();
    replay(&mut reader, keep, &mut |flow| records.push(Record::new(flow, &origin, epoch(&header))))
        .expect("every line of the tape can be read");
    assert_eq!(reader.cut(), None, "{} is cut", tape.display());
    // The last word on a flow is its verdict: what hung and what was revised came before it.
    records.reverse();
    records
}
