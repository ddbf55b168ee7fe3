//! Which sockets are traced: those with a pod at either end, unless everything is. The probes ask the kernel's own copy of
//! this; here it is kept up to date.

use crate::config::ScopeConfig;
use crate::source::kernel;
use ipnet::IpNet;
use std::collections::VecDeque;
use std::time::Duration;
use tracer_engine::mesh::facts::{Delta, Fact, Kind, Node, ObjectKey, Pod};
use tracer_engine::net::{Ktime, Name};
use tracing::warn;

#[derive(Debug)]
pub(super) struct Scope {
    kernel: Option<kernel::Scope>,
    /// `None`: it is given, not learnt.
    node: Option<Name>,
    /// podCIDRs of this node.
    ranges: Vec<IpNet>,
    pods: Pods,
}

/// Pods of this node with addresses outside of its ranges.
#[derive(Debug, Default)]
struct Pods {
    known: Vec<(ObjectKey, Vec<IpNet>)>,
    /// A pod that is gone stays for a while: calls to its address are what is asked about.
    gone: VecDeque<(Ktime, Vec<IpNet>)>,
}

/// As long as its address answers as a tombstone.
const REMEMBERED: Duration = Duration::from_mins(5);

impl Scope {
    pub(super) fn new(config: &ScopeConfig, node: Name) -> Self {
        let learns = matches!(config, ScopeConfig::Pods(given) if given.is_empty());
        Self { kernel: None, node: learns.then_some(node), ranges: Vec::new(), pods: Pods::default() }
    }

    /// What is traced from the start; empty: everything.
    pub(super) fn first(config: &ScopeConfig, node: &Name, facts: &[&Delta]) -> Vec<IpNet> {
        match config {
            ScopeConfig::All => Vec::new(),
            ScopeConfig::Pods(given) if !given.is_empty() => given.clone(),
            ScopeConfig::Pods(_) => {
                let mut scope = Self::new(config, node.clone());
                for delta in facts {
                    scope.learn(Ktime(0), delta);
                }
                let pods = scope.pods.known.iter().flat_map(|(_, ips)| ips);
                scope.ranges.iter().chain(pods).copied().collect()
            }
        }
    }

    /// Tells the probes from now on.
    pub(super) fn attach(&mut self, kernel: Option<kernel::Scope>) {
        self.kernel = kernel;
    }

    pub(super) fn learn(&mut self, at: Ktime, delta: &Delta) {
        let Some(ours) = &self.node else { return };
        match delta {
            Delta::Upsert(fact) => match &**fact {
                Fact::Node(Node { name, pod_cidrs, .. }) if name == ours => self.move_to(pod_cidrs),
                Fact::Pod(Pod { key, node, ips, host_network: false, gone: false, .. }) if node == ours => {
                    let ips = ips.iter().copied().map(IpNet::from).filter(|ip| !covered(&self.ranges, ip)).collect();
                    self.replace(at, key, ips);
                }
                Fact::Pod(Pod { key, gone: true, .. }) => self.replace(at, key, Vec::new()),
                _ => {}
            },
            Delta::Remove(Kind::Pod, key) => self.replace(at, key, Vec::new()),
            Delta::Remove(..) | Delta::Synced(_) => {}
        }
    }

    /// Forgets pods that were gone for long by `now`.
    pub(super) fn expire(&mut self, now: Ktime) {
        while self.pods.gone.front().is_some_and(|(at, _)| now.since(*at) >= REMEMBERED) {
            let Some((_, ips)) = self.pods.gone.pop_front() else { return };
            let again = |ip: &IpNet| self.pods.known.iter().any(|(_, ips)| ips.contains(ip));
            let free: Vec<IpNet> = ips.into_iter().filter(|ip| !again(ip)).collect();
            self.tell(&[], &free);
        }
    }

    fn move_to(&mut self, ranges: &[IpNet]) {
        let before = std::mem::replace(&mut self.ranges, ranges.to_vec());
        let left: Vec<IpNet> = before.into_iter().filter(|range| !ranges.contains(range)).collect();
        self.tell(ranges, &left);
    }

    fn replace(&mut self, at: Ktime, key: &ObjectKey, ips: Vec<IpNet>) {
        let known = self.pods.known.iter().position(|(known, _)| known == key);
        let before = known.map(|index| self.pods.known.swap_remove(index).1).unwrap_or_default();
        let left: Vec<IpNet> = before.into_iter().filter(|ip| !ips.contains(ip)).collect();
        if !left.is_empty() {
            self.pods.gone.push_back((at, left));
        }
        if !ips.is_empty() {
            self.tell(&ips, &[]);
            self.pods.known.push((key.clone(), ips));
        }
    }

    /// What is new first: between the two the probes trace more, never less.
    fn tell(&mut self, new: &[IpNet], old: &[IpNet]) {
        let Some(kernel) = &mut self.kernel else { return };
        let added = new.iter().try_for_each(|range| kernel.add(*range));
        let told = added.and_then(|()| old.iter().try_for_each(|range| kernel.remove(*range)));
        if let Err(error) = told {
            warn!("the probes cannot be told whom to trace ({error}): some pods of this node may be missing");
        }
    }
}

fn covered(ranges: &[IpNet], ip: &IpNet) -> bool {
    ranges.iter().any(|range| range.contains(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(cidrs: &[&str]) -> Delta {
        let pod_cidrs = cidrs.iter().map(|cidr| cidr.parse().expect("a range")).collect();
        Delta::Upsert(Box::new(Fact::Node(Node { name: "n1".into(), addresses: [].into_iter().collect(), pod_cidrs })))
    }

    #[test]
    fn of_a_node_its_own_ranges() {
        let config = ScopeConfig::Pods(Vec::new());
        let first = Scope::first(&config, &"n1".into(), &[&node(&["10.244.1.0/24", "fd00::/64"])]);
        assert_eq!(first.len(), 2);
        assert_eq!(Scope::first(&config, &"n2".into(), &[&node(&["10.244.1.0/24"])]), []);
        assert_eq!(Scope::first(&ScopeConfig::All, &"n1".into(), &[&node(&["10.244.1.0/24"])]), []);
    }

    #[test]
    fn a_pod_that_is_gone_is_traced_a_while_longer() {
        let mut scope = Scope::new(&ScopeConfig::Pods(Vec::new()), "n1".into());
        let key = ObjectKey { namespace: "shop".into(), name: "web-0".into() };
        let ip: IpNet = "10.9.0.7/32".parse().expect("an address");
        scope.replace(Ktime(1), &key, vec![ip]);
        scope.learn(Ktime(2), &Delta::Remove(Kind::Pod, key));
        assert_eq!(scope.pods.gone.len(), 1);
        scope.expire(Ktime(3));
        assert_eq!(scope.pods.gone.len(), 1);
        scope.expire(Ktime(2) + REMEMBERED);
        assert!(scope.pods.gone.is_empty() && scope.pods.known.is_empty());
    }
}
