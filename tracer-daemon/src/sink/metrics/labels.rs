//! Label sets, spelled as the contract has them. Names are Istio's, so that its metrics join with ours.

use super::super::wire::Spell;
use super::series::Labels;
use arcstr::literal;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use std::borrow::Cow;
use tracer_engine::net::Name;
use tracer_engine::record::{Attribution, FlowRecord, Party};
use tracer_engine::verdict::Security;

/// What is missing.
pub(super) const UNKNOWN: &str = "unknown";
/// What had no room of its own.
pub(super) const OTHER: &str = "other";

static UNKNOWN_NAME: Word = Word(literal!("unknown"));
static OTHER_NAME: Word = Word(literal!("other"));

/// A label's value that is somebody's name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Word(pub(super) Name);

/// F of the contract: who, to whom, told by which end.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Peers {
    pub(super) reporter: &'static str,
    pub(super) source_workload: Word,
    pub(super) source_workload_namespace: Word,
    pub(super) destination_workload: Word,
    pub(super) destination_workload_namespace: Word,
    pub(super) destination_service_name: Word,
    pub(super) destination_service_namespace: Word,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Flow {
    #[prometheus(flatten)]
    pub(super) peers: Peers,
    pub(super) class: &'static str,
    pub(super) reason: &'static str,
    pub(super) connection_security_policy: &'static str,
    pub(super) traffic: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Rejection {
    #[prometheus(flatten)]
    pub(super) peers: Peers,
    pub(super) reason: &'static str,
    /// Ours, or the kernel's own word.
    pub(super) cause: Cow<'static, str>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Overflow {
    pub(super) destination_workload: Word,
    pub(super) destination_workload_namespace: Word,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Dropped {
    /// The kernel's name.
    pub(super) reason: Word,
    #[prometheus(flatten)]
    pub(super) peers: Peers,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Route {
    pub(super) reporter: &'static str,
    pub(super) class: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Bytes {
    pub(super) reporter: &'static str,
    pub(super) class: &'static str,
    pub(super) direction: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Reset {
    /// Which end of the leg sent it.
    pub(super) direction: &'static str,
    pub(super) leg: &'static str,
    /// Of the flow's verdict.
    pub(super) reason: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Attributed {
    pub(super) end: &'static str,
    pub(super) result: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Reason {
    pub(super) reason: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Revision {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Metric {
    pub(super) metric: &'static str,
}

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        (&*self.0).encode(encoder)
    }
}

impl Peers {
    pub(super) fn of(record: &FlowRecord) -> Self {
        let (source_workload, source_workload_namespace) = workload(&record.client.who);
        let (destination_workload, destination_workload_namespace) = workload(&record.server.who);
        let (destination_service_name, destination_service_namespace) = service(&record.server);
        Self {
            reporter: record.reporter.code(),
            source_workload,
            source_workload_namespace,
            destination_workload,
            destination_workload_namespace,
            destination_service_name,
            destination_service_namespace,
        }
    }

    /// Of packets between two addresses, which may not be known any more.
    pub(super) fn between(reporter: &'static str, ends: Option<&(Attribution, Attribution)>) -> Self {
        let nobody = Attribution::External;
        let (source, destination) = ends.map_or((&nobody, &nobody), |(source, destination)| (source, destination));
        let (source_workload, source_workload_namespace) = workload(source);
        let (destination_workload, destination_workload_namespace) = workload(destination);
        let unknown = || UNKNOWN_NAME.clone();
        Self {
            reporter,
            source_workload,
            source_workload_namespace,
            destination_workload,
            destination_workload_namespace,
            destination_service_name: unknown(),
            destination_service_namespace: unknown(),
        }
    }

    fn other(reporter: &'static str) -> Self {
        let other = || OTHER_NAME.clone();
        Self {
            reporter,
            source_workload: other(),
            source_workload_namespace: other(),
            destination_workload: other(),
            destination_workload_namespace: other(),
            destination_service_name: other(),
            destination_service_namespace: other(),
        }
    }
}

impl Labels for Peers {
    fn without_names(&self) -> Self {
        Self::other(self.reporter)
    }

    fn nothing() -> Self {
        Self::other(OTHER)
    }
}

impl Labels for Flow {
    fn without_names(&self) -> Self {
        Self { peers: self.peers.without_names(), ..self.clone() }
    }

    fn nothing() -> Self {
        let peers = Peers::nothing();
        Self { peers, class: OTHER, reason: OTHER, connection_security_policy: OTHER, traffic: OTHER }
    }
}

impl Labels for Rejection {
    fn without_names(&self) -> Self {
        Self { peers: self.peers.without_names(), ..self.clone() }
    }

    fn nothing() -> Self {
        Self { peers: Peers::nothing(), reason: OTHER, cause: OTHER.into() }
    }
}

impl Overflow {
    pub(super) fn of(peers: &Peers) -> Self {
        Self {
            destination_workload: peers.destination_workload.clone(),
            destination_workload_namespace: peers.destination_workload_namespace.clone(),
        }
    }
}

impl Labels for Overflow {
    fn without_names(&self) -> Self {
        Self::nothing()
    }

    fn nothing() -> Self {
        let other = || OTHER_NAME.clone();
        Self { destination_workload: other(), destination_workload_namespace: other() }
    }
}

impl Labels for Dropped {
    fn without_names(&self) -> Self {
        Self { peers: self.peers.without_names(), ..self.clone() }
    }

    fn nothing() -> Self {
        Self { peers: Peers::nothing(), reason: OTHER_NAME.clone() }
    }
}

/// As Istio's `connection_security_policy`: it knows mutual TLS of the mesh, and nothing else.
pub(super) fn security_policy(security: Security) -> &'static str {
    match security {
        Security::MutualTls => "mutual_tls",
        Security::Tls | Security::AppTls | Security::None => "none",
        Security::Unknown => UNKNOWN,
    }
}

pub(super) fn attribution(who: &Attribution) -> &'static str {
    match who {
        Attribution::Pod(_) => "pod",
        Attribution::Tombstone(_) => "tombstone",
        Attribution::Service(_) => "service",
        Attribution::Node(_) => "node",
        Attribution::External => "external",
        Attribution::Unknown(_) => UNKNOWN,
    }
}

fn workload(who: &Attribution) -> (Word, Word) {
    match who {
        Attribution::Pod(identity) | Attribution::Tombstone(identity) => {
            (Word(identity.workload.name.clone()), Word(identity.pod.namespace.clone()))
        }
        Attribution::Service(_) | Attribution::Node(_) | Attribution::External | Attribution::Unknown(_) => {
            (UNKNOWN_NAME.clone(), UNKNOWN_NAME.clone())
        }
    }
}

fn service(party: &Party) -> (Word, Word) {
    let own = match &party.who {
        Attribution::Service(key) => Some(key),
        _ => None,
    };
    match party.service.as_ref().or(own) {
        Some(key) => (Word(key.name.clone()), Word(key.namespace.clone())),
        None => (UNKNOWN_NAME.clone(), UNKNOWN_NAME.clone()),
    }
}
