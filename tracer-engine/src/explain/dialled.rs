//! What the dialled address enforces, and what the facts do not know of it.

use crate::mesh::facts::{Enrolment, Kind, MtlsMode, Pod};
use crate::mesh::index::{Index, Occupant};
use crate::mesh::policy::port_mode;
use crate::net::{Endpoint, Ktime};
use crate::record::UnknownReason;
use crate::walk::outcome::{Call, Caveat, Source};

/// The mode of the dialled port; behind a VIP that of its endpoints, where all agree.
pub(super) fn mode(index: &Index, to: Endpoint, as_of: Ktime) -> Option<MtlsMode> {
    match index.occupant(to.ip, as_of) {
        Occupant::Pod(pod) => of_pod(index, pod, to.port),
        Occupant::Service(service) => {
            let port = service.port(to.port)?;
            let endpoints = index.endpoints(service, port, as_of);
            let mut modes = endpoints.iter().map(|endpoint| of_pod(index, endpoint.pod?, endpoint.port));
            let first = modes.next()??;
            modes.all(|mode| mode == Some(first)).then_some(first)
        }
        _ => None,
    }
}

fn of_pod(index: &Index, pod: &Pod, port: u16) -> Option<MtlsMode> {
    let revision = match &*pod.enrolment {
        Enrolment::Sidecar(sidecar) => sidecar.revision.as_deref(),
        Enrolment::Ambient => None,
        Enrolment::Gateway | Enrolment::None => return None,
    };
    Some(port_mode(index, index.mesh_config(revision), &pod.key.namespace, &pod.labels, port).mode)
}

/// What the answer rests on that nobody has told.
pub(super) fn caveats(index: &Index, call: &Call, as_of: Ktime) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    if index.objects(Kind::MeshConfig) == 0 {
        let what = "no mesh configuration (ConfigMap istio) is among the facts: Istio's defaults are assumed";
        caveats.push(Caveat::Missing(what.to_owned()));
    }
    let source = match &call.from {
        Source::Pod(key) => index.pod(key),
        Source::Ip(ip) => index.pod_at(ip.to_canonical(), as_of),
    };
    let dialled = match index.occupant(call.to.ip, as_of) {
        Occupant::Pod(pod) => Some(pod),
        Occupant::Unknown(UnknownReason::AddressNotUnique) => {
            caveats.push(Caveat::Missing(format!(
                "more than one pod has {}: which one is meant is not known",
                call.to.ip
            )));
            None
        }
        Occupant::Unknown(_) => {
            caveats.push(Caveat::Missing(format!("{} is a pod's address, and no pod with it is known", call.to.ip)));
            None
        }
        _ => None,
    };
    for pod in source.into_iter().chain(dialled) {
        let Enrolment::Sidecar(sidecar) = &*pod.enrolment else { continue };
        let Some(revision) = sidecar.revision.as_deref().filter(|revision| *revision != "default") else { continue };
        if index.mesh_config(Some(revision)).revision != *revision {
            caveats.push(Caveat::Missing(format!(
                "no mesh configuration of revision {revision} (ConfigMap istio-{revision}), which {} belongs to, is among \
                 the facts: the default one is taken",
                pod.key
            )));
        }
    }
    caveats.dedup();
    caveats
}
