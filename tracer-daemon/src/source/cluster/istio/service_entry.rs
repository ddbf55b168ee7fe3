//! ServiceEntry: hosts that the mesh knows beyond its Services.

use super::entry_port;
use crate::source::cluster::object;
use crate::source::cluster::values::{Values, export_to, key, labels, name, names, some_name};
use tracer_engine::mesh::facts::{Location, Resolution, ServiceEntry, WorkloadEntry};

pub(in crate::source::cluster) fn lower(of: &object::ServiceEntry, to: &mut Values) -> ServiceEntry {
    let object::ServiceEntry { metadata, spec } = of;
    let resolutions = [
        ("", Resolution::None),
        ("NONE", Resolution::None),
        ("STATIC", Resolution::Static),
        ("DNS", Resolution::Dns),
        ("DNS_ROUND_ROBIN", Resolution::DnsRoundRobin),
        ("DYNAMIC_DNS", Resolution::DynamicDns),
    ];
    let locations = [
        ("", Location::MeshExternal),
        ("MESH_EXTERNAL", Location::MeshExternal),
        ("MESH_INTERNAL", Location::MeshInternal),
    ];
    let ports = spec.ports.iter().enumerate();
    let ports = ports.filter_map(|(at, port)| entry_port(port, &format!("spec.ports[{at}]"), to)).collect();
    let addresses = spec.addresses.iter().enumerate();
    let addresses = addresses.filter_map(|(at, text)| to.range(&format!("spec.addresses[{at}]"), text)).collect();
    ServiceEntry {
        key: key(metadata),
        created: to.created(metadata),
        hosts: names(&spec.hosts),
        addresses,
        ports,
        resolution: to.one_of("spec.resolution", &spec.resolution, &resolutions).unwrap_or(Resolution::None),
        location: to.one_of("spec.location", &spec.location, &locations).unwrap_or(Location::MeshExternal),
        endpoints: spec.endpoints.iter().map(|endpoint| lower_endpoint(endpoint, to)).collect(),
        workload_selector: spec.workload_selector.as_ref().map(|selector| labels(&selector.labels)),
        export_to: export_to(spec.export_to.iter().map(String::as_str), &metadata.namespace),
        subject_alt_names: names(&spec.subject_alt_names),
    }
}

fn lower_endpoint(of: &object::WorkloadEntry, to: &mut Values) -> WorkloadEntry {
    let object::WorkloadEntry { address, ports, labels: of_endpoint, service_account } = of;
    let ports = ports
        .iter()
        .filter_map(|(port, number)| Some((name(port), to.port(&format!("spec.endpoints[].ports[{port}]"), *number)?)));
    WorkloadEntry {
        address: name(address),
        ports: ports.collect(),
        labels: labels(of_endpoint),
        service_account: some_name(service_account),
    }
}
