//! Waypoints: proxies that traffic in ambient mode passes on its way (`serviceregistry/kube/controller/ambient/waypoints.go`).

use crate::mesh::facts::{Labels, Pod};
use crate::mesh::index::Index;
use crate::mesh::registry::RegistryService;
use crate::net::{Endpoint, Name};
use smallvec::SmallVec;

/// What is dialled: a pod by its ip, or a Service by its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Addressed {
    Workload,
    Service,
}

/// The waypoint before an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Waypoint {
    None,
    /// Any of its pods.
    Pods(SmallVec<[Endpoint; 1]>),
    /// One is asked for, and no pod of it is known.
    Unknown(Name),
}

const USE: &str = "istio.io/use-waypoint";
const USE_NAMESPACE: &str = "istio.io/use-waypoint-namespace";
const FOR: &str = "istio.io/waypoint-for";
const GATEWAY: &str = "gateway.networking.k8s.io/gateway-name";

/// Before a pod that is dialled by its ip: only one that is `for: workload` or `for: all`.
pub(crate) fn of_workload(index: &Index, pod: &Pod) -> Waypoint {
    let namespace = &pod.key.namespace;
    let asked = asked(&pod.labels, namespace).or_else(|| of_namespace(index, namespace));
    found(index, asked, Addressed::Workload)
}

/// Before a Service that is dialled by its own address.
pub(crate) fn of_service(index: &Index, service: &RegistryService) -> Waypoint {
    let namespace = &service.key.namespace;
    let own = service.waypoint.clone().map(|name| (name, namespace.clone()));
    found(index, own.or_else(|| of_namespace(index, namespace)), Addressed::Service)
}

fn of_namespace(index: &Index, namespace: &Name) -> Option<(Name, Name)> {
    asked(&index.namespace(namespace)?.labels, namespace)
}

/// Name and namespace of the waypoint that these labels ask for.
fn asked(labels: &Labels, namespace: &Name) -> Option<(Name, Name)> {
    let name = labels.get(USE)?.clone();
    Some((name, labels.get(USE_NAMESPACE).unwrap_or(namespace).clone()))
}

fn found(index: &Index, asked: Option<(Name, Name)>, addressed: Addressed) -> Waypoint {
    let Some((name, namespace)) = asked.filter(|(name, _)| &**name != "none") else { return Waypoint::None };
    let mut pods =
        index.pods_in(&namespace).filter(|pod| !pod.gone && pod.labels.get(GATEWAY) == Some(&name)).peekable();
    let Some(one) = pods.peek() else { return Waypoint::Unknown(name) };
    // A waypoint's pods bear the labels of its Gateway.
    let takes = match one.labels.get(FOR).map(|of| &**of) {
        Some("all") => true,
        Some("workload") => addressed == Addressed::Workload,
        Some("none") => false,
        _ => addressed == Addressed::Service,
    };
    if !takes {
        return Waypoint::None;
    }
    let at = |pod: &Pod| Some(Endpoint::new(*pod.ips.first()?, 0));
    Waypoint::Pods(pods.filter_map(|pod| at(pod)).collect())
}
