//! Labels that select a workload's pods, and no revision of it alone.

use super::case::Case;
use crate::mesh::facts::{Labels, Pod};

/// Labels that change with each roll-out or pod, or that say how the mesh has it.
const PASSING: [&str; 9] = [
    "pod-template-hash",
    "rollouts-pod-template-hash",
    "controller-revision-hash",
    "controller-uid",
    "job-name",
    POD_NAME,
    "service.istio.io/canonical-name",
    "service.istio.io/canonical-revision",
    "sidecar.istio.io/inject",
];
const PASSING_GROUPS: [&str; 4] = ["apps.kubernetes.io/", "batch.kubernetes.io/", "security.istio.io/", "istio.io/"];
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";

/// The selector of a Service that selects the pod already, then all that lasts of its labels, then the pod itself where
/// it has a name that stays.
pub(super) fn candidates(case: &Case<'_>, pod: &Pod) -> Vec<Labels> {
    let mut found: Vec<Labels> = Vec::new();
    let mut add = |labels: Labels| {
        if !labels.is_empty() && !found.contains(&labels) {
            found.push(labels);
        }
    };
    for ip in &pod.ips {
        for (service, _, _) in case.index.services_over(ip.to_canonical()) {
            let own = service.key.namespace == pod.key.namespace && service.selector.selects(&pod.labels);
            add(if own { service.selector.clone() } else { Labels::default() });
        }
    }
    add(lasting(&pod.labels));
    add(pod.labels.iter().filter(|(key, _)| &**key == POD_NAME).cloned().collect());
    found
}

fn lasting(labels: &Labels) -> Labels {
    let passing = |key: &str| PASSING.contains(&key) || PASSING_GROUPS.iter().any(|group| key.starts_with(group));
    labels.iter().filter(|(key, _)| !passing(key)).cloned().collect()
}
