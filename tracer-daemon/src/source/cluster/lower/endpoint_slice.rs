//! EndpointSlice: who stands behind a Service.

use crate::source::cluster::object;
use crate::source::cluster::values::{Values, key, name};
use tracer_engine::mesh::facts::{EndpointSlice, SliceEndpoint, SlicePort};

const SERVICE: &str = "kubernetes.io/service-name";

pub(super) fn lower(slice: &object::EndpointSlice, to: &mut Values) -> EndpointSlice {
    let object::EndpointSlice { metadata, address_type, endpoints, ports } = slice;
    // Names are resolved by nobody on the way to a pod's address: such a slice has no endpoints for us.
    let endpoints = if address_type == "FQDN" { &[][..] } else { endpoints };
    EndpointSlice {
        key: key(metadata),
        service: metadata.labels.get(SERVICE).map(|service| name(service)),
        endpoints: endpoints
            .iter()
            .enumerate()
            .flat_map(|(at, endpoint)| lower_endpoint(endpoint, at, &metadata.namespace, to))
            .collect(),
        ports: ports.iter().enumerate().filter_map(|(at, port)| lower_port(port, at, to)).collect(),
    }
}

fn lower_endpoint(of: &object::Endpoint, at: usize, namespace: &str, to: &mut Values) -> Vec<SliceEndpoint> {
    let object::Endpoint { addresses, conditions, target_ref } = of;
    // The API's own reading of what is left out.
    let ready = conditions.ready.unwrap_or(true);
    let pod = target_ref.as_ref().filter(|target| target.kind == "Pod");
    let pod = pod.map(|pod| match &*pod.namespace {
        own if own.is_empty() || own == namespace => name(&pod.name),
        other => format!("{other}/{}", pod.name).into(),
    });
    let addresses = addresses.iter().filter_map(|ip| to.ip(&format!("endpoints[{at}].addresses"), ip));
    addresses.map(|address| SliceEndpoint { address, ready, pod: pod.clone() }).collect()
}

fn lower_port(of: &object::EndpointPort, at: usize, to: &mut Values) -> Option<SlicePort> {
    let object::EndpointPort { name: port_name, port, protocol } = of;
    let transport = to.transport(&format!("ports[{at}].protocol"), protocol);
    let port = match port {
        None => None,
        Some(number) => Some(to.port(&format!("ports[{at}].port"), *number)?),
    };
    Some(SlicePort { name: name(port_name), port, transport })
}
