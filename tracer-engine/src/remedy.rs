//! What would mend a call: objects that a person can apply. Each proposal is tried on the facts first, so that none is
//! given that does not keep what its remedy promises.

mod case;
mod entry;
mod exception;
mod headless;
mod label;
mod rename;
mod rule;
mod selector;
mod slices;
mod visibility;

use crate::classify::predict;
use crate::mesh::facts::{ClientTlsMode, Fact, MtlsMode};
use crate::mesh::index::Index;
use crate::net::Ktime;
use crate::verdict::{Cause, Class, Promise, Reason, Security, Verdict};
use crate::walk::outcome::Call;
use crate::walk::walk;
use case::Case;
use rename::Speaks;

/// Objects to apply, and what they do to the call.
#[derive(Clone, PartialEq, Debug)]
pub struct Patch {
    pub manifests: Vec<Manifest>,
    /// What the call comes to with them.
    pub then: Verdict,
}

/// One object as it should be.
#[derive(Clone, PartialEq, Debug)]
pub struct Manifest {
    pub fact: Fact,
    /// It is there already: of what it says, only what the remedy is about is to be written.
    pub amends: bool,
}

/// A way to mend the call, not yet tried. `slices`: what the endpoint controller makes of it.
#[derive(Clone, Debug, Default)]
struct Proposal {
    manifests: Vec<Manifest>,
    slices: Vec<Fact>,
}

/// The first proposal that keeps the promise of the remedy for `verdict`, which this call came to. The facts are as they
/// were afterwards.
pub fn patch(index: &mut Index, call: &Call, verdict: &Verdict, as_of: Ktime) -> Option<Patch> {
    let promise = verdict.text().promise;
    if promise == Promise::Nothing {
        return None;
    }
    let outcomes = walk(index, call, as_of);
    // What was seen may differ from what the facts of now say: then they cannot say what would mend it either.
    let outcome = outcomes.first().filter(|first| Some(first.reason) == verdict.reason)?;
    let proposals = proposals(&Case::new(index, call, outcome, as_of), verdict.cause());
    proposals.into_iter().find_map(|Proposal { manifests, slices }| {
        let facts: Vec<Fact> = manifests.iter().map(|manifest| manifest.fact.clone()).chain(slices).collect();
        let then = index.trial(as_of, &facts, |index| predict(index, call, as_of));
        keeps(promise, &then).then_some(Patch { manifests, then })
    })
}

fn keeps(promise: Promise, then: &Verdict) -> bool {
    let through = !matches!(then.class, Class::Rejected | Class::Undetermined);
    match promise {
        Promise::Nothing => false,
        Promise::Through => through,
        Promise::Mutual => through && then.security == Security::MutualTls,
    }
}

/// What the remedy of this verdict may be put into, the best first.
fn proposals(case: &Case<'_>, cause: Option<Cause>) -> Vec<Proposal> {
    use Cause as C;
    use Reason as R;
    let declared = |case: &Case<'_>| {
        let renamed = rename::own_http_port(case);
        renamed.into_iter().chain(headless::declare(case)).chain(entry::declare(case)).collect()
    };
    match (case.outcome.reason, cause) {
        (_, Some(C::MixedHeadlessEndpoints | C::EndpointWithoutLabel)) => label::set(case),
        (_, Some(C::LabelWithoutSidecar)) => label::take_off(case),
        (_, Some(C::ServiceNotVisible)) => visibility::show(case),
        (R::PlaintextToStrict, Some(C::WorkloadPolicyIgnoredByClient | C::AutoMtlsOff | C::DestinationRuleDisable))
        | (R::TlsWithoutMeshCertificate, Some(C::DestinationRule)) => rule::set(case, ClientTlsMode::IstioMutual),
        (R::MtlsNotTerminated, Some(C::InboundPortExcluded | C::DestinationRule)) => {
            rule::set(case, ClientTlsMode::Disable)
        }
        (R::TlsWithoutMeshCertificate, Some(C::AppTls)) => {
            headless::declare(case).into_iter().chain(exception::allow(case, MtlsMode::Permissive)).collect()
        }
        (R::AmbientPolicyDenied, _)
        | (R::MtlsNotTerminated, Some(C::WorkloadPolicyIgnoredByClient))
        | (
            R::PlaintextToStrict,
            None
            | Some(
                C::ProxyUid | C::SourcePortExcluded | C::SourceRangeExcluded | C::SourceNotInMesh | C::AmbientToSidecar,
            ),
        ) => exception::allow(case, MtlsMode::Permissive),
        (R::PlaintextToStrict | R::Passthrough | R::Blackhole | R::NoVirtualHost, _) => declared(case),
        (R::TlsToHttpPort, _) => rename::landed_port(case, Speaks::Tls),
        (R::NotHttpOnHttpPort, None) | (R::ServerFirstStall, Some(C::HttpCodec)) => {
            rename::landed_port(case, Speaks::Tcp)
        }
        (R::ServerFirstStall, Some(C::SourceSniffs)) => {
            rename::dialled_port(case).into_iter().chain(headless::declare(case)).collect()
        }
        (R::ServerFirstStall, Some(C::DestinationSniffs)) => {
            headless::declare(case).into_iter().chain(exception::allow(case, MtlsMode::Disable)).collect()
        }
        _ => Vec::new(),
    }
}

impl Manifest {
    fn new(fact: Fact) -> Self {
        Self { fact, amends: false }
    }

    fn amending(fact: Fact) -> Self {
        Self { fact, amends: true }
    }
}

impl From<Manifest> for Proposal {
    fn from(manifest: Manifest) -> Self {
        Self { manifests: vec![manifest], slices: Vec::new() }
    }
}
