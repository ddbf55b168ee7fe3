//! The same inputs again, the same records out: a tape through the engine.

use crate::clock::Epoch;
use crate::source::cluster::LowerError;
use crate::source::tape::{Recorded, TapeError, TapeHeader, TapeReader};
use std::io::BufRead;
use tracer_engine::input::Input;
use tracer_engine::record::{FlowRecord, Record};
use tracer_engine::{Config, Engine};

/// What a tape told, beside its records.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Replayed {
    pub inputs: u64,
    /// Objects that cannot be read: skipped, as they were when the tape was recorded.
    pub unreadable: Vec<LowerError>,
}

/// Plays the inputs that `keep` wants and tells every flow record. Where the tape ends, the flows that have no verdict
/// yet get the one that is known by then.
pub fn replay<R: BufRead>(
    tape: &mut TapeReader<R>,
    keep: impl Fn(&Recorded) -> bool,
    told: &mut impl FnMut(&FlowRecord),
) -> Result<Replayed, TapeError> {
    let TapeHeader { istio, verdict_deadline, stall_deadline, pods_of_all_nodes, .. } = tape.header().clone();
    let config = Config { verdict_deadline, stall_deadline, pods_of_all_nodes, ..Config::default() };
    let mut engine = Engine::new(config);
    let mut emit = |record: Record| match record {
        Record::Flow(flow) | Record::Connecting(flow) => told(&flow),
        Record::End(_) | Record::Drops(_) | Record::Facts(_) => {}
    };
    let mut replayed = Replayed::default();
    for recorded in tape {
        let recorded = recorded?;
        replayed.inputs += 1;
        if !keep(&recorded) {
            continue;
        }
        match recorded.into_input(&istio) {
            Ok(Some(input)) => advance(&mut engine, input, &mut emit),
            Ok(None) => {}
            Err(error) => replayed.unreadable.push(error),
        }
    }
    engine.drain(&mut emit);
    Ok(replayed)
}

/// Dates the records of a tape as they were dated when it was recorded.
pub fn epoch(header: &TapeHeader) -> Epoch {
    Epoch::from_boot(header.boot)
}

/// The engine is ticked when it asks for it, as far as the tape's own time goes.
fn advance(engine: &mut Engine, input: Input, emit: &mut impl FnMut(Record)) {
    let now = match &input {
        Input::Socket(event) => event.at,
        Input::Dropped(dropped) => dropped.at,
        Input::DropCount(count) => count.at,
        Input::CgroupOwner(owner) => owner.at,
        Input::Facts { at, .. } | Input::Lost { at, .. } | Input::Tick(at) => *at,
    };
    while let Some(due) = engine.next_tick().filter(|due| *due < now) {
        engine.handle(Input::Tick(due), emit);
    }
    engine.handle(input, emit);
}
