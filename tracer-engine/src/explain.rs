//! `explain`'s answer as plain data: the verdict on a call, the steps that lead there, and what a person should know
//! beside it.

mod condition;
mod dialled;

use crate::classify::{chosen_service, foretold, party};
use crate::mesh::facts::{MtlsMode, ObjectKey};
use crate::mesh::index::Index;
use crate::net::{Endpoint, Ktime, Name};
use crate::record::{Attribution, FlowRecord, Party, PodIdentity, Walked};
use crate::verdict::{Causes, Reason, Security, Verdict};
use crate::walk;
use crate::walk::outcome::{Call, Caveat, Cluster, Hop, HopBytes, HopTarget, Outcome, Source, Step};
use std::net::IpAddr;

#[derive(Clone, PartialEq, Debug)]
pub struct Explanation {
    pub from: Caller,
    pub to: Party,
    /// What the dialled port enforces, where a proxy enforces anything.
    pub mtls: Option<MtlsMode>,
    pub verdict: Verdict,
    /// Of an undetermined call those that every way has in common.
    pub steps: Vec<Step>,
    /// Every end that is left, one a reason and causes.
    pub ways: Vec<Way>,
    pub caveats: Vec<Caveat>,
}

/// Who calls.
#[derive(Clone, PartialEq, Debug)]
pub struct Caller {
    /// `None`: the pod has none yet.
    pub ip: Option<IpAddr>,
    pub who: Attribution,
}

/// One end that the call can meet.
#[derive(Clone, PartialEq, Debug)]
pub struct Way {
    pub reason: Reason,
    pub causes: Causes,
    pub security: Security,
    /// What leads there, where something is open: any one of these.
    pub when: Vec<String>,
    /// After the shared ones.
    pub steps: Vec<Step>,
    /// Where it goes next; `None` where nothing goes on.
    pub hop: Option<Onward>,
}

/// The hop, and who is there.
#[derive(Clone, PartialEq, Debug)]
pub struct Onward {
    /// Of several the proxy picks one; of none nobody knows it (a DNS name).
    pub to: Vec<(Endpoint, Option<ObjectKey>)>,
    pub cluster: Option<Cluster>,
    /// Of mesh mutual TLS.
    pub sni: Option<Name>,
}

/// Why a call cannot be explained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unexplained {
    UnknownPod(ObjectKey),
}

/// How many conditions of one way are named: a port may have thousands of Hosts.
const CONDITIONS: usize = 8;

/// What Istio would do with this call, by the facts alone.
pub fn explain(index: &Index, call: &Call, as_of: Ktime) -> Result<Explanation, Unexplained> {
    let from = caller(index, &call.from, as_of)?;
    let outcomes = walk::explain(index, call, as_of);
    let verdict = foretold(index, call, as_of, &outcomes);
    let mut caveats = dialled::caveats(index, call, as_of);
    let (steps, ways) = ways(index, &verdict, call, &outcomes, as_of, &mut caveats);
    Ok(Explanation {
        from,
        to: party(call.to, index.occupant(call.to.ip, as_of), chosen_service(outcomes.iter())),
        mtls: dialled::mode(index, call.to, as_of),
        verdict,
        steps,
        ways,
        caveats,
    })
}

/// The way of a flow that was observed, by the facts of now. Where they lead elsewhere than they did then, a caveat
/// says so.
pub fn observed(index: &Index, flow: &FlowRecord) -> Explanation {
    let FlowRecord { client, server, verdict, walked: Walked { since, calls, ends }, .. } = flow;
    let (mut steps, mut all, mut caveats) = (Vec::new(), Vec::new(), Vec::new());
    let mut elsewhere = !ends.is_empty();
    for call in calls {
        let mut outcomes = walk::explain(index, call, *since);
        let left = |outcome: &Outcome| {
            ends.iter().any(|end| end.reason == outcome.reason && end.cause == outcome.causes.first().copied())
        };
        if outcomes.iter().any(left) {
            elsewhere = false;
            outcomes.retain(left);
        } else if calls.len() > 1 {
            continue;
        }
        caveats.extend(dialled::caveats(index, call, *since));
        let (shared, of_call) = ways(index, verdict, call, &outcomes, *since, &mut caveats);
        all.extend(of_call);
        steps = shared;
    }
    if elsewhere {
        let what = "the facts have changed since: the steps are those of now, and they end elsewhere";
        caveats.insert(0, Caveat::Missing(what.to_owned()));
    }
    Explanation {
        from: Caller { ip: Some(client.ip), who: client.who.clone() },
        to: server.clone(),
        mtls: dialled::mode(index, Endpoint::new(server.ip, server.port), *since),
        verdict: verdict.clone(),
        steps,
        ways: all,
        caveats,
    }
}

