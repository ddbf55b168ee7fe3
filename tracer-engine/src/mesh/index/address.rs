//! Who has an address, as of when. Addresses are reused: a pod that is gone stays as a tombstone, and a dial is
//! attributed to whoever had the address at that time.

use crate::mesh::attribution::{Attribution, PodIdentity, UnknownReason};
use crate::mesh::facts::{Node, Pod};
use crate::mesh::registry::RegistryService;
use crate::net::{Ktime, Name};
use ipnet::IpNet;
use rustc_hash::FxHashMap as HashMap;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a pod that is gone still answers for its address.
pub(super) const TOMBSTONE: Duration = Duration::from_mins(5);

/// How long istiod may wait before it pushes a change (`PILOT_DEBOUNCE_MAX`).
const PUSH: Duration = Duration::from_secs(10);

/// Who has an address.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Occupant<'a> {
    Pod(&'a Arc<Pod>),
    /// The last pod that had it is gone.
    Tombstone(&'a Arc<Pod>),
    Service(&'a Arc<RegistryService>),
    /// A node, and with it every pod in its network.
    Node(&'a Name),
    External,
    Unknown(UnknownReason),
}

#[derive(Default, Debug)]
pub(super) struct Addresses {
    tenancies: HashMap<IpAddr, SmallVec<[Tenancy; 1]>>,
    /// hostNetwork pods share their node's addresses.
    host_network: HashMap<IpAddr, SmallVec<[Arc<Pod>; 1]>>,
    /// They may dial from any address of their node, also from one that no object names, as a bridge's.
    host_network_by_uid: HashMap<Name, Arc<Pod>>,
    nodes: HashMap<IpAddr, Name>,
    pod_cidrs: HashMap<IpNet, Name>,
    /// How many pod CIDRs have this prefix length: all that a look-up must try.
    prefix_lengths: BTreeMap<u8, usize>,
}

/// A pod had an address from `from` until `until`.
#[derive(Debug)]
struct Tenancy {
    pod: Arc<Pod>,
    from: Ktime,
    until: Option<Ktime>,
}

impl Addresses {
    /// `pod` was told at `at`. What is told before the first sync was there before: since ever.
    pub(super) fn claim(&mut self, at: Ktime, pod: &Arc<Pod>, synced: bool) {
        if pod.host_network && !pod.gone {
            self.host_network_by_uid.insert(pod.uid.clone(), Arc::clone(pod));
        }
        for ip in pod.ips.iter().map(IpAddr::to_canonical) {
            if pod.host_network {
                self.host_network.entry(ip).or_default().push(Arc::clone(pod));
                continue;
            }
            let tenancies = self.tenancies.entry(ip).or_default();
            tenancies.retain(|t| t.until.is_none_or(|until| at.since(until) < TOMBSTONE));
            let until = pod.gone.then_some(at);
            if let Some(known) = tenancies.iter_mut().find(|t| t.pod.uid == pod.uid) {
                known.until = known.until.or(until);
                known.pod = Arc::clone(pod);
            } else {
                let from = if synced { at } else { Ktime(0) };
                tenancies.push(Tenancy { pod: Arc::clone(pod), from, until });
            }
        }
    }

    /// `pod` was deleted, or has these addresses no more.
    pub(super) fn release(&mut self, at: Ktime, pod: &Arc<Pod>, kept: &[IpAddr]) {
        for ip in pod.ips.iter().filter(|ip| !kept.contains(ip)).map(IpAddr::to_canonical) {
            for tenancy in self.tenancies.get_mut(&ip).into_iter().flatten().filter(|t| t.pod.uid == pod.uid) {
                tenancy.until.get_or_insert(at);
            }
        }
        if pod.host_network {
            self.host_network_by_uid.remove(&pod.uid);
        }
        for ip in pod.ips.iter().map(IpAddr::to_canonical) {
            if let Some(pods) = self.host_network.get_mut(&ip) {
                pods.retain(|known| known.uid != pod.uid);
                if pods.is_empty() {
                    self.host_network.remove(&ip);
                }
            }
        }
    }

    /// Forgets tombstones that are too old by `now`.
    pub(super) fn expire(&mut self, now: Ktime) {
        self.tenancies.retain(|_, tenancies| {
            tenancies.retain(|t| t.until.is_none_or(|until| now.since(until) < TOMBSTONE));
            !tenancies.is_empty()
        });
    }

    pub(super) fn add_node(&mut self, node: &Node) {
        for ip in &node.addresses {
            self.nodes.insert(ip.to_canonical(), node.name.clone());
        }
        for cidr in &node.pod_cidrs {
            if self.pod_cidrs.insert(cidr.trunc(), node.name.clone()).is_none() {
                *self.prefix_lengths.entry(cidr.prefix_len()).or_default() += 1;
            }
        }
    }

    pub(super) fn remove_node(&mut self, node: &Node) {
        for ip in &node.addresses {
            self.nodes.remove(&ip.to_canonical());
        }
        for cidr in &node.pod_cidrs {
            if self.pod_cidrs.remove(&cidr.trunc()).is_some() {
                let left = self.prefix_lengths.entry(cidr.prefix_len()).or_default();
                *left = left.saturating_sub(1);
                if *left == 0 {
                    self.prefix_lengths.remove(&cidr.prefix_len());
                }
            }
        }
    }

    /// The pod that had `ip` at `at`, or the last one that had it before.
    pub(super) fn tenant(&self, ip: IpAddr, at: Ktime) -> Option<Occupant<'_>> {
        let tenancies = self.tenancies.get(&ip)?;
        let mut held = tenancies.iter().filter(|t| t.from <= at && t.until.is_none_or(|until| at < until));
        match (held.next(), held.next()) {
            // Nearly always: and then the pod itself is not touched.
            (Some(only), None) => return Some(Occupant::Pod(&only.pod)),
            (Some(_), Some(_)) => return Some(rivals(tenancies, at)),
            (None, _) => {}
        }
        let ended = |t: &&Tenancy| t.until.is_some_and(|until| until <= at && at.since(until) < TOMBSTONE);
        if let Some(last) = tenancies.iter().filter(ended).max_by_key(|t| t.until) {
            return Some(Occupant::Tombstone(&last.pod));
        }
        // Its first bytes were on the wire before the API server told of it.
        tenancies.iter().filter(|t| t.from > at).min_by_key(|t| t.from).map(|t| Occupant::Pod(&t.pod))
    }

    /// The pod with this uid, if `ip` is or was its own, or if it is in its node's network.
    pub(super) fn pod_with_uid(&self, ip: IpAddr, uid: &Name) -> Option<&Arc<Pod>> {
        let mut tenancies = self.tenancies.get(&ip).into_iter().flatten();
        let tenant = tenancies.find(|t| t.pod.uid == *uid).map(|t| &t.pod);
        tenant.or_else(|| self.host_network_by_uid.get(uid))
    }

    /// Of an address that nobody was told to have at `at`: when the next one was told to have it.
    pub(super) fn told_after(&self, ip: IpAddr, at: Ktime) -> Option<Ktime> {
        let tenancies = self.tenancies.get(&ip)?;
        let held = tenancies.iter().any(|t| t.from <= at && t.until.is_none_or(|until| at < until));
        let next = || tenancies.iter().map(|t| t.from).filter(|from| *from > at).min();
        if held { None } else { next() }
    }

    /// Whether the pod that had `ip` at `at` was first told of so shortly before that a proxy may not know it yet.
    pub(super) fn is_new(&self, ip: IpAddr, at: Ktime) -> bool {
        let held = |t: &&Tenancy| t.until.is_none_or(|until| at < until);
        let tenancies = self.tenancies.get(&ip).into_iter().flatten().filter(held);
        let latest = tenancies.map(|t| t.from).max().unwrap_or_default();
        latest > Ktime(0) && at.since(latest) < PUSH
    }

    pub(super) fn node(&self, ip: IpAddr) -> Option<&Name> {
        self.nodes.get(&ip).or_else(|| Some(&self.host_network.get(&ip)?.first()?.node))
    }

    pub(super) fn in_pod_cidr(&self, ip: IpAddr) -> bool {
        self.node_of_pod_cidr(ip).is_some()
    }

    /// The node whose pods have addresses like this one.
    pub(super) fn node_of_pod_cidr(&self, ip: IpAddr) -> Option<&Name> {
        let mut longest_first = self.prefix_lengths.keys().rev();
        longest_first.find_map(|length| self.pod_cidrs.get(&IpNet::new(ip, *length).ok()?.trunc()))
    }
}

/// Of several that hold one address the last comer, and of those that were there before us the youngest.
fn rivals(tenancies: &[Tenancy], at: Ktime) -> Occupant<'_> {
    let held = || tenancies.iter().filter(|t| t.from <= at && t.until.is_none_or(|until| at < until));
    let rank = |t: &Tenancy| (t.from, t.pod.created);
    match held().max_by_key(|t| rank(t)) {
        Some(last) if held().filter(|t| rank(t) == rank(last)).count() == 1 => Occupant::Pod(&last.pod),
        _ => Occupant::Unknown(UnknownReason::AddressNotUnique),
    }
}

impl Occupant<'_> {
    pub fn attribution(&self) -> Attribution {
        match self {
            Occupant::Pod(pod) => Attribution::Pod(PodIdentity::of(pod)),
            Occupant::Tombstone(pod) => Attribution::Tombstone(PodIdentity::of(pod)),
            Occupant::Service(service) => Attribution::Service(service.key.clone()),
            Occupant::Node(name) => Attribution::Node(Name::clone(name)),
            Occupant::External => Attribution::External,
            Occupant::Unknown(reason) => Attribution::Unknown(*reason),
        }
    }
}
