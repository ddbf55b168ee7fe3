//! PeerAuthentication: what a destination enforces, and what a client believes of a whole namespace.

use crate::mesh::facts::{Labels, MeshConfig, MtlsMode, ObjectKey, PeerAuthentication};
use crate::mesh::index::Index;
use crate::mesh::visibility::discovered;
use std::fmt;
use std::sync::Arc;

/// A mode and the policy that says so.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Enforced<'a> {
    /// Never `Unset`.
    pub mode: MtlsMode,
    pub by: EnforcedBy<'a>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum EnforcedBy<'a> {
    /// `portLevelMtls` of this policy.
    Port(&'a ObjectKey),
    Workload(&'a ObjectKey),
    Namespace(&'a ObjectKey),
    Mesh(&'a ObjectKey),
    /// No policy: PERMISSIVE.
    Default,
}

/// `model/authentication.go GetNamespaceMutualTLSMode`: all that a client goes by.
pub fn namespace_mode<'a>(index: &'a Index, mesh: &MeshConfig, namespace: &str) -> Enforced<'a> {
    let of_mesh = match widest(index, mesh, &mesh.root_namespace) {
        Some(policy) => {
            let mode = if policy.mode == MtlsMode::Unset { MtlsMode::Permissive } else { policy.mode };
            Enforced { mode, by: EnforcedBy::Mesh(&policy.key) }
        }
        None => Enforced { mode: MtlsMode::Permissive, by: EnforcedBy::Default },
    };
    match widest(index, mesh, namespace) {
        Some(policy) if namespace != &*mesh.root_namespace && policy.mode != MtlsMode::Unset => {
            Enforced { mode: policy.mode, by: EnforcedBy::Namespace(&policy.key) }
        }
        _ => of_mesh,
    }
}

/// `authn/policy_applier.go ComposePeerAuthentication`: what a workload enforces on one of its ports. Its own policy is
/// the oldest that selects it; one in the root namespace selects nobody.
pub fn port_mode<'a>(index: &'a Index, mesh: &MeshConfig, namespace: &str, labels: &Labels, port: u16) -> Enforced<'a> {
    let inherited = namespace_mode(index, mesh, namespace);
    if namespace == &*mesh.root_namespace {
        return inherited;
    }
    let selects = |policy: &&Arc<PeerAuthentication>| {
        policy.selector.as_ref().is_some_and(|selector| !selector.is_empty() && selector.selects(labels))
    };
    let Some(own) = policies(index, mesh, namespace).iter().find(selects) else { return inherited };
    let of_workload = match own.mode {
        MtlsMode::Unset => inherited,
        mode => Enforced { mode, by: EnforcedBy::Workload(&own.key) },
    };
    match own.port_level.iter().find(|(number, _)| *number == port) {
        Some((_, mode)) if *mode != MtlsMode::Unset => Enforced { mode: *mode, by: EnforcedBy::Port(&own.key) },
        _ => of_workload,
    }
}

/// The oldest policy without a selector.
fn widest<'a>(index: &'a Index, mesh: &MeshConfig, namespace: &str) -> Option<&'a PeerAuthentication> {
    let unselective = |policy: &&Arc<PeerAuthentication>| policy.selector.as_ref().is_none_or(Labels::is_empty);
    policies(index, mesh, namespace).iter().find(unselective).map(AsRef::as_ref)
}

fn policies<'a>(index: &'a Index, mesh: &MeshConfig, namespace: &str) -> &'a [Arc<PeerAuthentication>] {
    if discovered(index, mesh, namespace) { index.peer_authentications(namespace) } else { &[] }
}

impl fmt::Display for EnforcedBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnforcedBy::Port(key) => write!(f, "portLevelMtls of PeerAuthentication {key}"),
            EnforcedBy::Workload(key) | EnforcedBy::Namespace(key) | EnforcedBy::Mesh(key) => {
                write!(f, "PeerAuthentication {key}")
            }
            EnforcedBy::Default => f.write_str("no PeerAuthentication: PERMISSIVE"),
        }
    }
}

/// As Istio spells it.
pub fn spelled(mode: MtlsMode) -> &'static str {
    match mode {
        MtlsMode::Unset => "UNSET",
        MtlsMode::Disable => "DISABLE",
        MtlsMode::Permissive => "PERMISSIVE",
        MtlsMode::Strict => "STRICT",
    }
}
