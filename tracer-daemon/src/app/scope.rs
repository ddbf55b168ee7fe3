//! Which sockets are traced: those with a pod at either end, unless everything is.

use crate::config::ScopeConfig;
use ipnet::IpNet;
use std::collections::HashSet;
use std::net::IpAddr;
use tracer_engine::mesh::facts::{Delta, Fact, Node, Pod};
use tracer_engine::net::Name;
use tracer_engine::socket::Socket;

#[derive(Debug)]
pub(super) enum Scope {
    All,
    /// As `--pod-cidr` has it.
    Given(Vec<IpNet>),
    /// As the facts have it. Nothing known of this node: all.
    Learnt {
        node: Name,
        ranges: Vec<IpNet>,
        /// A pod that is gone stays: calls to its address are what is asked about.
        pods: HashSet<IpAddr>,
    },
}

impl Scope {
    pub(super) fn new(config: ScopeConfig, node: Name) -> Self {
        match config {
            ScopeConfig::All => Self::All,
            ScopeConfig::Pods(ranges) if ranges.is_empty() => {
                Self::Learnt { node, ranges: Vec::new(), pods: HashSet::new() }
            }
            ScopeConfig::Pods(ranges) => Self::Given(ranges),
        }
    }

    pub(super) fn learn(&mut self, delta: &Delta) {
        let Self::Learnt { node: ours, ranges, pods } = self else { return };
        let Delta::Upsert(fact) = delta else { return };
        match &**fact {
            Fact::Node(Node { name, pod_cidrs, .. }) if name == ours => *ranges = pod_cidrs.to_vec(),
            Fact::Pod(Pod { node, ips, host_network: false, .. }) if node == ours => pods.extend(ips.iter().copied()),
            _ => {}
        }
    }

    pub(super) fn covers(&self, socket: &Socket) -> bool {
        let ends = [socket.local.ip, socket.remote.ip];
        match self {
            Self::All => true,
            Self::Given(ranges) => ends.iter().any(|ip| within(ranges, ip)),
            Self::Learnt { ranges, pods, .. } if ranges.is_empty() && pods.is_empty() => true,
            Self::Learnt { ranges, pods, .. } => ends.iter().any(|ip| pods.contains(ip) || within(ranges, ip)),
        }
    }
}

fn within(ranges: &[IpNet], ip: &IpAddr) -> bool {
    ranges.iter().any(|range| range.contains(ip))
}
