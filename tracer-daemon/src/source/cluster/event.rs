//! Writing Kubernetes Events: the one thing that is ever written to an API server, and only where `--events` asks for it.

use super::watch::{ConnectError, Rule, Target, Trouble, TroubleKind, client_of};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service};
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::time::Duration;

/// An API server that is silent for so long is not waited for: what is written next comes later anyhow.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the API takes (`validateEvent`, pkg/apis/core/validation/events.go; a DNS subdomain).
const INSTANCE_BYTES: usize = 128;
const NAME_BYTES: usize = 253;

/// As `kubectl describe` shows it: `From`.
const CONTROLLER: &str = "mesh-tracer";
/// What was done to the object, in the machine's words.
const ACTION: &str = "Reject";

/// Writes Events as one daemon.
pub struct EventWriter {
    target: Target,
    client: Option<Client>,
    /// `reportingInstance`: the node.
    node: String,
    /// Keeps the Events of one start of the daemon apart from those of the next, which counts anew.
    started: Timestamp,
}

/// An Event as it shall be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterWarning {
    pub kind: Regarding,
    pub namespace: String,
    pub name: String,
    /// What is written again with the same one is one Event with a higher count.
    pub series: String,
    pub reason: String,
    pub note: String,
    pub first: Timestamp,
    pub last: Timestamp,
    pub count: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Regarding {
    Pod,
    Service,
}

#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Nobody would read it.
    #[error("{0} is gone")]
    Gone(String),
    #[error("{why}; add to a role: {rule}")]
    Forbidden { why: String, rule: String },
    #[error("{0}")]
    Refused(String),
}

impl EventWriter {
    pub fn new(target: Target, node: String, started: Timestamp) -> Self {
        Self { target, client: None, node, started }
    }

    /// Once: whoever has more to say of it says it again.
    pub async fn write(&mut self, warning: &ClusterWarning) -> Result<(), EventError> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => self.client.insert(client_of(&self.target).await?).clone(),
        };
        let silent = |_| EventError::Refused(format!("the API server gives no answer within {PATIENCE:?}"));
        let written = tokio::time::timeout(PATIENCE, self.put(&client, warning)).await.map_err(silent).flatten();
        if matches!(written, Err(EventError::Refused(_))) {
            // Credentials may have been renewed, or the connection is dead: both are begun anew next time.
            self.client = None;
        }
        written
    }

    async fn put(&self, client: &Client, warning: &ClusterWarning) -> Result<(), EventError> {
        let events: Api<Event> = Api::namespaced(client.clone(), &warning.namespace);
        let regarding = regarding(client, warning).await?;
        let name = self.name(warning, regarding.uid.as_deref());
        let series = EventSeries { count: count(warning), last_observed_time: micro(warning.last) };
        let more = Patch::Merge(json!({ "series": &series }));
        match events.patch(&name, &PatchParams::default(), &more).await {
            // Not written yet, or so long ago that the server has let it go.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(refused(error)),
        }
        let event = Event {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(warning.namespace.clone()),
                ..ObjectMeta::default()
            },
            event_time: Some(micro(warning.first)),
            series: Some(series),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(within(&self.node, INSTANCE_BYTES).to_owned()),
            action: Some(ACTION.to_owned()),
            reason: Some(warning.reason.clone()),
            regarding: Some(regarding),
            note: Some(warning.note.clone()),
            type_: Some("Warning".to_owned()),
            ..Event::default()
        };
        let created = events.create(&PostParams::default(), &event).await;
        created.map(drop).map_err(refused)
    }

    /// The same for what is the same: a second writing finds the first. A pod that took another's name is another one.
    fn name(&self, ClusterWarning { name, series, .. }: &ClusterWarning, uid: Option<&str>) -> String {
        const DIGEST: usize = 8;
        let mut digest = Sha256::new().chain_update(self.started.as_nanosecond().to_be_bytes());
        for part in [&*self.node, uid.unwrap_or_default(), series] {
            digest = digest.chain_update(part).chain_update([0]);
        }
        let of = within(name, NAME_BYTES - 1 - 2 * DIGEST).trim_end_matches(['.', '-']);
        digest.finalize().iter().take(DIGEST).fold(format!("{of}."), |mut text, byte| {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// `kubectl describe` looks for Events by the object's uid, which a name alone does not tell.
async fn regarding(client: &Client, warning: &ClusterWarning) -> Result<ObjectReference, EventError> {
    let ClusterWarning { kind, namespace, name, .. } = warning;
    let only = ListParams::default().fields(&format!("metadata.name={name}"));
    let (kind, listed) = match kind {
        Regarding::Pod => ("Pod", uids(Api::<Pod>::namespaced(client.clone(), namespace), &only).await),
        Regarding::Service => ("Service", uids(Api::<Service>::namespaced(client.clone(), namespace), &only).await),
    };
    let uid = listed
        .map_err(refused)?
        .into_iter()
        .next()
        .ok_or_else(|| EventError::Gone(format!("{kind} {namespace}/{name}")))?;
    Ok(ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some(kind.to_owned()),
        namespace: Some(namespace.clone()),
        name: Some(name.clone()),
        uid: Some(uid),
        ..ObjectReference::default()
    })
}

async fn uids<K>(of: Api<K>, only: &ListParams) -> Result<Vec<String>, kube::Error>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    Ok(of.list_metadata(only).await?.items.into_iter().filter_map(|object| object.metadata.uid).collect())
}

fn refused(error: kube::Error) -> EventError {
    let Trouble { kind, why } = Trouble::from(error);
    match kind {
        // A namespace that goes takes nothing new; no role would let it.
        TroubleKind::Forbidden if why.contains("being terminated") => EventError::Gone(why),
        TroubleKind::Forbidden => EventError::Forbidden { why, rule: Rule::events().to_string() },
        _ => EventError::Refused(why),
    }
}

fn within(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn micro(time: Timestamp) -> MicroTime {
    MicroTime(time)
}

fn count(warning: &ClusterWarning) -> i32 {
    warning.count.try_into().unwrap_or(i32::MAX)
}
