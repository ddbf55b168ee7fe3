//! Kubernetes Events: from the engine's thread, which never waits, to the cluster's, which has the API server.

use super::watch::Watch;
use crate::clock::Epoch;
use crate::sink::announce::{About, Announcement, Announcer};
use crate::source::cluster::event::{ClusterWarning, EventError, EventWriter, Regarding};
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tracer_engine::record::FlowRecord;
use tracing::{debug, warn};

/// Announcements that may wait for the API server; the announcer makes no more at once.
const WAITING: usize = 32;

/// The engine's end.
#[derive(Debug)]
pub(super) struct Announcing {
    announcer: Announcer,
    to: Sender<Announcement>,
    watch: Arc<Watch>,
}

/// The API server's end.
pub(super) struct Writing {
    from: Receiver<Announcement>,
    writer: EventWriter,
    watch: Arc<Watch>,
}

pub(super) fn joined(writer: EventWriter, watch: &Arc<Watch>) -> (Announcing, Writing) {
    let (to, from) = channel(WAITING);
    let announcer = Announcer::new(watch.origin().node.clone());
    let announcing = Announcing { announcer, to, watch: Arc::clone(watch) };
    (announcing, Writing { from, writer, watch: Arc::clone(watch) })
}

impl Announcing {
    pub(super) fn record(&mut self, record: &FlowRecord, epoch: Epoch) {
        let Some(announcement) = self.announcer.record(record, epoch) else { return };
        if self.to.try_send(announcement).is_err() {
            self.watch.announced(Err("the API server takes them too slowly".to_owned()));
        }
    }
}

impl Writing {
    /// Until nobody announces any more. What could not be written is not tried again: while it goes on it is announced
    /// again, with what it has come to by then.
    pub(super) async fn run(mut self) {
        let mut said = None;
        while let Some(announcement) = self.from.recv().await {
            let written = match self.writer.write(&warning(announcement)).await {
                Err(EventError::Gone(what)) => {
                    debug!("no Kubernetes Event: {what} is gone");
                    continue;
                }
                written => written.map_err(|error| error.to_string()),
            };
            if let Err(why) = &written
                && said.as_ref() != Some(why)
            {
                warn!("cannot write a Kubernetes Event: {why}");
            }
            said = written.clone().err();
            self.watch.announced(written);
        }
    }
}

fn warning(announcement: Announcement) -> ClusterWarning {
    let Announcement { about, series, reason, note, first, last, count } = announcement;
    let (kind, key) = match about {
        About::Pod(key) => (Regarding::Pod, key),
        About::Service(key) => (Regarding::Service, key),
    };
    let (namespace, name) = (key.namespace.to_string(), key.name.to_string());
    ClusterWarning { kind, namespace, name, series, reason, note, first, last, count }
}
