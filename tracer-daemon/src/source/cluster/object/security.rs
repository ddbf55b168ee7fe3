//! Istio's group `security.istio.io`.

use super::shape::{LabelSelector, Metadata, shapes};
use std::collections::BTreeMap;

shapes! {
    PeerAuthentication {
        metadata: Metadata,
        spec: PeerAuthenticationSpec,
    }
    PeerAuthenticationSpec {
        selector: Option<LabelSelector>,
        mtls: MutualTls,
        port_level_mtls: BTreeMap<String, MutualTls>,
    }
    MutualTls {
        mode: String,
    }

    AuthorizationPolicy {
        metadata: Metadata,
        spec: AuthorizationPolicySpec,
    }
    AuthorizationPolicySpec {
        selector: Option<LabelSelector>,
        target_ref: Option<PolicyTargetReference>,
        target_refs: Vec<PolicyTargetReference>,
    }
    PolicyTargetReference {
        kind: String,
        name: String,
    }
}
