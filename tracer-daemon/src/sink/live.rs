//! The daemon's unix socket: a reader asks with one line of JSON and gets lines of JSON. Whoever reads too slowly
//! skips records and is told how many; whoever does not read at all is dropped.

mod bind;
mod hub;
mod reader;

pub use bind::{BindError, Socket};
pub use hub::Hub;

use super::Told;
use super::wire::{Refusal, Status, Text};
use crate::lifecycle::Stop;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use tokio::task::JoinSet;
use tracing::warn;

/// Readers at once. The next one is told to come back.
const READERS: usize = 1024;

/// What a reader can be given.
#[derive(Clone)]
pub struct Sources {
    pub hub: Arc<Hub>,
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    /// The way of a flow that was told; only the engine knows the facts.
    pub explain: Arc<dyn Fn(Arc<Told>) -> Explaining + Send + Sync>,
}

/// `None`: the engine has ended.
pub type Explaining = Pin<Box<dyn Future<Output = Option<Text>> + Send>>;

/// Serves until `stop`, then lets the readers have what is still told until the hub closes.
pub async fn serve(socket: Socket, sources: Sources, stop: Stop) {
    let mut readers = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.asked() => break,
            Some(_) = readers.join_next() => {}
            accepted = socket.accept() => match accepted {
                Ok(stream) if present(&mut readers) < READERS => {
                    readers.spawn(reader::serve(stream, sources.clone()));
                }
                Ok(stream) => {
                    let refusal = Refusal { error: format!("{READERS} readers are connected already; try again later") };
                    readers.spawn(reader::refuse(stream, refusal));
                }
                Err(error) => {
                    // Out of file descriptors, as a rule: accepting again at once would spin.
                    warn!("socket {}: cannot accept a reader: {error}", socket.path().display());
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(socket);
    while readers.join_next().await.is_some() {}
}

/// Those who have left, or were refused, hold no place.
fn present(readers: &mut JoinSet<()>) -> usize {
    while readers.try_join_next().is_some() {}
    readers.len()
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hub, status: _, explain: _ } = self;
        f.debug_struct("Sources").field("hub", hub).finish_non_exhaustive()
    }
}
