//! PeerAuthentication and AuthorizationPolicy.

use crate::source::cluster::object;
use crate::source::cluster::values::{Values, key, labels};
use tracer_engine::mesh::facts::{AuthorizationPolicy, MtlsMode, PeerAuthentication};

pub(in crate::source::cluster) fn peer_authentication(
    of: &object::PeerAuthentication,
    to: &mut Values,
) -> PeerAuthentication {
    let object::PeerAuthentication { metadata, spec } = of;
    let object::PeerAuthenticationSpec { selector, mtls, port_level_mtls } = spec;
    let port_level = port_level_mtls.iter().filter_map(|(port, mtls)| {
        let mode = mode(&format!("spec.portLevelMtls[{port}].mode"), mtls, to);
        Some((to.port_text("spec.portLevelMtls", port)?, mode))
    });
    PeerAuthentication {
        key: key(metadata),
        port_level: port_level.collect(),
        selector: selector.as_ref().map(|selector| labels(&selector.match_labels)),
        mode: mode("spec.mtls.mode", mtls, to),
        created: to.created(metadata),
    }
}

/// Where it selects by `targetRefs` it is for a waypoint or a gateway, never for a pod's own proxy.
pub(in crate::source::cluster) fn authorization_policy(
    of: &object::AuthorizationPolicy,
) -> Option<AuthorizationPolicy> {
    let object::AuthorizationPolicy { metadata, spec } = of;
    let object::AuthorizationPolicySpec { selector, target_ref, target_refs } = spec;
    if target_ref.is_some() || !target_refs.is_empty() {
        return None;
    }
    Some(AuthorizationPolicy {
        key: key(metadata),
        selector: selector.as_ref().map(|selector| labels(&selector.match_labels)),
    })
}

fn mode(field: &str, of: &object::MutualTls, to: &mut Values) -> MtlsMode {
    let known = [
        ("", MtlsMode::Unset),
        ("UNSET", MtlsMode::Unset),
        ("DISABLE", MtlsMode::Disable),
        ("PERMISSIVE", MtlsMode::Permissive),
        ("STRICT", MtlsMode::Strict),
    ];
    to.one_of(field, &of.mode, &known).unwrap_or(MtlsMode::Unset)
}
