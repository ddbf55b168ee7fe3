//! Namespaces, nodes, pods, and the workload that a pod belongs to.

use super::{Enrolment, Ips, Labels, ObjectKey, Timestamp};
use crate::net::Name;
use ipnet::IpNet;
use smallvec::SmallVec;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Namespace {
    pub name: Name,
    pub labels: Labels,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    pub name: Name,
    pub addresses: SmallVec<[IpAddr; 2]>,
    pub pod_cidrs: SmallVec<[IpNet; 2]>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Pod {
    pub key: ObjectKey,
    pub uid: Uid,
    pub created: Timestamp,
    /// Deleted, or in phase Failed or Succeeded: its ip answers for nobody.
    pub gone: bool,
    /// Condition Ready.
    pub ready: bool,
    pub ips: Ips,
    pub node: Name,
    pub host_network: bool,
    pub service_account: Name,
    pub labels: Labels,
    pub workload: Workload,
    pub enrolment: Arc<Enrolment>,
    /// Label `security.istio.io/tlsMode: istio`: what clients go by, not the sidecar.
    pub tls_mode_istio: bool,
}

/// Tells a pod from another that had its name or its address: the bytes of `metadata.uid`. Of a static pod they are what
/// its kubelet calls it (`kubernetes.io/config.hash`, as many), of a text that is neither a hash of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Uid([u8; 16]);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Workload {
    /// As Kubernetes spells it: `Deployment`, `StatefulSet`, `CronJob` ... A bare pod is its own workload, a `Pod`.
    pub kind: Name,
    pub name: Name,
}

impl Pod {
    /// Label `networking.istio.io/tunnel: http`: its sidecar accepts HBONE.
    pub(crate) fn accepts_hbone(&self) -> bool {
        self.labels.get("networking.istio.io/tunnel").is_some_and(|tunnel| *tunnel == "http")
    }
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        let hash = |seed: u8| {
            let mut hasher = DefaultHasher::new();
            (seed, text).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        let uuid = Uuid::try_parse(text).ok().map(Uuid::into_bytes);
        Self(uuid.unwrap_or_else(|| (hash(0) << 64 | hash(1)).to_ne_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_differ_where_their_texts_do() {
        let texts = [
            "4b0fbcbb-5f5b-4c1a-9c3b-0a9f3c6f9d11",
            "4b0fbcbb-5f5b-4c1a-9c3b-0a9f3c6f9d12",
            "b1946ac92492d2347c6235b4d2611184",
            "mine",
            "yours",
            "",
        ];
        for (at, text) in texts.iter().enumerate() {
            assert_eq!(texts.iter().position(|other| Uid::from(*other) == Uid::from(*text)), Some(at), "{text:?}");
        }
    }
}
