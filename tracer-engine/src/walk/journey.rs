//! What all paths of one walk share, and what one path has behind it.

use super::outcome::{Call, Caveat, Cluster, Sends, Source};
use super::trail::Trail;
use crate::mesh::facts::{Enrolment, Pod};
use crate::mesh::index::{Index, Occupant};
use crate::mesh::registry::{Port, RegistryService};
use crate::mesh::xds::cluster::ClusterOf;
use crate::mesh::xds::listener::Bind;
use crate::mesh::xds::server_name::ServerName;
use crate::net::{Endpoint, Ktime, Name};
use crate::verdict::{Cause, Reason};
use std::net::IpAddr;
use std::sync::Arc;

/// One call and what its two addresses are.
pub(super) struct Journey<'a> {
    pub(super) index: &'a Index,
    pub(super) as_of: Ktime,
    pub(super) to: Endpoint,
    pub(super) call: &'a Call,
    pub(super) source: Option<&'a Arc<Pod>>,
    pub(super) dialled: Occupant<'a>,
    pub(super) caveats: Vec<Caveat>,
}

/// One path of it, as far as the source's proxy.
#[derive(Clone)]
pub(super) struct Trip<'a, T> {
    pub(super) sends: Sends,
    pub(super) trail: T,
    pub(super) caveats: Vec<Caveat>,
    pub(super) route: Route<'a>,
}

/// How the source took the connection: all that reasons, causes and evidence go by.
#[derive(Clone)]
pub(super) struct Route<'a> {
    /// S1
    pub(super) capture: CaptureKind,
    /// S2
    pub(super) bind: Option<Bind>,
    /// The proxy was not told of the dialled endpoint yet.
    pub(super) too_new: bool,
    /// The listener has an HTTP chain.
    pub(super) for_http: bool,
    /// S3
    pub(super) sniffs: bool,
    pub(super) http_chain: bool,
    /// S4: what became of Host on a shared listener.
    pub(super) host: HostMatch,
    /// S5
    pub(super) cluster: Option<Chosen<'a>>,
    /// The reason where the other end takes it.
    pub(super) delivered_as: Reason,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CaptureKind {
    Not(Cause),
    Sidecar,
    Ztunnel,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HostMatch {
    NotAsked,
    Known,
    DialledIp,
    Unknown,
}

/// The cluster that the proxy chose, and how it secures the hop.
#[derive(Clone)]
pub(super) struct Chosen<'a> {
    pub(super) service: &'a Arc<RegistryService>,
    pub(super) port: &'a Port,
    subset: Option<Name>,
    /// What a DestinationRule says instead of the cluster's name.
    sni: Option<Name>,
}

impl<'a> Journey<'a> {
    pub(super) fn new(index: &'a Index, call: &'a Call, as_of: Ktime) -> Self {
        let to = Endpoint::new(call.to.ip, call.to.port);
        let mut caveats = Vec::new();
        let source = match &call.from {
            Source::Pod(key) => {
                let pod = index.pod(key);
                if pod.is_none() {
                    caveats.push(Caveat::Missing(format!("pod {key}, the source, is not known")));
                }
                pod
            }
            Source::Ip(ip) => index.pod_at(ip.to_canonical(), as_of),
        };
        Self { index, as_of, to, call, source, dialled: index.occupant(to.ip, as_of), caveats }
    }

    /// The live pod at an address.
    pub(super) fn pod_at(&self, ip: IpAddr) -> Option<&'a Arc<Pod>> {
        self.index.pod_at(ip, self.as_of)
    }

    /// The live pod that was dialled.
    pub(super) fn dialled_pod(&self) -> Option<&'a Arc<Pod>> {
        match self.dialled {
            Occupant::Pod(pod) => Some(pod),
            _ => None,
        }
    }
}

impl<'a, T: Trail> Trip<'a, T> {
    pub(super) fn new(journey: &Journey<'a>, sends: Sends, trail: T, capture: CaptureKind) -> Self {
        let delivered_as = match capture {
            CaptureKind::Not(_) => Reason::SourceUncaptured,
            CaptureKind::Sidecar | CaptureKind::Ztunnel => Reason::Passthrough,
        };
        Self {
            sends,
            trail,
            caveats: journey.caveats.clone(),
            route: Route {
                capture,
                bind: None,
                too_new: false,
                for_http: false,
                sniffs: false,
                http_chain: false,
                host: HostMatch::NotAsked,
                cluster: None,
                delivered_as,
            },
        }
    }
}

impl<'a> Chosen<'a> {
    pub(super) fn new(cluster: &ClusterOf<'a>) -> Self {
        let ruled = cluster.policy.and_then(|policy| policy.tls).and_then(|tls| tls.sni.clone());
        Self { service: cluster.service, port: cluster.port, subset: cluster.subset.clone(), sni: ruled }
    }

    pub(super) fn cluster(&self) -> Cluster {
        Cluster { host: self.service.hostname.clone(), port: self.port.number, subset: self.subset.clone() }
    }

    /// The cluster's own name, unless a DestinationRule sets another.
    pub(super) fn sni(&self) -> Name {
        let subset = self.subset.as_deref().unwrap_or_default();
        let own = || ServerName { port: self.port.number, subset, host: &self.service.hostname }.spelled();
        self.sni.clone().unwrap_or_else(own)
    }
}

/// Whether a pod's traffic passes a proxy of the mesh at all.
pub(super) fn is_enrolled(pod: &Pod) -> bool {
    !pod.host_network && matches!(*pod.enrolment, Enrolment::Sidecar(_) | Enrolment::Ambient)
}
