//! From the API server to the engine, on a thread of its own: a cluster that is read for the first time costs seconds of
//! processor time, and the probes' ring must be read meanwhile.

use super::announce::Writing;
use super::thread::Message;
use super::watch::Watch as Account;
use crate::clock::Epoch;
use crate::command::Failure;
use crate::lifecycle::{BlockReady, Stop};
use crate::source::cluster::watch::{ConnectError, Connection, State, Target, Told, Watch, pulses};
use crate::source::cluster::{Change, ClusterEvent, IstioInstallation, ObjectKind, lower};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

/// What may wait between the watches and us, and at most goes to the engine at once: objects of a few kB each.
const BATCH: usize = 256;
/// How often signs of life are shown.
const PULSE: Duration = Duration::from_secs(1);

pub(super) struct ClusterPump {
    istio: IstioInstallation,
    engine: Sender<Message>,
    account: Arc<Account>,
    /// Kinds of which is not known yet whether they will ever be told whole.
    unsettled: BTreeSet<ObjectKind>,
    block: Option<BlockReady>,
    /// `None`: nothing is to be written.
    writing: Option<Writing>,
}

/// What came of opening the connection to the API server: a silent one takes a while.
#[derive(Debug)]
pub(super) struct Opened(oneshot::Receiver<Result<(), ConnectError>>);

impl ClusterPump {
    pub(super) fn new(
        istio: IstioInstallation,
        engine: Sender<Message>,
        account: Arc<Account>,
        block: BlockReady,
        writing: Option<Writing>,
    ) -> Self {
        Self { istio, engine, account, unsettled: ObjectKind::ALL.into(), block: Some(block), writing }
    }

    /// A thread that watches until `stop`, and word of whether that makes any sense. A server that is not there may come.
    pub(super) fn start(self, target: Target, watch: Watch, stop: Stop) -> Result<(JoinHandle<()>, Opened), Failure> {
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
        let runtime = runtime.map_err(Failure::unreached)?;
        let (opened, told) = oneshot::channel();
        let thread = thread::Builder::new().name("cluster".to_owned()).spawn(move || {
            runtime.block_on(async {
                match open(target, &watch).await {
                    Ok(connection) => {
                        // Whoever asked may have been stopped meanwhile.
                        let _ = opened.send(Ok(()));
                        self.run(connection, watch, stop).await;
                    }
                    Err(error) => drop(opened.send(Err(error))),
                }
            });
            runtime.shutdown_background();
        });
        Ok((thread.map_err(Failure::unreached)?, Opened(told)))
    }

    async fn run(mut self, connection: Arc<Connection>, watch: Watch, stop: Stop) {
        let (to, mut told) = channel(BATCH);
        let pulses = pulses();
        self.account.pulses(pulses.clone());
        // It ends with the runtime: the engine announces until its own end, and that waits for nobody.
        if let Some(writing) = self.writing.take() {
            tokio::spawn(writing.run());
        }
        let watching = tokio::spawn(async move { watch.run(&connection, &pulses, to).await });
        tokio::select! {
            () = stop.asked() => {}
            () = self.pump(&mut told) => {}
        }
        watching.abort();
    }

    async fn pump(&mut self, told: &mut Receiver<Told>) {
        let mut pulse = tokio::time::interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                _ = pulse.tick() => self.account.pulse(Epoch::now()),
                count = told.recv_many(&mut batch, BATCH) => {
                    if count == 0 || !self.hand_on(&mut batch).await {
                        return;
                    }
                }
            }
        }
    }

    /// `false`: the engine is gone.
    async fn hand_on(&mut self, batch: &mut Vec<Told>) -> bool {
        let mut changes = Vec::new();
        for told in batch.drain(..) {
            match told {
                Told::Event(event) => changes.extend(self.lowered(event)),
                Told::Malformed { object, why } => {
                    warn!("facts: {object} cannot be read ({why}); what was known of it stays");
                    self.account.unreadable(lower::kind(object.kind));
                }
                Told::Listed(listed) => {
                    let before = Message::Facts { changes: std::mem::take(&mut changes), block: None };
                    for message in [before, Message::Listed(listed)] {
                        if self.engine.send(message).await.is_err() {
                            return false;
                        }
                    }
                }
                Told::State(watched, state) => {
                    // What is not allowed is not waited for.
                    if matches!(state, State::Forbidden { .. }) {
                        self.unsettled.remove(&watched.kind);
                    }
                    self.account.watched(watched, state);
                }
            }
        }
        let block = if self.unsettled.is_empty() { self.block.take() } else { None };
        if block.is_some() {
            self.account.pulse(Epoch::now());
            info!("the facts are there");
        }
        self.engine.send(Message::Facts { changes, block }).await.is_ok()
    }

    fn lowered(&mut self, event: ClusterEvent) -> Option<Change> {
        if let ClusterEvent::Synced(kind) = event {
            self.unsettled.remove(&kind);
        }
        match Change::of(event, &self.istio) {
            Ok(change) => change,
            Err(error) => {
                warn!("facts: {error}; what was known of it stays");
                self.account.unreadable(lower::kind(error.object.kind));
                None
            }
        }
    }
}

impl Opened {
    /// Ends only where waiting for this server makes no sense.
    pub(super) async fn refused(self) -> Failure {
        match self.0.await {
            Ok(Ok(())) => std::future::pending().await,
            Ok(Err(error @ ConnectError::Target(_))) => Failure::input(error),
            Ok(Err(error)) => Failure::unreached(error),
            Err(_) => Failure::unreached(anyhow::anyhow!("the cluster's thread ended at once: see the log above")),
        }
    }
}

async fn open(target: Target, watch: &Watch) -> Result<Arc<Connection>, ConnectError> {
    let connection = Connection::open(target, watch.pace.clone()).await?;
    match connection.greet().await {
        Err(error @ ConnectError::Unreachable { .. }) => warn!("{error}; asking again until it answers"),
        greeted => greeted?,
    }
    Ok(connection)
}
