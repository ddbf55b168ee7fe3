//! Whoever follows the watches as the daemon does: into an index, and keeping account of what changed it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;
use tracer_daemon::source::cluster::watch::{Connection, Pulses, State, Told, Watch, pulses};
use tracer_daemon::source::cluster::{Change, IstioInstallation, LowerError};
use tracer_engine::mesh::facts::{Delta, Kind, ObjectKey};
use tracer_engine::mesh::index::Index;
use tracer_engine::net::Ktime;

/// Far longer than anything takes that happens at all.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Followed {
    told: Receiver<Told>,
    task: JoinHandle<()>,
    istio: IstioInstallation,
    pub(crate) pulses: Pulses,
    pub(crate) index: Index,
    /// What changed the index, since this was last cleared.
    pub(crate) changes: Vec<Delta>,
    pub(crate) states: BTreeMap<String, State>,
    /// Every state that there was.
    pub(crate) seen: Vec<String>,
    pub(crate) malformed: Vec<String>,
    pub(crate) skipped: Vec<LowerError>,
    /// How often a list was told anew.
    pub(crate) listed: usize,
    now: u64,
}

impl Followed {
    pub(crate) fn begin(watch: Watch, connection: Arc<Connection>) -> Self {
        let (to, told) = channel(64);
        let pulses = pulses();
        let istio = watch.istio.clone();
        let of_task = pulses.clone();
        let task = tokio::spawn(async move { watch.run(&connection, &of_task, to).await });
        Self {
            told,
            task,
            istio,
            pulses,
            index: Index::new(),
            changes: Vec::new(),
            states: BTreeMap::new(),
            seen: Vec::new(),
            malformed: Vec::new(),
            skipped: Vec::new(),
            listed: 0,
            now: 0,
        }
    }

    /// Takes in what is told until it is so.
    pub(crate) async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let patience = tokio::time::timeout(PATIENCE, async {
            while !is_so(self) {
                let told = self.told.recv().await.expect("the watches go on");
                self.take(told);
            }
        });
        assert!(patience.await.is_ok(), "{what}: not within {PATIENCE:?}; states: {:?}", self.states);
    }

    pub(crate) async fn until_synced(&mut self) {
        let all = tracer_daemon::source::cluster::ObjectKind::ALL.map(tracer_daemon::source::cluster::lower::kind);
        self.until("everything is synced", |followed| all.iter().all(|kind| followed.index.synced(*kind))).await;
    }

    /// When the last change was learnt.
    pub(crate) fn now(&self) -> Ktime {
        Ktime(self.now)
    }

    /// Time goes by.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = (self.now() + time).0;
    }

    pub(crate) fn pods(&self) -> Vec<String> {
        let mut pods: Vec<_> = self.index.keys(Kind::Pod).iter().map(ObjectKey::to_string).collect();
        pods.sort();
        pods
    }

    /// Ends the watches and waits for their end.
    pub(crate) async fn end(self) {
        drop(self.told);
        self.task.await.expect("the watches end by themselves");
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::Event(event) => match Change::of(event, &self.istio) {
                Ok(change) => self.apply(change),
                Err(error) => self.skipped.push(error),
            },
            Told::Listed(listed) => {
                self.listed += 1;
                let gone = Change::gone(&listed, &self.index);
                self.apply(gone);
            }
            Told::Malformed { object, why } => self.malformed.push(format!("{object}: {why}")),
            Told::State(watched, state) => {
                self.seen.push(format!("{watched}: {state}"));
                self.states.insert(watched.to_string(), state);
            }
        }
    }

    fn apply(&mut self, changes: impl IntoIterator<Item = Change>) {
        for Change { delta, .. } in changes {
            if !self.index.knows(&delta) {
                self.now += 1;
                self.index.apply(Ktime(self.now), &delta);
                self.changes.push(delta);
            }
        }
    }
}
