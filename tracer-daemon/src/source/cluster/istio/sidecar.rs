//! Sidecar: what a workload's proxy sees and serves.

use super::{entry_port, outbound_policy};
use crate::source::cluster::object;
use crate::source::cluster::values::{Values, key, labels, names, some_name};
use std::net::IpAddr;
use tracer_engine::mesh::facts::{EgressListener, IngressListener, Sidecar};

pub(in crate::source::cluster) fn lower(of: &object::Sidecar, to: &mut Values) -> Sidecar {
    let object::Sidecar { metadata, spec } = of;
    let object::SidecarSpec { workload_selector, ingress, egress, outbound_traffic_policy } = spec;
    let ingress = ingress.iter().enumerate().filter_map(|(at, listener)| {
        let object::IngressListener { port, bind, default_endpoint } = listener;
        let port = entry_port(port, &format!("spec.ingress[{at}].port"), to)?;
        let bind = lower_bind(&format!("spec.ingress[{at}].bind"), bind, to);
        Some(IngressListener { port, default_endpoint: some_name(default_endpoint), bind })
    });
    let ingress = ingress.collect();
    let egress = egress.iter().enumerate().map(|(at, listener)| {
        let object::EgressListener { port, bind, hosts } = listener;
        let port = port.as_ref().and_then(|port| entry_port(port, &format!("spec.egress[{at}].port"), to));
        EgressListener { port, bind: lower_bind(&format!("spec.egress[{at}].bind"), bind, to), hosts: names(hosts) }
    });
    Sidecar {
        key: key(metadata),
        workload_selector: workload_selector.as_ref().map(|selector| labels(&selector.labels)),
        ingress,
        egress: egress.collect(),
        outbound: outbound_traffic_policy.as_ref().map(|policy| outbound_policy(&policy.mode, to)),
        created: to.created(metadata),
    }
}

/// A Unix socket is no address.
fn lower_bind(field: &str, text: &str, to: &mut Values) -> Option<IpAddr> {
    if text.is_empty() || text.starts_with("unix:") {
        return None;
    }
    to.ip(field, text)
}
