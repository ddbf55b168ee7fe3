//! Another TLS mode towards a host: a DestinationRule.

use super::case::{Case, NEW, named};
use super::{Manifest, Proposal};
use crate::mesh::capture;
use crate::mesh::facts::{ClientTls, ClientTlsMode, DestinationRule, Enrolment, Fact, MtlsMode, Pod, TrafficPolicy};
use crate::mesh::index::{Labelled, ServiceEndpoint};
use crate::mesh::policy::port_mode;
use crate::mesh::registry::{Port, RegistryService};
use crate::mesh::traffic_policy::Consolidated;
use crate::net::Name;
use std::sync::Arc;

/// In the rule that is there, and else in a new one beside the Service or the client. Only where no other endpoint of
/// the port would be cut off by it.
pub(super) fn set(case: &Case<'_>, mode: ClientTlsMode) -> Vec<Proposal> {
    let (Some(scope), Some(cluster)) =
        (case.scope(), case.outcome.path.hop.as_ref().and_then(|hop| hop.cluster.as_ref()))
    else {
        return Vec::new();
    };
    let services = case.index.services_named(&cluster.host);
    let Some(service) = services.iter().find(|service| scope.sees(service)) else { return Vec::new() };
    let Some(port) = service.port(cluster.port) else { return Vec::new() };
    if !suits_all(case, service, port, mode) {
        return Vec::new();
    }
    let tls = |mode| ClientTls { mode, sni: None, subject_alt_names: Vec::new() };
    if let Some(rules) = Consolidated::find(&scope, service) {
        let own = rules.of_host().filter(|rule| cluster.subset.is_none() && !names_port(rule, cluster.port));
        let Some(mut rule) = own.cloned() else { return Vec::new() };
        let policy = rule.traffic_policy.get_or_insert_with(TrafficPolicy::default);
        policy.tls = Some(ClientTls { mode, ..policy.tls.take().unwrap_or_else(|| tls(mode)) });
        return vec![Manifest::amending(Fact::DestinationRule(rule)).into()];
    }
    let by_port = TrafficPolicy { tls: Some(tls(mode)), ..TrafficPolicy::default() };
    let new = |namespace: &Name| DestinationRule {
        key: named(namespace, &[&service.key.name, "port", &cluster.port.to_string()]),
        created: NEW,
        host: service.hostname.clone(),
        export_to: None,
        workload_selector: None,
        traffic_policy: Some(TrafficPolicy {
            port_level: vec![(cluster.port, by_port.clone())],
            ..TrafficPolicy::default()
        }),
        subsets: Vec::new(),
    };
    let namespaces = [&service.key.namespace, &scope.proxy.key.namespace];
    namespaces.map(|namespace| Manifest::new(Fact::DestinationRule(new(namespace))).into()).into()
}

/// A list is replaced whole when it is applied, and of a rule's ports not all that they say is known here.
fn names_port(rule: &DestinationRule, port: u16) -> bool {
    rule.traffic_policy.iter().flat_map(|policy| &policy.port_level).any(|(number, _)| *number == port)
}

fn suits_all(case: &Case<'_>, service: &Arc<RegistryService>, port: &Port, mode: ClientTlsMode) -> bool {
    let endpoints = case.index.endpoints(service, port, case.as_of);
    endpoints.iter().all(|endpoint| match mode {
        ClientTlsMode::IstioMutual => endpoint.labelled == Labelled::Yes,
        _ => endpoint.pod.is_none_or(|pod| !demands_mtls(case, pod, endpoint)),
    })
}

fn demands_mtls(case: &Case<'_>, pod: &Pod, endpoint: &ServiceEndpoint<'_>) -> bool {
    let Enrolment::Sidecar(proxy) = &*pod.enrolment else { return false };
    let mesh = case.index.mesh_config(proxy.revision.as_deref());
    let mode = port_mode(case.index, mesh, &pod.key.namespace, &pod.labels, endpoint.port);
    capture::inbound(&proxy.capture, endpoint.port) && mode.mode == MtlsMode::Strict
}
