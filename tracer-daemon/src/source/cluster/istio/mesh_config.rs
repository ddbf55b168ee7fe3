//! ConfigMap `istio` or `istio-<rev>`, key `mesh`, with Istio's defaults for what is left out.

use super::outbound_policy;
use crate::source::cluster::object::{self, ConfigMap, Mesh};
use crate::source::cluster::values::{Values, export_to, name, names};
use std::time::Duration;
use tracer_engine::mesh::facts::{ExportTo, MeshConfig, OutboundPolicy};
use tracer_engine::net::Name;

/// `None`: a ConfigMap of Istio's that holds no mesh configuration (`istio-ca-root-cert`, `istio-sidecar-injector`).
pub(in crate::source::cluster) fn lower(of: &ConfigMap, revision: &Name, to: &mut Values) -> Option<MeshConfig> {
    let ConfigMap { metadata: _, data } = of;
    let Mesh(config) = data.mesh.as_ref()?;
    let object::MeshConfig {
        root_namespace,
        outbound_traffic_policy,
        enable_auto_mtls,
        trust_domain,
        trust_domain_aliases,
        default_service_export_to,
        default_virtual_service_export_to,
        default_destination_rule_export_to,
        discovery_selectors,
        protocol_detection_timeout,
    } = config;
    let exported = |to: &[String]| export_to(to.iter().map(String::as_str), ".").unwrap_or(ExportTo::All);
    let selectors = discovery_selectors.iter().enumerate();
    Some(MeshConfig {
        revision: revision.clone(),
        root_namespace: or(root_namespace, "istio-system"),
        // Unlike in a Sidecar, the mesh's policy is merged over a default that has the mode.
        outbound: match outbound_traffic_policy.as_ref().map(|policy| &*policy.mode) {
            None | Some("") => OutboundPolicy::AllowAny,
            Some(mode) => outbound_policy(mode, to),
        },
        auto_mtls: enable_auto_mtls.unwrap_or(true),
        trust_domain: or(trust_domain, "cluster.local"),
        trust_domain_aliases: names(trust_domain_aliases),
        default_service_export_to: exported(default_service_export_to),
        default_virtual_service_export_to: exported(default_virtual_service_export_to),
        default_destination_rule_export_to: exported(default_destination_rule_export_to),
        discovery_selectors: selectors.map(|(at, s)| to.selector(&format!("discoverySelectors[{at}]"), s)).collect(),
        protocol_detection_timeout: timeout(protocol_detection_timeout, to),
    })
}

fn or(text: &str, default: &str) -> Name {
    name(if text.is_empty() { default } else { text })
}

fn timeout(text: &str, to: &mut Values) -> Duration {
    if text.is_empty() {
        return Duration::ZERO;
    }
    let read = text.parse::<jiff::SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    read.unwrap_or_else(|| {
        to.bad("protocolDetectionTimeout", text, "is no duration such as 5s or 100ms");
        Duration::ZERO
    })
}
