//! What an answer must say beside itself.

use super::journey::{Journey, Trip, is_enrolled};
use super::outcome::{Caveat, TESTED};
use super::trail::Trail;
use crate::mesh::facts::{Enrolment, Pod};
use std::sync::Arc;

/// `landed`: pods where the path may end.
pub(super) fn add<'a, T: Trail>(
    journey: &Journey<'a>,
    trip: &mut Trip<'_, T>,
    landed: impl Iterator<Item = &'a Arc<Pod>> + Clone,
) {
    for pod in landed.clone() {
        for namespace in [&pod.key.namespace, &journey.index.mesh_config(None).root_namespace] {
            for policy in journey.index.authorization_policies(namespace) {
                let selects = policy.selector.as_ref().is_none_or(|selector| selector.selects(&pod.labels));
                let caveat = Caveat::AuthorizationPolicy { policy: policy.key.clone(), pod: pod.key.name.clone() };
                if selects && is_enrolled(pod) && !trip.caveats.contains(&caveat) {
                    trip.caveats.push(caveat);
                }
            }
        }
    }
    if landed.clone().any(|pod| *pod.enrolment == Enrolment::Ambient) && !trip.caveats.contains(&Caveat::Ambient) {
        trip.caveats.push(Caveat::Ambient);
    }
    for pod in journey.source.into_iter().chain(landed) {
        if let Enrolment::Sidecar(proxy) = &*pod.enrolment {
            let untested = proxy.version.as_ref().filter(|version| !is_tested(version));
            let caveat = untested
                .map(|version| Caveat::UntestedProxyVersion { pod: pod.key.name.clone(), version: version.clone() });
            trip.caveats.extend(caveat.filter(|caveat| !trip.caveats.contains(caveat)));
        }
    }
}

fn is_tested(version: &str) -> bool {
    version.strip_prefix(TESTED).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
}
