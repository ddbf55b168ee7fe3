//! The daemons of a whole cluster, each reached by an exec into its pod: the API server carries what is said, and no port
//! is opened anywhere.

use super::watch::{ConnectError, Target, client_of, why};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, AttachParams, AttachedProcess, ListParams};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// What the DaemonSet's pods bear (`manifests/base/daemonset.yaml`).
const DAEMONS: &str = "app.kubernetes.io/name=mesh-tracer";
/// Carries a request to the daemon's socket, and the answer back.
const RELAY: [&str; 2] = ["/mesh-tracer", "relay"];
/// What a container says before it fails is a line or two.
const LAST_WORDS: u64 = 1024;

pub struct Fleet {
    pods: Api<Pod>,
    namespace: String,
}

/// The daemon of one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    pub node: String,
    pub pod: String,
}

/// The two directions of what is said with one daemon, and what holds them open.
pub struct Session {
    pub to: Box<dyn AsyncWrite + Send + Unpin>,
    pub from: Box<dyn AsyncRead + Send + Unpin>,
    pub held: Held,
}

/// The exec itself: over when it is dropped.
pub struct Held {
    errors: Box<dyn AsyncRead + Send + Unpin>,
    _process: AttachedProcess,
}

#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("cannot list the pods of namespace {namespace}: {why}")]
    List { namespace: String, why: String },
    #[error(
        "no pod with the label {DAEMONS} in namespace {0}: install mesh-tracer (kubectl apply -k manifests/base), or \
         name where it is with --tracer-namespace"
    )]
    None(String),
    #[error("cannot exec into pod {pod}: {why}")]
    Exec { pod: String, why: String },
}

impl Fleet {
    pub async fn open(target: &Target, namespace: String) -> Result<Self, FleetError> {
        let client: Client = client_of(target).await?;
        Ok(Self { pods: Api::namespaced(client, &namespace), namespace })
    }

    /// Of every node, in the order of their names; at least one.
    pub async fn members(&self) -> Result<Vec<Member>, FleetError> {
        let listed = self.pods.list(&ListParams::default().labels(DAEMONS)).await;
        let listed = listed.map_err(|error| FleetError::List { namespace: self.namespace.clone(), why: why(error) })?;
        let mut members: Vec<Member> = listed.items.into_iter().filter_map(member).collect();
        if members.is_empty() {
            return Err(FleetError::None(self.namespace.clone()));
        }
        members.sort_by(|a, b| (&a.node, &a.pod).cmp(&(&b.node, &b.pod)));
        Ok(members)
    }

    pub async fn reach(&self, member: &Member) -> Result<Session, FleetError> {
        let Member { pod, .. } = member;
        let failed = |why| FleetError::Exec { pod: pod.clone(), why };
        let streams = AttachParams::default().stdin(true).stdout(true).stderr(true);
        let process = self.pods.exec(pod, RELAY, &streams).await;
        let mut process = process.map_err(|error| failed(why(error)))?;
        let (Some(to), Some(from), Some(errors)) = (process.stdin(), process.stdout(), process.stderr()) else {
            return Err(failed("the API server gave no streams".to_owned()));
        };
        let held = Held { errors: Box::new(errors), _process: process };
        Ok(Session { to: Box::new(to), from: Box::new(from), held })
    }
}

impl Held {
    /// What the other end said of its failure, once it has ended.
    pub async fn last_words(&mut self) -> String {
        let mut said = Vec::new();
        // What cannot be read was not said.
        let _ = (&mut self.errors).take(LAST_WORDS).read_to_end(&mut said).await;
        String::from_utf8_lossy(&said).trim().to_owned()
    }
}

/// One that is being deleted answers no longer.
fn member(pod: Pod) -> Option<Member> {
    let running = pod.metadata.deletion_timestamp.is_none() && pod.status?.phase.as_deref() == Some("Running");
    let (node, pod) = (pod.spec?.node_name?, pod.metadata.name?);
    running.then_some(Member { node, pod })
}
