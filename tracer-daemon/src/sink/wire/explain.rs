//! From the engine's explanation to the public answer.

use super::answer::{Answer, Caller, Dialled, Hop, HopTo, Patched, Step, Way};
use super::manifest;
use super::{Code, Evidence, Origin, Server, VERSION};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use tracer_engine::explain::{self, Explanation};
use tracer_engine::mesh::facts::ObjectKey;
use tracer_engine::mesh::policy::spelled;
use tracer_engine::net::Endpoint;
use tracer_engine::record::{FlowRecord, Party};
use tracer_engine::remedy::Patch;
use tracer_engine::verdict::{Text, Verdict};
use tracer_engine::walk::outcome;

impl Answer {
    pub fn new(explanation: &Explanation) -> Self {
        let Explanation { from, to, mtls, verdict, steps, ways, caveats } = explanation;
        let Text { explanation, remedy, promise: _ } = verdict.text();
        let Verdict { class, reason, causes: _, kernel: _, security, basis, candidates } = verdict;
        let causes: Vec<Code> = verdict.spelled_causes().map(|cause| Code::Owned(cause.to_owned())).collect();
        let open = if candidates.is_empty() { &[] } else { &ways[..] };
        Self {
            version: Code::Borrowed(VERSION),
            id: Value::Null,
            class: class.code().into(),
            reason: reason.map(|reason| reason.code().into()),
            cause: causes.first().cloned(),
            causes,
            security: security.code().into(),
            basis: basis.code().into(),
            from: from.into(),
            to: Dialled { server: Server::from(to), mtls: mtls.map(|mode| spelled(mode).into()) },
            hop: if open.is_empty() { ways.first().and_then(|way| way.hop.as_ref()).map(Hop::from) } else { None },
            candidates: open.iter().map(Way::from).collect(),
            steps: steps.iter().map(Step::from).collect(),
            evidence: Vec::new(),
            caveats: caveats.iter().map(ToString::to_string).collect(),
            explanation: explanation.to_owned(),
            remedy: remedy.to_owned(),
            patch: None,
            patched: None,
            ignored: Vec::new(),
        }
    }

    /// What a person can apply.
    pub fn mend(&mut self, patch: Option<&Patch>) {
        self.patch = patch.map(|patch| manifest::yaml(&patch.manifests));
        self.patched = patch.map(|Patch { manifests: _, then }| Patched {
            class: then.class.code().into(),
            reason: then.reason.map(|reason| reason.code().into()),
            security: then.security.code().into(),
        });
    }

    /// Of a flow that was observed: what was seen stands beside the steps.
    pub fn of_flow(explanation: &Explanation, flow: &FlowRecord, origin: &Origin) -> Self {
        Self {
            id: Value::String(origin.spell(flow.id)),
            evidence: flow.evidence.iter().map(Evidence::from).collect(),
            ..Self::new(explanation)
        }
    }
}

impl From<&explain::Caller> for Caller {
    fn from(explain::Caller { ip, who }: &explain::Caller) -> Self {
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let party = Party { ip: ip.unwrap_or(nowhere), port: 0, who: who.clone(), service: None };
        let of = Server::from(&party);
        Self {
            ip: *ip,
            namespace: of.namespace,
            pod: of.pod,
            pod_unknown: of.pod_unknown,
            workload: of.workload,
            workload_kind: of.workload_kind,
            mesh: of.mesh,
        }
    }
}

impl From<&explain::Way> for Way {
    fn from(explain::Way { reason, causes, security, when, steps, hop }: &explain::Way) -> Self {
        Self {
            class: reason.class().code().into(),
            reason: reason.code().into(),
            cause: causes.first().map(|cause| cause.code().into()),
            security: security.code().into(),
            when: when.clone(),
            hop: hop.as_ref().map(Hop::from),
            steps: steps.iter().map(Step::from).collect(),
        }
    }
}

impl From<&outcome::Step> for Step {
    fn from(outcome::Step { at, says, because }: &outcome::Step) -> Self {
        Self { at: at.code().into(), says: says.clone(), because: because.clone() }
    }
}

impl From<&explain::Onward> for Hop {
    fn from(explain::Onward { to, cluster, sni }: &explain::Onward) -> Self {
        let place = |(at, pod): &(Endpoint, Option<ObjectKey>)| HopTo {
            address: at.to_string(),
            pod: pod.as_ref().map(ToString::to_string),
        };
        Self {
            to: to.iter().map(place).collect(),
            sni: sni.clone(),
            cluster: cluster.as_ref().map(ToString::to_string),
        }
    }
}
