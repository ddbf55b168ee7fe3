//! A record on its way to the sinks. It becomes JSON when somebody first wants it, and only once: a daemon without a
//! journal and without readers pays for no line.

use super::wire::{self, Loss, Origin, Record, Text};
use crate::clock::Epoch;
use std::sync::{Arc, OnceLock};
use tracer_engine::net::Ktime;
use tracer_engine::record::FlowRecord;

#[derive(Debug)]
pub struct Told {
    what: What,
    origin: Arc<Origin>,
    epoch: Epoch,
    text: OnceLock<Text>,
}

#[derive(Debug)]
enum What {
    Flow(Box<FlowRecord>),
    Lost(Ktime, Loss),
}

impl Told {
    pub fn flow(record: Box<FlowRecord>, origin: &Arc<Origin>, epoch: Epoch) -> Arc<Self> {
        Self::new(What::Flow(record), origin, epoch)
    }

    pub fn lost(at: Ktime, loss: Loss, origin: &Arc<Origin>, epoch: Epoch) -> Arc<Self> {
        Self::new(What::Lost(at, loss), origin, epoch)
    }

    /// `None`: a notice of loss.
    pub fn record(&self) -> Option<&FlowRecord> {
        match &self.what {
            What::Flow(record) => Some(record),
            What::Lost(..) => None,
        }
    }

    /// The line, with its newline.
    pub fn text(&self) -> &Text {
        self.text.get_or_init(|| match &self.what {
            What::Flow(record) => wire::write(&Record::new(record, &self.origin, self.epoch)),
            What::Lost(at, loss) => loss.line(self.epoch.at(*at), &self.origin.node),
        })
    }

    /// A notice of what is missing from here on, dated as this one.
    pub(super) fn gap(&self, records: u64) -> Arc<Self> {
        let at = match &self.what {
            What::Flow(record) => record.at,
            What::Lost(at, _) => *at,
        };
        Self::lost(at, Loss { events: 0, records }, &self.origin, self.epoch)
    }

    fn new(what: What, origin: &Arc<Origin>, epoch: Epoch) -> Arc<Self> {
        Arc::new(Self { what, origin: Arc::clone(origin), epoch, text: OnceLock::new() })
    }
}
