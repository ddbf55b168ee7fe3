//! Namespaces, nodes, pods, and the workload that a pod belongs to.

use super::{Enrolment, Labels, ObjectKey, Timestamp};
use crate::net::Name;
use ipnet::IpNet;
use smallvec::SmallVec;
use std::net::IpAddr;

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
    pub uid: Name,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    /// Deleted, or in phase Failed or Succeeded: its ip answers for nobody.
    pub gone: bool,
    /// The last transition of condition Ready to True; `None` while not ready.
    pub ready_since: Option<Timestamp>,
    pub ips: SmallVec<[IpAddr; 2]>,
    pub node: Name,
    pub host_network: bool,
    pub service_account: Name,
    pub labels: Labels,
    pub workload: Workload,
    /// `containerPort`s; informational, as in Kubernetes.
    pub container_ports: SmallVec<[u16; 4]>,
    pub enrolment: Enrolment,
    /// Label `security.istio.io/tlsMode: istio`: what clients go by, not the sidecar.
    pub tls_mode_istio: bool,
    /// Label `networking.istio.io/tunnel: http`: this sidecar accepts HBONE.
    pub hbone: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Workload {
    pub kind: WorkloadKind,
    pub name: Name,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum WorkloadKind {
    Deployment,
    StatefulSet,
    DaemonSet,
    ReplicaSet,
    Job,
    CronJob,
    /// A bare pod is its own workload.
    Pod,
    /// Any other controller, by its kind.
    Other(Name),
}
