//! The engine's own thread: it takes batches, turns them into inputs, ticks when the engine asks for it, and hands
//! the records on. Nothing else touches the engine.

use super::scope::Scope;
use super::sinks::Sinks;
use super::tape::Tape;
use crate::clock::{self, Epoch};
use crate::heap;
use crate::lifecycle::BlockReady;
use crate::sink::Told;
use crate::sink::wire::{Answer, Text};
use crate::source::cluster::{Change, Listed};
use crate::source::tape::Recorded;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use tracer_engine::explain::observed;
use tracer_engine::input::Input;
use tracer_engine::net::Ktime;
use tracer_engine::record::Record;
use tracer_engine::socket::KernelEvent;
use tracer_engine::{Config, Engine};

#[derive(Debug)]
pub(super) enum Message {
    /// What the kernel said: of sockets, and of packets that it dropped.
    Events(Vec<KernelEvent>),
    /// What the kernel said until then was handed on: the answer to `EngineThread::due`.
    Read(Ktime),
    Facts {
        changes: Vec<Change>,
        /// Readiness waits until the engine knows these.
        block: Option<BlockReady>,
    },
    /// All that there is of one kind was told anew.
    Listed(Listed),
    /// So many events were lost since this was last said.
    Lost(u64),
    Explain(Arc<Told>, oneshot::Sender<Text>),
}

#[derive(Debug)]
pub(super) struct EngineThread {
    engine: Engine,
    scope: Scope,
    tape: Option<Tape>,
    sinks: Sinks,
    /// The latest time that the engine was told.
    told: Ktime,
    /// Asks whoever reads the probes to hand on what there is: a deadline must not overtake what they told before it, however
    /// long nobody had the processor to read that.
    due: Arc<Notify>,
    /// It was asked, and has not answered.
    asked: bool,
}

/// What happened before a deadline may still be on its way from the kernel when the deadline is there.
const ON_ITS_WAY: Duration = Duration::from_millis(20);
/// The heartbeat of a daemon with nothing to do.
const IDLE: Duration = Duration::from_secs(1);

impl EngineThread {
    pub(super) fn new(config: Config, scope: Scope, tape: Option<Tape>, sinks: Sinks, due: Arc<Notify>) -> Self {
        Self { engine: Engine::new(config), scope, tape, sinks, told: clock::ktime(), due, asked: false }
    }

    /// Runs until every sender is gone. Must be called within a tokio runtime: its timer wakes the thread.
    pub(super) fn start(mut self, mut batches: Receiver<Message>) -> io::Result<JoinHandle<()>> {
        let runtime = Handle::current();
        thread::Builder::new().name("engine".to_owned()).spawn(move || {
            loop {
                let wait = self.until_tick(clock::ktime());
                match runtime.block_on(async { tokio::time::timeout(wait, batches.recv()).await }) {
                    Ok(Some(message)) => self.take(message),
                    Ok(None) => break,
                    Err(_) => self.idle(),
                }
            }
            self.end();
        })
    }

    fn until_tick(&self, now: Ktime) -> Duration {
        let due = self.engine.next_tick().filter(|_| !self.asked);
        due.map_or(IDLE, |due| (due + ON_ITS_WAY).since(now).min(IDLE))
    }

    fn take(&mut self, message: Message) {
        self.date();
        match message {
            Message::Events(events) => {
                let last = events.iter().map(KernelEvent::at).max().unwrap_or_default();
                self.told = self.told.max(last);
                for event in events {
                    self.record(|| Recorded::Kernel(event.clone()));
                    self.tell(event.into());
                }
                // While events keep coming, theirs is the time that counts: a deadline must not overtake what is
                // queued behind them.
                self.tick_if_due(last);
            }
            Message::Read(at) => {
                self.asked = false;
                self.tick_if_due(Ktime(at.0.saturating_sub(ON_ITS_WAY.as_nanos() as u64)));
            }
            Message::Facts { changes, block } => {
                self.learn(changes);
                if block.is_some() {
                    // Reading a whole cluster leaves holes everywhere.
                    heap::release_free();
                }
            }
            Message::Listed(listed) => {
                let gone = Change::gone(&listed, self.engine.index());
                self.learn(gone);
                heap::release_free();
            }
            Message::Lost(count) => {
                // Not now: what is due by now must not be judged before the loss is known.
                let at = self.told;
                self.sinks.lost(at, count);
                self.record(|| Recorded::Lost { at, count });
                self.tell(Input::Lost { at, count });
            }
            Message::Explain(told, answer) => {
                if let Some(text) = self.explain(&told) {
                    // Whoever asked may have left.
                    let _ = answer.send(text);
                }
                return;
            }
        }
        self.flush(clock::ktime());
    }

    /// What is known already is no input: a list that is told anew changes nothing where nothing changed.
    fn learn(&mut self, changes: Vec<Change>) {
        let at = clock::ktime();
        self.told = self.told.max(at);
        for Change { event, delta } in changes {
            if !self.engine.index().knows(&delta) {
                self.scope.learn(at, &delta);
                self.record(|| Recorded::Cluster { at, event });
                self.tell(Input::Facts { at, delta });
            }
        }
    }

    /// The way of a flow that was told, by the facts as they are now.
    fn explain(&mut self, told: &Told) -> Option<Text> {
        let flow = told.record()?;
        let explanation = observed(self.engine.index(), flow);
        let mut answer = Answer::of_flow(&explanation, flow, self.sinks.origin());
        if let [call] = &flow.walked.calls[..] {
            answer.mend(self.engine.patch(call, &flow.verdict, flow.walked.since).as_ref());
        }
        Some(answer.line())
    }

    fn idle(&mut self) {
        self.date();
        let now = clock::ktime();
        self.scope.expire(now);
        if !self.asked && self.engine.next_tick().is_some_and(|due| due + ON_ITS_WAY <= now) {
            self.asked = true;
            self.due.notify_one();
        }
        self.flush(now);
    }

    /// Nothing comes any more: flows without a verdict get the one that is known by now.
    fn end(mut self) {
        self.date();
        self.tick(clock::ktime());
        let Self { engine, sinks, tape, told, .. } = &mut self;
        engine.drain(&mut |record: Record| sinks.record(record));
        sinks.flush(*told);
        if let Some(tape) = tape.take() {
            tape.finish();
        }
    }

    /// When the wall clock was set is an input too: records are dated by it.
    fn date(&mut self) {
        let now = Epoch::now();
        if !now.is_about(self.sinks.epoch()) {
            self.record(|| Recorded::Clock(now.at(Ktime(0))));
            self.sinks.date_by(now);
        }
    }

    fn flush(&mut self, now: Ktime) {
        self.sinks.flush(now);
        if let Some(tape) = &mut self.tape {
            tape.flush();
        }
    }

    fn tick_if_due(&mut self, now: Ktime) {
        if self.engine.next_tick().is_some_and(|due| due <= now) {
            self.tick(now);
        }
    }

    fn tick(&mut self, now: Ktime) {
        self.told = self.told.max(now);
        self.record(|| Recorded::Tick(now));
        self.tell(Input::Tick(now));
    }

    fn record(&mut self, input: impl FnOnce() -> Recorded) {
        if let Some(tape) = &mut self.tape {
            tape.record(input());
        }
    }

    fn tell(&mut self, input: Input) {
        let Self { engine, sinks, .. } = self;
        engine.handle(input, &mut |record: Record| sinks.record(record));
    }
}
