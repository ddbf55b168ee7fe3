//! From facts files to the engine: once at start, and again whenever the files change.

use super::thread::Message;
use crate::lifecycle::Stop;
use crate::source::cluster::{Change, FactsError, FileFacts, IstioInstallation};
use std::path::PathBuf;
use tokio::sync::mpsc::Sender;
use tracing::{info, warn};

pub(super) struct FactsPump {
    files: FileFacts,
    istio: IstioInstallation,
}

impl FactsPump {
    pub(super) fn open(paths: &[PathBuf], istio: IstioInstallation) -> Result<Self, FactsError> {
        Ok(Self { files: FileFacts::open(paths, istio.clone())?, istio })
    }

    /// What changed since the last time; an object with a value that cannot be read is left out and named.
    pub(super) fn load(&mut self) -> Result<Vec<Change>, FactsError> {
        let mut changes = Vec::new();
        for event in self.files.load()? {
            match Change::of(event, &self.istio) {
                Ok(change) => changes.extend(change),
                Err(error) => warn!("facts: {error}; the object is left out"),
            }
        }
        self.files.report().log();
        Ok(changes)
    }

    pub(super) async fn run(mut self, engine: Sender<Message>, stop: Stop) {
        loop {
            tokio::select! {
                () = stop.asked() => return,
                () = self.files.changed() => {}
            }
            match tokio::task::block_in_place(|| self.load()) {
                Ok(changes) => {
                    info!("facts changed: {} objects differ", changes.len());
                    if engine.send(Message::Facts { changes, block: None }).await.is_err() {
                        return;
                    }
                }
                Err(error) => warn!("{error}; the facts from before still hold"),
            }
        }
    }
}
