//! The call that is to be mended, and whom it concerns.

use crate::mesh::facts::{ObjectKey, Pod, Timestamp};
use crate::mesh::index::Index;
use crate::mesh::visibility::Scope;
use crate::net::Ktime;
use crate::walk::outcome::{Call, HopTarget, Outcome, Sends, Source};
use std::sync::Arc;

pub(super) struct Case<'a> {
    pub(super) index: &'a Index,
    pub(super) call: &'a Call,
    pub(super) outcome: &'a Outcome,
    pub(super) as_of: Ktime,
    pub(super) source: Option<&'a Arc<Pod>>,
    /// The live pod that was dialled.
    pub(super) dialled: Option<&'a Arc<Pod>>,
    /// The pod that the bytes get to, and the port there.
    pub(super) landed: Option<(&'a Arc<Pod>, u16)>,
}

/// A new object is younger than all others.
pub(super) const NEW: Timestamp = Timestamp(u32::MAX);

impl<'a> Case<'a> {
    pub(super) fn new(index: &'a Index, call: &'a Call, outcome: &'a Outcome, as_of: Ktime) -> Self {
        let source = match &call.from {
            Source::Pod(key) => index.pod(key),
            Source::Ip(ip) => index.pod_at(ip.to_canonical(), as_of),
        };
        let at = outcome.path.hop.as_ref().and_then(|hop| match &hop.to {
            HopTarget::Dialled(at) => Some(*at),
            HopTarget::OneOf(any) => any.first().copied(),
            HopTarget::Unknown => None,
        });
        Self {
            index,
            call,
            outcome,
            as_of,
            source,
            dialled: index.pod_at(call.to.ip, as_of),
            landed: at.and_then(|at| Some((index.pod_at(at.ip, as_of)?, at.port))),
        }
    }

    /// What the source's proxy sees; `None` where it has none.
    pub(super) fn scope(&self) -> Option<Scope<'a>> {
        self.source.map(|pod| Scope::of(self.index, pod, self.as_of))
    }

    pub(super) fn sends_http(&self) -> bool {
        matches!(self.call.sends, Sends::Http { .. })
    }
}

/// A name that an object of Kubernetes can have: of lower case letters, digits and dashes.
pub(super) fn named(namespace: &crate::net::Name, parts: &[&str]) -> ObjectKey {
    let spelled: String = parts.join("-").chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let spelled = spelled.to_ascii_lowercase();
    let begun = if spelled.starts_with(|c: char| c.is_ascii_lowercase()) { spelled } else { format!("s-{spelled}") };
    let cut: String = begun.chars().take(63).collect();
    ObjectKey { namespace: namespace.clone(), name: cut.trim_end_matches('-').into() }
}
