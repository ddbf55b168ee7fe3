//! The daemon: builds every part, joins them by bounded channels, and ends them in the order in which data flows:
//! source, engine, sink. `main` says when.

mod announce;
mod cluster;
mod explain;
mod facts;
mod probes;
mod scope;
mod sinks;
mod tape;
mod thread;
mod watch;

use crate::clock::{self, Epoch};
use crate::command::Failure;
use crate::config::{Config, FactsConfig, JournalConfig};
use crate::lifecycle::{Ready, Stop};
use crate::process;
use crate::sink::http::{Answers, Listener};
use crate::sink::journal::Journal;
use crate::sink::live::{self, Hub, Socket};
use crate::sink::metrics;
use crate::sink::wire::Origin;
use crate::source::cluster::Change;
use crate::source::cluster::event::EventWriter;
use crate::source::cluster::watch::{Target, Watch as ClusterWatch};
use crate::source::kernel::{Kernel, KernelConfig, KernelError};
use crate::source::tape::TapeHeader;
use cluster::{ClusterPump, Opened};
use facts::FactsPump;
use probes::ProbePump;
use scope::Scope;
use sinks::Sinks;
use std::sync::Arc;
use std::thread::JoinHandle as Thread;
use tape::Tape;
use thread::{EngineThread, Message};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle as Task;
use tracer_engine::mesh::facts::Delta;
use tracer_engine::net::Ktime;
use tracing::{error, info};
use watch::Watch;

/// Batches of events that may wait for the engine. A batch is up to a few hundred events; a ring that fills meanwhile
/// counts what it loses.
const BATCHES: usize = 16;

/// A daemon that runs. Ends by `Stop`, then `finish`.
#[derive(Debug)]
pub struct App {
    probes: Task<Result<(), KernelError>>,
    facts: FactsPart,
    /// `None` where there is no API server, and once what it said was told.
    opened: Option<Opened>,
    engine: Thread<()>,
    journal: Option<Thread<()>>,
    tape: Option<Thread<()>>,
    live: Task<()>,
    http: Task<()>,
    hub: Arc<Hub>,
    watch: Arc<Watch>,
}

/// Whoever tells the facts.
#[derive(Debug)]
enum FactsPart {
    Files(Task<()>),
    Cluster(Thread<()>),
}

/// Facts from files are read before anything is attached: what is wrong with them is the caller's to mend.
enum FactsOpened {
    Files(FactsPump, Vec<Change>),
    Cluster(Target, ClusterWatch),
}

impl FactsOpened {
    /// What is known already.
    fn known(&self) -> Vec<&Delta> {
        match self {
            FactsOpened::Files(_, first) => first.iter().map(|change| &change.delta).collect(),
            FactsOpened::Cluster(..) => Vec::new(),
        }
    }
}

