//! Who has an address, as of when. Addresses are reused: a pod that is gone stays as a tombstone, and a dial is
//! attributed to whoever had the address at that time.

use crate::mesh::facts::{Enrolment, Pod};
use crate::net::Ktime;
use crate::record::{Attribution, Mesh, PodIdentity, UnknownReason};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a pod that is gone still answers for its address.
pub(super) const TOMBSTONE: Duration = Duration::from_secs(300);

#[derive(Default)]
pub(super) struct Addresses {
    pods: HashMap<IpAddr, SmallVec<[Tenancy; 1]>>,
}

/// Who has an address.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Occupant<'a> {
    Pod(&'a Arc<Pod>),
    /// The last pod that had it is gone.
    Tombstone(&'a Arc<Pod>),
    Unknown(UnknownReason),
}

/// A pod had an address from `from` until `until`.
struct Tenancy {
    pod: Arc<Pod>,
    from: Ktime,
    until: Option<Ktime>,
}

impl Addresses {
    /// `pod` was told at `at`. What is told before the first sync was there before: since ever.
    pub(super) fn claim(&mut self, at: Ktime, pod: &Arc<Pod>, synced: bool) {
        if pod.host_network {
            return;
        }
        let from = if synced { at } else { Ktime(0) };
        for ip in &pod.ips {
            let tenancies = self.pods.entry(ip.to_canonical()).or_default();
            tenancies.retain(|t| t.until.is_none_or(|until| at.since(until) < TOMBSTONE));
            let until = pod.gone.then_some(at);
            match tenancies.iter_mut().find(|t| t.pod.uid == pod.uid) {
                Some(known) => {
                    known.until = known.until.or(until);
                    known.pod = Arc::clone(pod);
                }
                None => tenancies.push(Tenancy { pod: Arc::clone(pod), from, until }),
            }
        }
    }

    pub(super) fn release(&mut self, at: Ktime, pod: &Arc<Pod>) {
        for ip in &pod.ips {
            if let Some(tenancies) = self.pods.get_mut(&ip.to_canonical()) {
                for tenancy in tenancies.iter_mut().filter(|t| t.pod.uid == pod.uid) {
                    tenancy.until.get_or_insert(at);
                }
            }
        }
    }

    pub(super) fn occupant(&self, ip: IpAddr, at: Ktime) -> Occupant<'_> {
        let Some(tenancies) = self.pods.get(&ip) else { return Occupant::Unknown(UnknownReason::PodNotSeenYet) };
        match tenancies.iter().filter(|t| t.until.is_none_or(|until| at < until)).max_by_key(|t| t.from) {
            Some(tenancy) => Occupant::Pod(&tenancy.pod),
            None => match tenancies.iter().max_by_key(|t| t.until) {
                Some(tenancy) => Occupant::Tombstone(&tenancy.pod),
                None => Occupant::Unknown(UnknownReason::PodNotSeenYet),
            },
        }
    }
}

impl Occupant<'_> {
    pub fn attribution(&self) -> Attribution {
        match self {
            Occupant::Pod(pod) => Attribution::Pod(identity(pod)),
            Occupant::Tombstone(pod) => Attribution::Tombstone(identity(pod)),
            Occupant::Unknown(reason) => Attribution::Unknown(*reason),
        }
    }
}

fn identity(pod: &Pod) -> PodIdentity {
    let mesh = match pod.enrolment {
        Enrolment::Sidecar(_) => Mesh::Sidecar,
        Enrolment::Ambient => Mesh::Ambient,
        Enrolment::Gateway | Enrolment::None => Mesh::None,
    };
    PodIdentity { pod: pod.key.clone(), workload: pod.workload.clone(), mesh, node: pod.node.clone() }
}