/// The steps that all ends share, and each end by its reason and causes. Of a verdict that is made the first end's
/// steps are all there is to say.
fn ways(
    index: &Index,
    verdict: &Verdict,
    call: &Call,
    outcomes: &[Outcome],
    as_of: Ktime,
    caveats: &mut Vec<Caveat>,
) -> (Vec<Step>, Vec<Way>) {
    let first = outcomes.first().map_or(&[][..], |outcome| &outcome.steps);
    let shared = if verdict.candidates.is_empty() { first.len() } else { shared_steps(outcomes) };
    let mut ways: Vec<Way> = Vec::new();
    for outcome in outcomes {
        for caveat in &outcome.caveats {
            if !caveats.contains(caveat) {
                caveats.push(caveat.clone());
            }
        }
        let when = (outcomes.len() > 1).then(|| condition::of(index, call, outcome, as_of));
        match ways.iter_mut().find(|way| way.reason == outcome.reason && way.causes == outcome.causes) {
            Some(way) => {
                way.when.extend(when.filter(|when| way.when.len() < CONDITIONS && !way.when.contains(when)));
                if way.security != outcome.security {
                    way.security = Security::Unknown;
                }
            }
            None => ways.push(Way {
                reason: outcome.reason,
                causes: outcome.causes.clone(),
                security: outcome.security,
                when: when.into_iter().collect(),
                steps: outcome.steps.get(shared..).unwrap_or_default().to_vec(),
                hop: outcome.path.hop.as_ref().map(|hop| Onward::new(index, hop, as_of)),
            }),
        }
    }
    (first[..shared].to_vec(), ways)
}

fn caller(index: &Index, from: &Source, as_of: Ktime) -> Result<Caller, Unexplained> {
    match from {
        Source::Ip(ip) => Ok(Caller { ip: Some(*ip), who: index.resolve(ip.to_canonical(), as_of) }),
        Source::Pod(key) => {
            let pod = index.pod(key).ok_or_else(|| Unexplained::UnknownPod(key.clone()))?;
            Ok(Caller { ip: pod.ips.first().copied(), who: Attribution::Pod(PodIdentity::of(pod)) })
        }
    }
}

/// How many steps all ends begin with.
fn shared_steps(outcomes: &[Outcome]) -> usize {
    let Some((first, others)) = outcomes.split_first() else { return 0 };
    let same = |other: &Outcome| first.steps.iter().zip(&other.steps).take_while(|(a, b)| a == b).count();
    others.iter().map(same).min().unwrap_or(first.steps.len())
}

impl std::fmt::Display for Unexplained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unexplained::UnknownPod(key) => write!(f, "pod {key} is not among the facts"),
        }
    }
}

impl Onward {
    fn new(index: &Index, hop: &Hop, as_of: Ktime) -> Self {
        let at: &[Endpoint] = match &hop.to {
            HopTarget::Dialled(at) => std::slice::from_ref(at),
            HopTarget::OneOf(any) => any,
            HopTarget::Unknown => &[],
        };
        let sni = match &hop.begins {
            HopBytes::MeshTls { sni, .. } => Some(sni.clone()),
            HopBytes::Tls | HopBytes::Hbone | HopBytes::AsSent => None,
        };
        Self {
            to: at.iter().map(|at| (*at, index.pod_at(at.ip, as_of).map(|pod| pod.key.clone()))).collect(),
            cluster: hop.cluster.clone(),
            sni,
        }
    }
}
