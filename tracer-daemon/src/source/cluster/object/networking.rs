//! Istio's group `networking.istio.io`, but for VirtualService.

use super::shape::{Metadata, shapes};
use std::collections::BTreeMap;

shapes! {
    DestinationRule {
        metadata: Metadata,
        spec: DestinationRuleSpec,
    }
    DestinationRuleSpec {
        host: String,
        export_to: Vec<String>,
        workload_selector: Option<WorkloadSelectorLabels>,
        traffic_policy: Option<TrafficPolicy>,
        subsets: Vec<Subset>,
    }
    /// Spelt `matchLabels` in a DestinationRule, `labels` elsewhere.
    WorkloadSelectorLabels {
        match_labels: BTreeMap<String, String>,
    }
    TrafficPolicy {
        tls: Option<ClientTlsSettings>,
        load_balancer: LoadBalancerSettings,
        port_level_settings: Vec<PortTrafficPolicy>,
    }
    PortTrafficPolicy {
        port: PortSelector,
        tls: Option<ClientTlsSettings>,
        load_balancer: LoadBalancerSettings,
    }
    PortSelector {
        number: i64,
    }
    ClientTlsSettings {
        mode: String,
        sni: String,
        subject_alt_names: Vec<String>,
    }
    LoadBalancerSettings {
        simple: String,
    }
    Subset {
        name: String,
        labels: BTreeMap<String, String>,
        traffic_policy: Option<TrafficPolicy>,
    }

    ServiceEntry {
        metadata: Metadata,
        spec: ServiceEntrySpec,
    }
    ServiceEntrySpec {
        hosts: Vec<String>,
        addresses: Vec<String>,
        ports: Vec<ServiceEntryPort>,
        resolution: String,
        location: String,
        endpoints: Vec<WorkloadEntry>,
        workload_selector: Option<WorkloadSelector>,
        export_to: Vec<String>,
        subject_alt_names: Vec<String>,
    }
    ServiceEntryPort {
        number: i64,
        protocol: String,
        name: String,
        target_port: i64,
    }
    WorkloadEntry {
        address: String,
        ports: BTreeMap<String, i64>,
        labels: BTreeMap<String, String>,
        service_account: String,
    }
    WorkloadSelector {
        labels: BTreeMap<String, String>,
    }

    Sidecar {
        metadata: Metadata,
        spec: SidecarSpec,
    }
    SidecarSpec {
        workload_selector: Option<WorkloadSelector>,
        ingress: Vec<IngressListener>,
        egress: Vec<EgressListener>,
        outbound_traffic_policy: Option<OutboundTrafficPolicy>,
    }
    IngressListener {
        port: ServiceEntryPort,
        bind: String,
        default_endpoint: String,
    }
    EgressListener {
        port: Option<ServiceEntryPort>,
        bind: String,
        hosts: Vec<String>,
    }
    OutboundTrafficPolicy {
        mode: String,
    }
}
