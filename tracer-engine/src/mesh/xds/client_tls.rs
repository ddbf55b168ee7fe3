//! S6: who encrypts the hop, and why.

use super::cluster::{ClusterOf, Unlabelled};
use crate::mesh::facts::{ClientTlsMode, Enrolment, MtlsMode, ObjectKey};
use crate::mesh::index::{EndpointName, Labelled, ServiceEndpoint};
use crate::mesh::policy::{Enforced, namespace_mode, port_mode, spelled};
use crate::mesh::visibility::Scope;
use smallvec::{SmallVec, smallvec};
use std::fmt;

/// How the proxy begins the hop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Begins {
    MeshTls,
    /// TLS without a mesh certificate.
    OneWayTls,
    /// By ztunnel, to podIP:15008.
    Hbone,
    AsSent,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct ClientTlsChoice<'a> {
    pub(crate) begins: Begins,
    pub(crate) because: Because<'a>,
    /// The mode of the Service's namespace, where the choice looked at it.
    pub(crate) namespace: Option<Enforced<'a>>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Because<'a> {
    DestinationRule(&'a ObjectKey),
    /// A ServiceEntry outside the mesh.
    External,
    AutoMtlsOff,
    /// The namespace's or mesh's mode is DISABLE.
    NamespaceDisable,
    /// An ORIGINAL_DST cluster without endpoints.
    NoEndpoints,
    /// One endpoint of the port bears no label, so none is dialled in mTLS.
    Mixed(EndpointName<'a>),
    /// The picked endpoint bears no label.
    EndpointWithoutLabel(EndpointName<'a>),
    /// The picked endpoint's own mode is DISABLE.
    EndpointDisable(Enforced<'a>),
    AutoMtls,
    /// The picked endpoint is in ambient mode.
    Ambient(EndpointName<'a>),
}

/// `buildUpstreamTLSSettings` and `BestEffortInferServiceMTLSMode`, for an ORIGINAL_DST cluster: by the namespace's mode
/// and the labels of all endpoints of the port. Two choices where an endpoint's label is not sure.
pub(crate) fn of_original_dst<'a>(scope: &Scope<'a>, cluster: &ClusterOf<'a>) -> SmallVec<[ClientTlsChoice<'a>; 2]> {
    if let Some(choice) = told(scope, cluster) {
        return smallvec![choice];
    }
    let own = Some(namespace_mode(scope.index, scope.mesh, &cluster.service.key.namespace));
    let plain = |because| ClientTlsChoice { begins: Begins::AsSent, because, namespace: own };
    let mutual = ClientTlsChoice { begins: Begins::MeshTls, because: Because::AutoMtls, namespace: own };
    let disabled = own.is_some_and(|own| own.mode == MtlsMode::Disable);
    let looked_at = cluster.service.resolution == crate::mesh::registry::Resolution::Passthrough
        || cluster.policy.is_some_and(|policy| policy.host_passthrough);
    match if looked_at { cluster.unlabelled(scope) } else { Unlabelled::None } {
        Unlabelled::NoEndpoints => smallvec![plain(Because::NoEndpoints)],
        Unlabelled::Named(name) => smallvec![plain(Because::Mixed(name))],
        _ if disabled => smallvec![plain(Because::NamespaceDisable)],
        Unlabelled::Unsure(name) => smallvec![mutual, plain(Because::Mixed(name))],
        Unlabelled::None => smallvec![mutual],
    }
}

/// The same for a cluster that picks its endpoint: `mtls_checker.go checkMtlsEnabled` can only switch mTLS off.
pub(crate) fn of_endpoint<'a>(
    scope: &Scope<'a>,
    cluster: &ClusterOf<'a>,
    endpoint: &ServiceEndpoint<'a>,
) -> SmallVec<[ClientTlsChoice<'a>; 2]> {
    if let Some(choice) = told(scope, cluster) {
        return smallvec![choice];
    }
    let own = namespace_mode(scope.index, scope.mesh, &cluster.service.key.namespace);
    let plain = |because| ClientTlsChoice { begins: Begins::AsSent, because, namespace: Some(own) };
    let mutual = ClientTlsChoice { begins: Begins::MeshTls, because: Because::AutoMtls, namespace: Some(own) };
    if own.mode == MtlsMode::Disable {
        return smallvec![plain(Because::NamespaceDisable)];
    }
    let marked = cluster.policy.and_then(|policy| policy.endpoint_mode).zip(cluster.rule.as_ref());
    if let Some((_, rule)) = marked.filter(|(mode, _)| *mode != ClientTlsMode::IstioMutual) {
        return smallvec![plain(Because::DestinationRule(rule.key()))];
    }
    // `endpoint_builder.go supportTunnel`: any proxy of a mesh that has ambient pods sends to them by HBONE.
    if endpoint.pod.is_some_and(|pod| *pod.enrolment == Enrolment::Ambient && !pod.host_network) {
        let because = Because::Ambient(endpoint.name);
        return smallvec![ClientTlsChoice { begins: Begins::Hbone, because, namespace: Some(own) }];
    }
    let enforced = endpoint.labels.map(|labels| {
        let namespace = endpoint.pod.map_or(&cluster.service.key.namespace, |pod| &pod.key.namespace);
        port_mode(scope.index, scope.mesh, namespace, labels, endpoint.port)
    });
    match (endpoint.labelled, enforced) {
        (Labelled::No, _) => smallvec![plain(Because::EndpointWithoutLabel(endpoint.name))],
        (_, Some(mode)) if mode.mode == MtlsMode::Disable && marked.is_none() => {
            smallvec![plain(Because::EndpointDisable(mode))]
        }
        (Labelled::Unsure, _) => smallvec![mutual, plain(Because::EndpointWithoutLabel(endpoint.name))],
        (Labelled::Yes, _) => smallvec![mutual],
    }
}

/// The same where DNS knows the endpoints, and nobody their labels.
pub(crate) fn of_dns<'a>(scope: &Scope<'a>, cluster: &ClusterOf<'a>) -> ClientTlsChoice<'a> {
    told(scope, cluster).unwrap_or(ClientTlsChoice {
        begins: Begins::AsSent,
        because: Because::NoEndpoints,
        namespace: None,
    })
}

/// What is decided before any endpoint is looked at.
fn told<'a>(scope: &Scope<'a>, cluster: &ClusterOf<'a>) -> Option<ClientTlsChoice<'a>> {
    let choice = |begins, because| Some(ClientTlsChoice { begins, because, namespace: None });
    if let Some((tls, rule)) = cluster.policy.and_then(|policy| policy.tls).zip(cluster.rule.as_ref()) {
        let begins = match tls.mode {
            ClientTlsMode::Disable => Begins::AsSent,
            ClientTlsMode::Simple | ClientTlsMode::Mutual => Begins::OneWayTls,
            ClientTlsMode::IstioMutual => Begins::MeshTls,
        };
        return choice(begins, Because::DestinationRule(rule.key()));
    }
    if cluster.service.mesh_external {
        return choice(Begins::AsSent, Because::External);
    }
    if !scope.mesh.auto_mtls {
        return choice(Begins::AsSent, Because::AutoMtlsOff);
    }
    None
}

impl fmt::Display for ClientTlsChoice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.because {
            Because::DestinationRule(key) => write!(f, "DestinationRule {key}"),
            Because::External => f.write_str("ServiceEntry outside the mesh: no auto-mTLS"),
            Because::AutoMtlsOff => f.write_str("enableAutoMtls: false (mesh config)"),
            Because::NamespaceDisable => match self.namespace {
                Some(enforced) => write!(f, "{}: {}", enforced.by, spelled(enforced.mode)),
                None => f.write_str("DISABLE"),
            },
            Because::NoEndpoints => f.write_str("auto-mTLS: the Service has no endpoint on this port"),
            Because::Mixed(name) => {
                write!(f, "auto-mTLS: endpoint {name} of this port has no label security.istio.io/tlsMode")
            }
            Because::EndpointWithoutLabel(name) => {
                write!(f, "auto-mTLS: endpoint {name} has no label security.istio.io/tlsMode")
            }
            Because::EndpointDisable(enforced) => write!(f, "auto-mTLS: {}: {}", enforced.by, spelled(enforced.mode)),
            Because::Ambient(name) => write!(f, "endpoint {name} is in ambient mode"),
            Because::AutoMtls => f.write_str("auto-mTLS: every endpoint that counts has the label"),
        }
    }
}
