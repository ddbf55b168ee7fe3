//! From the engine to the sinks: metrics at once and exactly; lines to readers and to the journal in batches, by
//! queues that cost the engine nothing when they are full.

use super::announce::Announcing;
use super::watch::Watch;
use crate::clock::Epoch;
use crate::sink::Told;
use crate::sink::journal::Queue;
use crate::sink::live::Hub;
use crate::sink::metrics::Recorder;
use crate::sink::wire::{Loss, Origin};
use std::sync::Arc;
use tracer_engine::net::Ktime;
use tracer_engine::record::Record;

#[derive(Debug)]
pub(super) struct Sinks {
    recorder: Recorder,
    hub: Arc<Hub>,
    journal: Option<Queue>,
    announcing: Option<Announcing>,
    watch: Arc<Watch>,
    batch: Vec<Arc<Told>>,
    epoch: Epoch,
}

impl Sinks {
    pub(super) fn new(
        recorder: Recorder,
        hub: Arc<Hub>,
        journal: Option<Queue>,
        announcing: Option<Announcing>,
        watch: Arc<Watch>,
        epoch: Epoch,
    ) -> Self {
        Self { recorder, hub, journal, announcing, watch, batch: Vec::new(), epoch }
    }

    /// By which what comes is dated.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn date_by(&mut self, epoch: Epoch) {
        self.epoch = epoch;
    }

    pub(super) fn origin(&self) -> &Origin {
        self.watch.origin()
    }

    pub(super) fn record(&mut self, record: Record) {
        self.recorder.record(&record);
        let epoch = self.epoch;
        if let (Record::Flow(flow), Some(announcing)) = (&record, &mut self.announcing) {
            announcing.record(flow, epoch);
        }
        match record {
            Record::Flow(flow) | Record::Connecting(flow) => {
                self.watch.made();
                self.batch.push(Told::flow(flow, self.watch.origin(), epoch));
            }
            // Its bytes are the metrics'; the record has told the rest.
            Record::End(_) | Record::Drops(_) => {}
            Record::Facts(facts) => self.watch.facts(&facts, epoch),
        }
    }

    pub(super) fn lost(&mut self, at: Ktime, events: u64) {
        let loss = Loss { events, records: 0 };
        self.batch.push(Told::lost(at, loss, self.watch.origin(), self.epoch));
    }

    pub(super) fn flush(&mut self, now: Ktime) {
        self.hub.publish(&self.batch);
        if let Some(journal) = &mut self.journal {
            self.batch.iter().for_each(|told| journal.push(told));
        }
        self.batch.clear();
        self.recorder.tick(now);
        self.watch.engine_moved(now);
    }
}
