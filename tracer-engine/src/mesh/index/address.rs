//! Who has an address, as of when. Addresses are reused: a pod that is gone stays as a tombstone, and a dial is
//! attributed to whoever had the address at that time.

use super::by_ip::ByIp;
use super::occupant::Occupant;
use super::tenure::Tenure;
use crate::mesh::facts::{Node, Pod, Uid};
use crate::net::{Ktime, Name};
use ipnet::IpNet;
use rustc_hash::FxHashMap as HashMap;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long istiod may wait before it pushes a change (`PILOT_DEBOUNCE_MAX`).
const PUSH: Duration = Duration::from_secs(10);

#[derive(Default, Debug)]
pub(super) struct Addresses {
    tenures: ByIp<Tenure>,
    /// hostNetwork pods share their node's addresses.
    host_network: ByIp<SmallVec<[Arc<Pod>; 1]>>,
    /// They may dial from any address of their node, also from one that no object names, as a bridge's.
    host_network_by_uid: HashMap<Uid, Arc<Pod>>,
    nodes: ByIp<Name>,
    pod_cidrs: HashMap<IpNet, Name>,
    /// How many pod CIDRs have this prefix length: all that a look-up must try.
    prefix_lengths: BTreeMap<u8, usize>,
}

impl Addresses {
    /// `pod` was told at `at`. What is told before the first sync was there before: since ever.
    pub(super) fn claim(&mut self, at: Ktime, pod: &Arc<Pod>, synced: bool) {
        if pod.host_network && !pod.gone {
            self.host_network_by_uid.insert(pod.uid, Arc::clone(pod));
        }
        for ip in &pod.ips {
            if pod.host_network {
                self.host_network.or_default(*ip).push(Arc::clone(pod));
            } else {
                self.tenures.or_default(*ip).claim(at, if synced { at } else { Ktime(0) }, pod);
            }
        }
    }

    /// `pod` was deleted, or has these addresses no more.
    pub(super) fn release(&mut self, at: Ktime, pod: &Arc<Pod>, kept: &[IpAddr]) {
        for ip in pod.ips.iter().filter(|ip| !kept.contains(ip)) {
            if let Some(tenure) = self.tenures.get_mut(*ip) {
                tenure.release(at, pod.uid);
            }
        }
        if pod.host_network {
            self.host_network_by_uid.remove(&pod.uid);
        }
        for ip in &pod.ips {
            if let Some(pods) = self.host_network.get_mut(*ip) {
                pods.retain(|known| known.uid != pod.uid);
                if pods.is_empty() {
                    self.host_network.remove(*ip);
                }
            }
        }
    }

    /// Forgets tombstones that are too old by `now`.
    pub(super) fn expire(&mut self, now: Ktime) {
        self.tenures.retain(|tenure| tenure.expire(now));
    }

    pub(super) fn add_node(&mut self, node: &Node) {
        for ip in &node.addresses {
            self.nodes.insert(*ip, node.name.clone());
        }
        for cidr in &node.pod_cidrs {
            if self.pod_cidrs.insert(cidr.trunc(), node.name.clone()).is_none() {
                *self.prefix_lengths.entry(cidr.prefix_len()).or_default() += 1;
            }
        }
    }

    pub(super) fn remove_node(&mut self, node: &Node) {
        for ip in &node.addresses {
            self.nodes.remove(*ip);
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
        self.tenures.get(ip)?.at(at)
    }

    /// The pod with this uid, if `ip` is or was its own, or if it is in its node's network.
    pub(super) fn pod_with_uid(&self, ip: IpAddr, uid: Uid) -> Option<&Arc<Pod>> {
        let tenant = self.tenures.get(ip).and_then(|tenure| tenure.pod_with_uid(uid));
        tenant.or_else(|| self.host_network_by_uid.get(&uid))
    }

    /// Of an address that nobody was told to have at `at`: when the next one was told to have it.
    pub(super) fn told_after(&self, ip: IpAddr, at: Ktime) -> Option<Ktime> {
        self.tenures.get(ip)?.told_after(at)
    }

    /// Whether the pod that had `ip` at `at` was first told of so shortly before that a proxy may not know it yet.
    pub(super) fn is_new(&self, ip: IpAddr, at: Ktime) -> bool {
        let latest = self.tenures.get(ip).map(|tenure| tenure.latest(at)).unwrap_or_default();
        latest > Ktime(0) && at.since(latest) < PUSH
    }

    pub(super) fn node(&self, ip: IpAddr) -> Option<&Name> {
        self.nodes.get(ip).or_else(|| Some(&self.host_network.get(ip)?.first()?.node))
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