impl App {
    /// Opens what can be refused first (addresses, files, facts), attaches the probes last. An API server's first answer
    /// is not waited for: it can take longer than a ring to fill. See `failed`.
    pub async fn start(config: Config, stop: &Stop) -> Result<Self, Failure> {
        let Config { node, facts, istio, kernel, engine, scope, journal, tape, listen, socket, events } = config;
        let origin = Arc::new(Origin { node, started: clock::wall() });
        let ready = Ready::new();
        let facts_block = ready.block("the facts");
        let hooks_block = ready.block("the probes");

        let socket = Socket::bind(&socket).map_err(Failure::unreached)?;
        let listener = Listener::bind(listen).await.map_err(Failure::unreached)?;
        let journal = journal
            .map(|JournalConfig { target, size }| Journal::open(target, size))
            .transpose()
            .map_err(Failure::unreached)?;

        let release = process::kernel_release();
        let options = metrics::Options {
            max_series: metrics::Options::MAX_SERIES,
            started: origin.started,
            kernel: release.clone(),
            node: origin.node.clone(),
        };
        let epoch = Epoch::now();
        let (tape, tape_thread) = match tape {
            Some(path) => {
                let header = TapeHeader {
                    kernel: release.clone(),
                    node: origin.node.to_string(),
                    boot: epoch.at(Ktime(0)),
                    started: Some(origin.started),
                    first_bytes: engine.first_bytes,
                    istio: istio.clone(),
                    verdict_deadline: engine.verdict_deadline,
                    stall_deadline: engine.stall_deadline,
                    pods_of_all_nodes: engine.pods_of_all_nodes,
                };
                let (tape, thread) = Tape::start(&path, &header).map_err(Failure::unreached)?;
                (Some(tape), Some(thread))
            }
            None => (None, None),
        };
        let (recorder, board, exposition) = metrics::new(&options);
        let hub = Hub::new(Arc::clone(&origin));
        let counts = journal.as_ref().map(Journal::counts);
        let watch = Watch::new(Arc::clone(&origin), release, board, ready.clone(), Arc::clone(&hub), counts);

        let (announcing, writing) = match &facts {
            FactsConfig::Cluster { target, .. } if events => {
                let writer = EventWriter::new(target.clone(), origin.node.to_string(), origin.started);
                let (announcing, writing) = announce::joined(writer, &watch);
                (Some(announcing), Some(writing))
            }
            _ => (None, None),
        };
        let facts = match facts {
            FactsConfig::Files(paths) => {
                let mut files = FactsPump::open(&paths, istio.clone()).map_err(Failure::input)?;
                let first = files.load().map_err(Failure::input)?;
                FactsOpened::Files(files, first)
            }
            FactsConfig::Cluster { target, watch } => FactsOpened::Cluster(target, watch),
        };
        let traced = Scope::first(&scope, &origin.node, &facts.known());
        let mut kernel = Kernel::load(&KernelConfig { scope: traced, ..kernel }).map_err(Failure::unreached)?;
        let mut scope = Scope::new(&scope, origin.node.clone());
        scope.attach(kernel.scope());
        watch.hooks(kernel.hooks(), kernel.missing_fields());
        let mut open = Vec::new();
        kernel.open_sockets(&mut open).map_err(Failure::unreached)?;
        drop(hooks_block);

        let (queue, journal) = match journal {
            Some(journal) => {
                let stop = stop.clone();
                // Nobody reads the journal on stdout any more, and that is what this daemon was started for.
                let (queue, thread) = journal.start(move || stop.ask()).map_err(Failure::unreached)?;
                (Some(queue), Some(thread))
            }
            None => (None, None),
        };
        let (inputs, batches) = mpsc::channel(BATCHES);
        let due = Arc::new(Notify::new());
        let sinks = Sinks::new(recorder, Arc::clone(&hub), queue, announcing, Arc::clone(&watch), epoch);
        let engine = EngineThread::new(engine, scope, tape, sinks, Arc::clone(&due))
            .start(batches)
            .map_err(Failure::unreached)?;
        let ended = || Failure::unreached(anyhow::anyhow!("the engine ended at once: see the log above"));
        let (facts, opened) = match facts {
            FactsOpened::Files(files, first) => {
                // The engine is there and the channel is empty: this cannot wait.
                let first = Message::Facts { changes: first, block: Some(facts_block) };
                inputs.send(first).await.map_err(|_| ended())?;
                (FactsPart::Files(tokio::spawn(files.run(inputs.clone(), stop.clone()))), None)
            }
            FactsOpened::Cluster(target, of) => {
                let pump = ClusterPump::new(istio, inputs.clone(), Arc::clone(&watch), facts_block, writing);
                let (thread, opened) = pump.start(target, of, stop.clone())?;
                (FactsPart::Cluster(thread), Some(opened))
            }
        };
        // Sockets that were open before come before anything that happens to them, and where files say whose they are,
        // after those.
        inputs.send(Message::Events(open)).await.map_err(|_| ended())?;

        let status = {
            let watch = Arc::clone(&watch);
            move || watch.status()
        };
        let explain = explain::explainer(&inputs);
        let live = live::Sources { hub: Arc::clone(&hub), status: Arc::new(status), explain };
        let alive = {
            let watch = Arc::clone(&watch);
            move || watch.engine_moves()
        };
        let answers = Answers { metrics: exposition, ready, live: Arc::new(alive) };
        info!(
            "tracing on {}: /metrics on {listen}, flows on {}, journal {}",
            origin.node,
            socket.path().display(),
            journal.as_ref().map_or("off", |_| "on")
        );
        Ok(Self {
            probes: tokio::spawn(ProbePump::new(kernel, inputs, Arc::clone(&watch), due).run(stop.clone())),
            facts,
            opened,
            engine,
            journal,
            tape: tape_thread,
            live: tokio::spawn(live::serve(socket, live, stop.clone())),
            http: tokio::spawn(listener.serve(answers, stop.clone())),
            hub,
            watch,
        })
    }

    /// Waits until a part ends that the daemon cannot do without, or the API server says that it will never answer us.
    pub async fn failed(&mut self) -> Failure {
        let opened = self.opened.take();
        let refused = async {
            match opened {
                Some(opened) => opened.refused().await,
                None => std::future::pending().await,
            }
        };
        let ended = async {
            match (&mut self.probes).await {
                Ok(Ok(())) => std::future::pending().await,
                Ok(Err(error)) => Failure::unreached(error),
                Err(error) => Failure::unreached(anyhow::anyhow!("reading the probes: {error}")),
            }
        };
        tokio::select! {
            failure = refused => failure,
            failure = ended => failure,
        }
    }

    /// After `Stop`: each part ends when everything before it has, and what was taken in comes out.
    pub async fn finish(self) {
        let Self { probes, facts, opened: _, engine, journal, tape, live, http, hub, watch } = self;
        if !probes.is_finished() {
            joined(
                "probes",
                probes.await.map(|ended| {
                    if let Err(error) = ended {
                        error!("{error}");
                    }
                }),
            );
        }
        match facts {
            FactsPart::Files(task) => joined("facts", task.await),
            FactsPart::Cluster(thread) => ended("cluster", thread).await,
        }
        ended("engine", engine).await;
        hub.close();
        for (part, thread) in [("journal", journal), ("tape", tape)] {
            if let Some(thread) = thread {
                ended(part, thread).await;
            }
        }
        joined("live", live.await);
        joined("http", http.await);
        info!("stopped: {}", watch.summary());
    }
}

fn joined(part: &str, end: Result<(), tokio::task::JoinError>) {
    if let Err(error) = end {
        error!("{part}: {error}");
    }
}

async fn ended(part: &'static str, thread: Thread<()>) {
    let joined = tokio::task::spawn_blocking(move || thread.join()).await;
    if !matches!(joined, Ok(Ok(()))) {
        error!("{part}: its thread panicked");
    }
}
