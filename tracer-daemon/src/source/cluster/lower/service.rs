//! Service: names, virtual addresses and ports.

use crate::source::cluster::object::{self, IntOrString};
use crate::source::cluster::values::{Values, export_to, key, labels, name};
use smallvec::SmallVec;
use tracer_engine::mesh::facts::{Service, ServiceKind, ServicePort, TargetPort};

/// What `clusterIP` says of a headless Service.
const NO_ADDRESS: &str = "None";

pub(super) fn lower(service: &object::Service, to: &mut Values) -> Service {
    let object::Service { metadata, spec } = service;
    let ports = spec.ports.iter().enumerate().filter_map(|(at, port)| lower_port(port, at, to)).collect();
    let exported = metadata.annotations.get("networking.istio.io/exportTo").unwrap_or_default();
    Service {
        key: key(metadata),
        created: to.created(metadata),
        kind: lower_kind(spec, to),
        ports,
        selector: labels(&spec.selector),
        export_to: export_to(exported.split(','), &metadata.namespace),
        waypoint: metadata.labels.get("istio.io/use-waypoint").map(|waypoint| name(waypoint)),
    }
}

fn lower_kind(spec: &object::ServiceSpec, to: &mut Values) -> ServiceKind {
    let known =
        [("", false), ("ClusterIP", false), ("NodePort", false), ("LoadBalancer", false), ("ExternalName", true)];
    if to.one_of("spec.type", &spec.r#type, &known) == Some(true) {
        return ServiceKind::ExternalName(name(&spec.external_name));
    }
    if spec.cluster_ip == NO_ADDRESS || spec.cluster_ips.iter().any(|ip| ip == NO_ADDRESS) {
        return ServiceKind::Headless;
    }
    let listed = spec.cluster_ips.iter().enumerate();
    let mut ips: SmallVec<_> = listed.filter_map(|(at, ip)| to.ip(&format!("spec.clusterIPs[{at}]"), ip)).collect();
    if spec.cluster_ips.is_empty() && !spec.cluster_ip.is_empty() {
        ips.extend(to.ip("spec.clusterIP", &spec.cluster_ip));
    }
    ServiceKind::ClusterIp(ips)
}

fn lower_port(of: &object::ServicePort, at: usize, to: &mut Values) -> Option<ServicePort> {
    let object::ServicePort { name: port_name, port, target_port, protocol, app_protocol } = of;
    let transport = to.transport(&format!("spec.ports[{at}].protocol"), protocol);
    let port = to.port(&format!("spec.ports[{at}].port"), *port)?;
    let field = format!("spec.ports[{at}].targetPort");
    let target = match target_port {
        None | Some(IntOrString::Int(0)) => TargetPort::Number(port),
        Some(IntOrString::Int(number)) => TargetPort::Number(to.port(&field, *number)?),
        Some(IntOrString::String(text)) if text.is_empty() => TargetPort::Number(port),
        // A port's name holds at least one letter: digits alone are a number in quotes.
        Some(IntOrString::String(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            TargetPort::Number(to.port_text(&field, text)?)
        }
        Some(IntOrString::String(text)) => TargetPort::Name(name(text)),
    };
    Some(ServicePort {
        name: name(port_name),
        port,
        target,
        transport,
        app_protocol: app_protocol.as_deref().map(name),
    })
}
