//! Kubernetes' own objects.

use super::shape::{IntOrString, Metadata, shapes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

shapes! {
    Namespace {
        metadata: Metadata,
    }

    Node {
        metadata: Metadata,
        spec: NodeSpec,
        status: NodeStatus,
    }
    NodeSpec {
        #[serde(rename = "podCIDR")]
        pod_cidr: String,
        #[serde(rename = "podCIDRs")]
        pod_cidrs: Vec<String>,
    }
    NodeStatus {
        addresses: Vec<NodeAddress>,
    }
    NodeAddress {
        r#type: String,
        address: String,
    }

    Pod {
        metadata: Metadata,
        spec: PodSpec,
        status: PodStatus,
    }
    PodSpec {
        node_name: String,
        host_network: bool,
        service_account_name: String,
        containers: Vec<Container>,
        init_containers: Vec<Container>,
    }
    PodStatus {
        phase: String,
        #[serde(rename = "podIP")]
        pod_ip: String,
        #[serde(rename = "podIPs")]
        pod_ips: Vec<PodIp>,
        conditions: Vec<Condition>,
    }
    PodIp {
        ip: String,
    }
    Condition {
        r#type: String,
        status: String,
    }

    Service {
        metadata: Metadata,
        spec: ServiceSpec,
    }
    ServiceSpec {
        r#type: String,
        #[serde(rename = "clusterIP")]
        cluster_ip: String,
        #[serde(rename = "clusterIPs")]
        cluster_ips: Vec<String>,
        external_name: String,
        ports: Vec<ServicePort>,
        selector: BTreeMap<String, String>,
    }
    ServicePort {
        name: String,
        port: i64,
        target_port: Option<IntOrString>,
        protocol: String,
        app_protocol: Option<String>,
    }

    EndpointSlice {
        metadata: Metadata,
        address_type: String,
        endpoints: Vec<Endpoint>,
        ports: Vec<EndpointPort>,
    }
    Endpoint {
        addresses: Vec<String>,
        conditions: EndpointConditions,
        target_ref: Option<TargetRef>,
    }
    EndpointConditions {
        ready: Option<bool>,
    }
    TargetRef {
        kind: String,
        namespace: String,
        name: String,
    }
    EndpointPort {
        name: String,
        port: Option<i64>,
        protocol: String,
    }
}

/// Of Istio's own containers the name, of its proxy the image and of those that set up the capture the arguments; of
/// all others nothing.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "UnreducedContainer")]
pub struct Container {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

shapes! {
    UnreducedContainer {
        name: String,
        image: Option<String>,
        args: Vec<String>,
    }
}

impl Container {
    pub const PROXY: &str = "istio-proxy";
    /// Either is told what to capture: `istio-init` sets the rules, `istio-validation` checks those of the CNI plugin.
    pub const CAPTURE: [&str; 2] = ["istio-init", "istio-validation"];
}

impl From<UnreducedContainer> for Container {
    fn from(from: UnreducedContainer) -> Self {
        let UnreducedContainer { name, image, args } = from;
        if name == Self::PROXY {
            Self { name, image, args: Vec::new() }
        } else if Self::CAPTURE.contains(&&*name) {
            Self { name, image: None, args }
        } else {
            Self { name: String::new(), image: None, args: Vec::new() }
        }
    }
}
