//! The same inputs again, the same records out: a tape through the engine, as the daemon that recorded it told it.

use crate::clock::Epoch;
use crate::sink::Told;
use crate::sink::wire::{Loss, Origin};
use crate::source::cluster::{IstioInstallation, LowerError};
use crate::source::tape::{Recorded, TapeError, TapeHeader};
use std::collections::VecDeque;
use std::sync::Arc;
use tracer_engine::record::Record;
use tracer_engine::{Config, Engine};

/// An iterator over what was told: records, and notices of lost events. The engine hears nothing but the inputs, ticks
/// included. Where they end, the flows that have no verdict yet get the one that is known by then.
#[derive(Debug)]
pub struct Replay<I> {
    inputs: I,
    engine: Engine,
    istio: IstioInstallation,
    origin: Arc<Origin>,
    epoch: Epoch,
    told: VecDeque<Arc<Told>>,
    counts: Counts,
    ended: bool,
}

/// What a tape held, beside what was told.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Counts {
    pub inputs: u64,
    /// Kernel events that the daemon had lost.
    pub lost: u64,
    /// Objects that cannot be read: skipped, as they were when the tape was recorded.
    pub unreadable: Vec<LowerError>,
}

impl<I: Iterator<Item = Result<Recorded, TapeError>>> Replay<I> {
    /// A tape, or what a caller keeps of its inputs.
    pub fn new(header: &TapeHeader, inputs: I) -> Self {
        let TapeHeader { node, boot, started, istio, .. } = header;
        let TapeHeader { first_bytes, verdict_deadline, stall_deadline, pods_of_all_nodes, .. } = *header;
        let config = Config { verdict_deadline, stall_deadline, first_bytes, pods_of_all_nodes, ..Config::default() };
        Self {
            inputs,
            engine: Engine::new(config),
            istio: istio.clone(),
            origin: Arc::new(Origin { node: node.as_str().into(), started: started.unwrap_or(*boot) }),
            epoch: Epoch::from_boot(*boot),
            told: VecDeque::new(),
            counts: Counts::default(),
            ended: false,
        }
    }

    pub fn inputs(&self) -> &I {
        &self.inputs
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    fn play(&mut self, recorded: Recorded) {
        self.counts.inputs += 1;
        match &recorded {
            Recorded::Clock(boot) => self.epoch = Epoch::from_boot(*boot),
            Recorded::Lost { at, count } => {
                self.counts.lost += count;
                let loss = Loss { events: *count, records: 0 };
                self.told.push_back(Told::lost(*at, loss, &self.origin, self.epoch));
            }
            Recorded::Kernel(_) | Recorded::Cluster { .. } | Recorded::Tick(_) => {}
        }
        let Self { engine, told, origin, epoch, .. } = self;
        match recorded.into_input(&self.istio) {
            Ok(Some(input)) => engine.handle(input, &mut |record| tell(record, told, origin, *epoch)),
            Ok(None) => {}
            Err(error) => self.counts.unreadable.push(error),
        }
    }

    fn end(&mut self) {
        self.ended = true;
        let Self { engine, told, origin, epoch, .. } = self;
        engine.drain(&mut |record| tell(record, told, origin, *epoch));
    }
}

impl<I: Iterator<Item = Result<Recorded, TapeError>>> Iterator for Replay<I> {
    type Item = Result<Arc<Told>, TapeError>;

    /// After an error comes what was told by the inputs before it.
    fn next(&mut self) -> Option<Self::Item> {
        while self.told.is_empty() && !self.ended {
            match self.inputs.next() {
                Some(Ok(recorded)) => self.play(recorded),
                Some(Err(error)) => return Some(Err(error)),
                None => self.end(),
            }
        }
        self.told.pop_front().map(Ok)
    }
}

/// As the daemon's journal has it.
fn tell(record: Record, told: &mut VecDeque<Arc<Told>>, origin: &Arc<Origin>, epoch: Epoch) {
    match record {
        Record::Flow(flow) | Record::Connecting(flow) => told.push_back(Told::flow(flow, origin, epoch)),
        Record::End(_) | Record::Drops(_) | Record::Facts(_) => {}
    }
}
