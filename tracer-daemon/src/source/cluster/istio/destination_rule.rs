//! DestinationRule: how a client's proxy reaches a host.

use crate::source::cluster::object::{self, ClientTlsSettings, LoadBalancerSettings};
use crate::source::cluster::values::{Values, export_to, key, labels, name, names, some_name};
use tracer_engine::mesh::facts::{ClientTls, ClientTlsMode, DestinationRule, Subset, TrafficPolicy};

pub(in crate::source::cluster) fn lower(of: &object::DestinationRule, to: &mut Values) -> DestinationRule {
    let object::DestinationRule { metadata, spec } = of;
    let object::DestinationRuleSpec { host, export_to: exported, workload_selector, traffic_policy, subsets } = spec;
    let subsets = subsets.iter().map(|subset| Subset {
        name: name(&subset.name),
        labels: labels(&subset.labels),
        traffic_policy: subset.traffic_policy.as_ref().map(|policy| lower_policy(policy, to)),
    });
    DestinationRule {
        key: key(metadata),
        host: name(host),
        export_to: export_to(exported.iter().map(String::as_str), &metadata.namespace),
        workload_selector: workload_selector.as_ref().map(|selector| labels(&selector.match_labels)),
        subsets: subsets.collect(),
        traffic_policy: traffic_policy.as_ref().map(|policy| lower_policy(policy, to)),
        created: to.created(metadata),
    }
}

fn lower_policy(of: &object::TrafficPolicy, to: &mut Values) -> TrafficPolicy {
    let object::TrafficPolicy { tls, load_balancer, port_level_settings } = of;
    let port_level = port_level_settings.iter().filter_map(|settings| {
        let object::PortTrafficPolicy { port, tls, load_balancer } = settings;
        let port = to.port("trafficPolicy.portLevelSettings[].port.number", port.number)?;
        let policy = TrafficPolicy {
            tls: tls.as_ref().map(|tls| lower_tls(tls, to)),
            passthrough: passthrough(load_balancer),
            port_level: Vec::new(),
        };
        Some((port, policy))
    });
    TrafficPolicy {
        port_level: port_level.collect(),
        tls: tls.as_ref().map(|tls| lower_tls(tls, to)),
        passthrough: passthrough(load_balancer),
    }
}

fn passthrough(of: &LoadBalancerSettings) -> bool {
    of.simple == "PASSTHROUGH"
}

fn lower_tls(of: &ClientTlsSettings, to: &mut Values) -> ClientTls {
    let ClientTlsSettings { mode, sni, subject_alt_names } = of;
    let known = [
        ("", ClientTlsMode::Disable),
        ("DISABLE", ClientTlsMode::Disable),
        ("SIMPLE", ClientTlsMode::Simple),
        ("MUTUAL", ClientTlsMode::Mutual),
        ("ISTIO_MUTUAL", ClientTlsMode::IstioMutual),
    ];
    ClientTls {
        mode: to.one_of("trafficPolicy.tls.mode", mode, &known).unwrap_or(ClientTlsMode::Disable),
        sni: some_name(sni),
        subject_alt_names: names(subject_alt_names),
    }
}
