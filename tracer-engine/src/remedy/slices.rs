//! What Kubernetes' endpoint controller makes of a Service that is to be applied.

use super::case::Case;
use crate::mesh::facts::{EndpointSlice, Fact, ObjectKey, Service, SliceEndpoint, SlicePort, TargetPort};

/// The slices of a Service that was there before as `old`: the same endpoints, under its new ports.
pub(super) fn of_amended(case: &Case<'_>, old: &Service, new: &Service) -> Vec<Fact> {
    let slices = case.index.slices_of(&old.key);
    slices
        .into_iter()
        .map(|slice| {
            let ports = new.ports.iter().filter_map(|port| {
                let was = old.ports.iter().find(|was| was.port == port.port && was.transport == port.transport);
                let known = was.and_then(|was| slice.ports.iter().find(|known| known.name == was.name));
                let number = match (known, &port.target) {
                    (Some(known), _) => known.port,
                    (None, TargetPort::Number(number)) => Some(*number),
                    (None, TargetPort::Name(_)) => return None,
                };
                Some(SlicePort { name: port.name.clone(), port: number, transport: port.transport })
            });
            Fact::EndpointSlice(EndpointSlice { ports: ports.collect(), ..EndpointSlice::clone(slice) })
        })
        .collect()
}

/// Those of one that is new: every live pod that it selects.
pub(super) fn of_new(case: &Case<'_>, service: &Service) -> Vec<Fact> {
    let selected = case.index.pods_in(&service.key.namespace);
    let selected = selected.filter(|pod| !pod.gone && service.selector.selects(&pod.labels));
    let endpoints = selected.filter_map(|pod| {
        Some(SliceEndpoint { address: *pod.ips.first()?, ready: pod.ready, pod: Some(pod.key.name.clone()) })
    });
    let ports = service.ports.iter().filter_map(|port| match port.target {
        TargetPort::Number(number) => {
            Some(SlicePort { name: port.name.clone(), port: Some(number), transport: port.transport })
        }
        TargetPort::Name(_) => None,
    });
    vec![Fact::EndpointSlice(EndpointSlice {
        key: ObjectKey {
            namespace: service.key.namespace.clone(),
            name: format!("{}-remedy", service.key.name).into(),
        },
        service: Some(service.key.name.clone()),
        endpoints: endpoints.collect(),
        ports: ports.collect(),
    })]
}
