//! The label by which clients go: on a pod that has a sidecar and lacks it, or off one that bears it without.

use super::case::Case;
use super::{Manifest, Proposal};
use crate::mesh::facts::{Enrolment, Fact, Labels, Pod};
use crate::mesh::index::Labelled;
use std::sync::Arc;

pub(crate) const TLS_MODE: &str = "security.istio.io/tlsMode";

/// More pods than this are not labelled one by one.
const MOST: usize = 4;

/// On every endpoint of the port that lacks it, where each of them has a sidecar.
pub(super) fn set(case: &Case<'_>) -> Vec<Proposal> {
    let Some(cluster) = case.outcome.path.hop.as_ref().and_then(|hop| hop.cluster.as_ref()) else { return Vec::new() };
    let Some(scope) = case.scope() else { return Vec::new() };
    let services = case.index.services_named(&cluster.host);
    let Some(service) = services.iter().find(|service| scope.sees(service)) else { return Vec::new() };
    let Some(port) = service.port(cluster.port) else { return Vec::new() };
    let endpoints = case.index.endpoints(service, port, case.as_of);
    let mut pods: Vec<&Arc<Pod>> = Vec::new();
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.labelled != Labelled::Yes) {
        match endpoint.pod {
            Some(pod) if matches!(*pod.enrolment, Enrolment::Sidecar(_)) && !pod.host_network => pods.push(pod),
            _ => return Vec::new(),
        }
    }
    pods.dedup_by_key(|pod| &pod.key);
    if pods.is_empty() || pods.len() > MOST {
        return Vec::new();
    }
    let manifests = pods.into_iter().map(|pod| labelled(pod, true)).collect();
    vec![Proposal { manifests, slices: Vec::new() }]
}

pub(super) fn take_off(case: &Case<'_>) -> Vec<Proposal> {
    let landed = case.landed.filter(|(pod, _)| !matches!(*pod.enrolment, Enrolment::Sidecar(_)));
    landed.map(|(pod, _)| labelled(pod, false).into()).into_iter().collect()
}

fn labelled(pod: &Pod, istio: bool) -> Manifest {
    let mode = if istio { "istio" } else { "disabled" };
    let others = pod.labels.iter().filter(|(key, _)| &**key != TLS_MODE).cloned();
    let labels: Labels = others.chain([(TLS_MODE.into(), mode.into())]).collect();
    Manifest::amending(Fact::Pod(Pod { labels, tls_mode_istio: istio, ..pod.clone() }))
}
