//! Pod: who has an address, and how far the mesh has it.

use super::{capture, workload};
use crate::source::cluster::object::{self, Container, Metadata, PodSpec, PodStatus};
use crate::source::cluster::values::{Values, key, labels, name, some_name};
use std::sync::Arc;
use tracer_engine::mesh::facts::{Enrolment, Ips, Pod, SidecarProxy, Uid};
use tracer_engine::net::Name;

/// Written by the injector when it injects: containers, volumes and the revision, as JSON.
const STATUS: &str = "sidecar.istio.io/status";
/// The uid of a static pod, as its kubelet knows it and names its cgroup: the API server's own is of its mirror.
const STATIC: &str = "kubernetes.io/config.hash";

pub(super) fn lower(pod: &object::Pod, to: &mut Values) -> Pod {
    let object::Pod { metadata, spec, status } = pod;
    let label = |key: &str| metadata.labels.get(key).map(String::as_str);
    Pod {
        key: key(metadata),
        uid: Uid::from(metadata.annotations.get(STATIC).unwrap_or(&metadata.uid)),
        created: to.created(metadata),
        gone: matches!(&*status.phase, "Failed" | "Succeeded"),
        ready: status.conditions.iter().any(|condition| condition.r#type == "Ready" && condition.status == "True"),
        ips: ips(status, to),
        node: name(&spec.node_name),
        host_network: spec.host_network,
        service_account: name(if spec.service_account_name.is_empty() {
            "default"
        } else {
            &spec.service_account_name
        }),
        labels: labels(&metadata.labels),
        workload: workload::of(metadata),
        enrolment: Arc::new(enrolment(metadata, spec, to)),
        tls_mode_istio: label("security.istio.io/tlsMode") == Some("istio"),
    }
}

/// A pod that is not scheduled yet has none.
fn ips(status: &PodStatus, to: &mut Values) -> Ips {
    let listed = status.pod_ips.iter().enumerate();
    if status.pod_ips.is_empty() && !status.pod_ip.is_empty() {
        return to.ip("status.podIP", &status.pod_ip).into_iter().collect();
    }
    listed.filter_map(|(at, of)| to.ip(&format!("status.podIPs[{at}].ip"), &of.ip)).collect()
}

/// What is, not what was asked for: the labels and the namespace that ask for injection say nothing about a pod that
/// was there before them.
fn enrolment(metadata: &Metadata, spec: &PodSpec, to: &mut Values) -> Enrolment {
    if spec.host_network {
        return Enrolment::None;
    }
    let containers = || spec.init_containers.iter().chain(&spec.containers);
    let proxy = containers().find(|container| container.name == Container::PROXY);
    let annotations = &metadata.annotations;
    let (Some(proxy), Some(status)) = (proxy, annotations.get(STATUS)) else {
        return match annotations.get("ambient.istio.io/redirection") {
            Some("enabled") => Enrolment::Ambient,
            _ => Enrolment::None,
        };
    };
    let told = containers().find(|container| Container::CAPTURE.contains(&&*container.name));
    let templates = annotations.get("inject.istio.io/templates").unwrap_or_default();
    if templates.split(',').any(|template| template.trim() == "gateway") {
        return Enrolment::Gateway;
    }
    let unasked = annotations.get("sidecar.istio.io/interceptionMode") == Some("NONE");
    if told.is_none() && !unasked {
        return Enrolment::Gateway;
    }
    Enrolment::Sidecar(SidecarProxy {
        version: proxy.image.as_deref().and_then(tag),
        revision: revision(status, to),
        capture: capture::lower(told.map(|container| &*container.args).unwrap_or_default(), annotations, to),
    })
}

/// `registry:5000/istio/proxyv2:1.30.3@sha256:...` -> `1.30.3`
fn tag(image: &str) -> Option<Name> {
    let (image, _digest) = image.split_once('@').unwrap_or((image, ""));
    let last = image.rsplit_once('/').map_or(image, |(_, last)| last);
    some_name(last.split_once(':')?.1)
}

fn revision(status: &str, to: &mut Values) -> Option<Name> {
    #[derive(serde::Deserialize)]
    struct Status {
        revision: Option<String>,
    }

    let Ok(Status { revision }) = serde_json::from_str(status) else {
        to.bad(format!("metadata.annotations[{STATUS}]"), status, "is not the JSON that the injector writes");
        return None;
    };
    revision.as_deref().and_then(some_name)
}
