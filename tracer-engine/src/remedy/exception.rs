//! Another mode for one port of the destination's pods: `portLevelMtls` of a PeerAuthentication.

use super::case::{Case, NEW, named};
use super::{Manifest, Proposal, selector};
use crate::mesh::facts::{Enrolment, Fact, MtlsMode, PeerAuthentication};

/// In the policy that the workload has, and else in a new one, which leaves all other ports as they are.
pub(super) fn allow(case: &Case<'_>, mode: MtlsMode) -> Vec<Proposal> {
    let Some((pod, port)) = case.landed.filter(|(pod, _)| !pod.host_network) else { return Vec::new() };
    let revision = match &*pod.enrolment {
        Enrolment::Sidecar(sidecar) => sidecar.revision.as_deref(),
        Enrolment::Ambient | Enrolment::Gateway | Enrolment::None => None,
    };
    // A selector in the root namespace selects nobody.
    if pod.key.namespace == case.index.mesh_config(revision).root_namespace {
        return Vec::new();
    }
    let policies = case.index.peer_authentications(&pod.key.namespace);
    let selects = |policy: &&std::sync::Arc<PeerAuthentication>| {
        policy.selector.as_ref().is_some_and(|selector| !selector.is_empty() && selector.selects(&pod.labels))
    };
    if let Some(own) = policies.iter().find(selects) {
        let mut policy = PeerAuthentication::clone(own);
        policy.port_level.retain(|(number, _)| *number != port);
        policy.port_level.push((port, mode));
        return vec![Manifest::amending(Fact::PeerAuthentication(policy)).into()];
    }
    let number = port.to_string();
    let new = |selector| PeerAuthentication {
        key: named(&pod.key.namespace, &[&pod.workload.name, "port", &number]),
        created: NEW,
        selector: Some(selector),
        mode: MtlsMode::Unset,
        port_level: vec![(port, mode)],
    };
    let selectors = selector::candidates(case, pod).into_iter();
    selectors.map(|selector| Manifest::new(Fact::PeerAuthentication(new(selector))).into()).collect()
}
