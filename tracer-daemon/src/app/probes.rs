//! From the probes to the engine, and what they say of themselves.

use super::thread::Message;
use super::watch::Watch;
use crate::clock;
use crate::lifecycle::Stop;
use crate::source::kernel::{Kernel, KernelError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::time::{Interval, MissedTickBehavior};
use tracer_engine::socket::KernelEvent;
use tracing::{info, warn};

#[derive(Debug)]
pub(super) struct ProbePump {
    kernel: Kernel,
    engine: Sender<Message>,
    watch: Arc<Watch>,
    /// The engine has a deadline, and wants to know before what there is until now.
    due: Arc<Notify>,
    /// What the engine was told of.
    lost: u64,
    /// Something happened since the last sample.
    busy: bool,
}

/// Well within the verdict deadline: a loss makes the verdicts of its time careful.
const SAMPLE: Duration = Duration::from_millis(200);

/// Where nothing happens a sample costs more than all else; this is still within the deadline.
const IDLE_SAMPLE: Duration = Duration::from_secs(1);

/// How often the exact counts of drops are read; they are kept in the kernel, so nothing is lost between.
const DROPS: Duration = Duration::from_secs(1);

/// How often live sockets are looked for: half a microsecond each. One that is gone without a word is told when it is missed
/// twice, so its flow ends two of these later at the latest.
const SWEEP: Duration = Duration::from_mins(5);

impl ProbePump {
    pub(super) fn new(kernel: Kernel, engine: Sender<Message>, watch: Arc<Watch>, due: Arc<Notify>) -> Self {
        Self { kernel, engine, watch, due, lost: 0, busy: true }
    }

    /// Until `stop`; then detaches and hands on what the ring still holds.
    pub(super) async fn run(mut self, stop: Stop) -> Result<(), KernelError> {
        let mut sample = every(IDLE_SAMPLE);
        let mut drops = every(DROPS);
        let mut sweep = every(SWEEP);
        loop {
            let mut events = Vec::new();
            tokio::select! {
                () = stop.asked() => break,
                _ = sample.tick() => self.sample().await?,
                _ = drops.tick() => self.count_drops().await?,
                _ = sweep.tick() => self.sweep().await,
                () = self.due.notified() => self.catch_up().await,
                read = self.kernel.read(&mut events) => {
                    read?;
                    if !self.busy {
                        self.busy = true;
                        sample.reset_after(SAMPLE);
                    }
                    self.hand_on(events).await;
                }
            }
        }
        self.kernel.detach();
        loop {
            let mut events = Vec::new();
            self.kernel.drain(&mut events);
            if events.is_empty() {
                break;
            }
            self.hand_on(events).await;
        }
        self.count_drops().await?;
        self.sample().await
    }

    async fn count_drops(&mut self) -> Result<(), KernelError> {
        let counts = self.kernel.drop_counts(clock::ktime())?;
        self.hand_on_last(counts.into_iter().map(KernelEvent::DropCount)).await;
        Ok(())
    }

    /// One that fails costs nothing: the next finds the same.
    async fn sweep(&mut self) {
        let mut gone = Vec::new();
        if let Err(error) = self.kernel.gone_sockets(&mut gone) {
            warn!("{error}");
        }
        if !gone.is_empty() {
            info!(
                "{} sockets are gone without a close that the kernel told of: their flows end as they were last seen",
                gone.len()
            );
        }
        self.hand_on_last(gone).await;
    }

    /// All that there is until now, and then that it was.
    async fn catch_up(&mut self) {
        let now = clock::ktime();
        self.hand_on_last([]).await;
        if self.engine.send(Message::Read(now)).await.is_err() {
            warn!("the engine is gone");
        }
    }

    /// These are of now, and the engine goes by their time: what the ring holds came before them.
    async fn hand_on_last(&mut self, events: impl IntoIterator<Item = KernelEvent>) {
        let mut all = Vec::new();
        self.kernel.drain(&mut all);
        all.extend(events);
        self.hand_on(all).await;
    }

    async fn hand_on(&self, events: Vec<KernelEvent>) {
        // The engine ends after us: there is always a receiver.
        if !events.is_empty() && self.engine.send(Message::Events(events)).await.is_err() {
            warn!("the engine is gone");
        }
    }

    async fn sample(&mut self) -> Result<(), KernelError> {
        self.busy = false;
        let counts = self.kernel.counts()?;
        self.watch.events(&counts);
        self.watch.missed(self.kernel.hooks());
        let lost = counts.lost();
        if lost > self.lost {
            let count = lost - self.lost;
            self.lost = lost;
            warn!("{count} kernel events were lost: verdicts of this moment are careful");
            if self.engine.send(Message::Lost(count)).await.is_err() {
                warn!("the engine is gone");
            }
        }
        Ok(())
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
