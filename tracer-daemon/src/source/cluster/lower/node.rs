//! Node: whose addresses are a node's, and which ranges are its pods'.

use crate::source::cluster::object;
use crate::source::cluster::values::{Values, name};
use smallvec::SmallVec;
use tracer_engine::mesh::facts::Node;

pub(super) fn lower(node: &object::Node, to: &mut Values) -> Node {
    let object::Node { metadata, spec, status } = node;
    let addresses = status.addresses.iter().enumerate().filter(|(_, of)| of.r#type.ends_with("IP"));
    let addresses: SmallVec<_> =
        addresses.filter_map(|(at, of)| to.ip(&format!("status.addresses[{at}].address"), &of.address)).collect();
    let mut pod_cidrs: SmallVec<_> = spec
        .pod_cidrs
        .iter()
        .enumerate()
        .filter_map(|(at, cidr)| to.range(&format!("spec.podCIDRs[{at}]"), cidr))
        .collect();
    if spec.pod_cidrs.is_empty() && !spec.pod_cidr.is_empty() {
        pod_cidrs.extend(to.range("spec.podCIDR", &spec.pod_cidr));
    }
    Node { name: name(&metadata.name), addresses, pod_cidrs }
}
