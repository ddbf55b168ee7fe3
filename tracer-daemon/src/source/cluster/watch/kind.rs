//! The life of one collection's watch: found, listed, watched; waited for where it is not there, not allowed or in trouble.

use super::collection::{Collection, Step};
use super::discovery::Groups;
use super::pace::{Backoff, Pace, jittered};
use super::raw::Raw;
use super::resource::Resource;
use super::rules::Rule;
use super::state::State;
use super::told::{Told, Watched};
use super::trouble::{Trouble, TroubleKind};
use crate::source::cluster::listed::{Keys, Listed};
use crate::source::cluster::object::ClusterEvent;
use kube::Client;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tracing::{info, warn};

pub(super) struct Kind {
    resource: Resource,
    client: Client,
    groups: Groups,
    pace: Pace,
    streaming: bool,
    to: Sender<Told>,
    /// How many collections of this kind are not synced yet.
    unsynced: Arc<AtomicUsize>,
    /// Whether all of it has been told once.
    synced: bool,
    /// Whether anything has been told, so that a list must say what is gone.
    has_told: bool,
    state: Option<State>,
    backoff: Backoff,
}

/// Nobody listens any more.
struct Deaf;

/// Why a collection is not followed any further.
enum Left {
    Deaf,
    /// It is not where it was: to be looked for again.
    NotFound,
}

impl Kind {
    pub(super) fn new(
        resource: Resource,
        client: Client,
        groups: Groups,
        pace: Pace,
        streaming: bool,
        to: Sender<Told>,
        unsynced: Arc<AtomicUsize>,
    ) -> Self {
        let backoff = Backoff::new(pace.clone());
        Self {
            resource,
            client,
            groups,
            pace,
            streaming,
            to,
            unsynced,
            synced: false,
            has_told: false,
            state: None,
            backoff,
        }
    }

    /// Until nobody listens.
    pub(super) async fn run(mut self) {
        while let Err(Left::NotFound) | Ok(()) = self.found().await {}
    }

    /// Finds the collection and follows it for as long as it is there.
    async fn found(&mut self) -> Result<(), Left> {
        let version = if self.resource.is_istio() {
            match self.groups.version(self.resource.kind).await {
                Ok(Some(version)) => version,
                Ok(None) => {
                    self.not_there().await?;
                    return self.wait(jittered(self.pace.absent)).await;
                }
                Err(trouble) => return self.troubled(&trouble).await,
            }
        } else {
            "v1"
        };
        let collection =
            Collection::new(self.client.clone(), &self.resource, version, self.pace.clone(), self.streaming);
        self.follow(collection).await
    }

    async fn follow(&mut self, mut collection: Collection) -> Result<(), Left> {
        let mut keys = None;
        loop {
            let step = tokio::select! {
                step = collection.next() => step,
                () = self.to.closed() => return Err(Left::Deaf),
            };
            match step {
                Ok(Step::Begin) => {
                    self.enter(State::Listing).await?;
                    keys = self.has_told.then(Keys::default);
                }
                Ok(Step::Object(raw)) => {
                    if let Some(keys) = &mut keys {
                        let object = raw.reference(self.resource.kind);
                        keys.insert(&object.namespace, &object.name);
                    }
                    self.apply(&raw).await?;
                }
                Ok(Step::End) => self.listed(keys.take()).await?,
                Ok(Step::Changed(raw)) => {
                    self.enter(State::Watching).await?;
                    self.apply(&raw).await?;
                }
                Ok(Step::Deleted(raw)) => {
                    let object = raw.reference(self.resource.kind);
                    self.tell(Told::Event(ClusterEvent::Deleted(object))).await?;
                }
                Err(trouble) if trouble.kind == TroubleKind::NotFound && self.resource.is_istio() => {
                    return Err(Left::NotFound);
                }
                Err(trouble) => self.troubled(&trouble).await?,
            }
        }
    }

    async fn apply(&mut self, raw: &Raw) -> Result<(), Deaf> {
        let told = match raw.decode(self.resource.kind) {
            Ok(object) => Told::Event(ClusterEvent::Applied(Box::new(object))),
            Err(error) => Told::Malformed { object: raw.reference(self.resource.kind), why: error.to_string() },
        };
        self.has_told = true;
        self.tell(told).await
    }

    /// A list has ended, and with it every trouble.
    async fn listed(&mut self, keys: Option<Keys>) -> Result<(), Deaf> {
        self.backoff.reset();
        if let Some(keys) = keys {
            let (kind, node) = (self.resource.kind, self.resource.node.clone());
            match self.resource.object() {
                Some(object) if keys.contains(&object.namespace, &object.name) => {}
                Some(object) => self.tell(Told::Event(ClusterEvent::Deleted(object))).await?,
                None => self.tell(Told::Listed(Listed { kind, node, keys })).await?,
            }
        }
        self.enter(State::Watching).await?;
        self.synced().await
    }

    /// The server has no such kind, so there is none of it.
    async fn not_there(&mut self) -> Result<(), Deaf> {
        self.backoff.reset();
        if std::mem::take(&mut self.has_told) {
            let listed = Listed { kind: self.resource.kind, node: None, keys: Keys::default() };
            self.tell(Told::Listed(listed)).await?;
        }
        self.enter(State::NotServed).await?;
        self.synced().await
    }

    async fn synced(&mut self) -> Result<(), Deaf> {
        if !std::mem::replace(&mut self.synced, true) && self.unsynced.fetch_sub(1, AcqRel) == 1 {
            self.tell(Told::Event(ClusterEvent::Synced(self.resource.kind))).await?;
        }
        Ok(())
    }

    async fn troubled(&mut self, trouble: &Trouble) -> Result<(), Left> {
        let why = trouble.why.clone();
        let wait = match trouble.kind {
            TroubleKind::Forbidden => {
                let rule = Rule::of(&self.resource).to_string();
                self.enter(State::Forbidden { rule, why }).await?;
                jittered(self.pace.absent)
            }
            TroubleKind::TooMany(after) => {
                self.enter(State::Failing { why }).await?;
                self.backoff.next().max(after.unwrap_or_default())
            }
            _ => {
                self.enter(State::Failing { why }).await?;
                self.backoff.next()
            }
        };
        self.wait(wait).await
    }

    async fn wait(&self, for_so_long: Duration) -> Result<(), Left> {
        tokio::select! {
            () = tokio::time::sleep(for_so_long) => Ok(()),
            () = self.to.closed() => Err(Left::Deaf),
        }
    }

    /// Each state is said once, and logged where somebody should know.
    async fn enter(&mut self, state: State) -> Result<(), Deaf> {
        if self.state.as_ref() == Some(&state) {
            return Ok(());
        }
        let watched = Watched { kind: self.resource.kind, name: self.resource.only.clone().map(|(_, name)| name) };
        match &state {
            State::Watching | State::Listing => {}
            State::NotServed => info!("{watched}: {state}"),
            State::Forbidden { .. } | State::Failing { .. } => warn!("{watched}: {state}"),
        }
        self.state = Some(state.clone());
        self.tell(Told::State(watched, state)).await
    }

    async fn tell(&self, told: Told) -> Result<(), Deaf> {
        self.to.send(told).await.map_err(|_| Deaf)
    }
}

impl From<Deaf> for Left {
    fn from(Deaf: Deaf) -> Self {
        Left::Deaf
    }
}
