//! What bringing up a mesh needs of `cluster.yaml`: pods to make namespaces for, and Services for kube-proxy's part.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::capture::Capture;
use super::pod_name::PodName;

#[derive(Debug)]
pub(crate) struct Cluster {
    /// Those that run: a Failed pod has no namespace any more.
    pub(crate) pods: Vec<PodSpec>,
    pub(crate) virtual_ips: Vec<VirtualIp>,
}

#[derive(Debug)]
pub(crate) struct PodSpec {
    pub(crate) name: PodName,
    pub(crate) uid: String,
    pub(crate) ip: Ipv4Addr,
    pub(crate) service_account: String,
    /// Present where an `istio-init` container set up capture.
    pub(crate) capture: Option<Capture>,
    /// Whether an `istio-proxy` container runs in it.
    pub(crate) sidecar: bool,
    /// Whether istio-cni has handed its traffic to ztunnel.
    pub(crate) ambient: bool,
    /// Whether it is ztunnel's own pod.
    pub(crate) ztunnel: bool,
    pub(crate) sysctls: Vec<Sysctl>,
}

/// A setting of the pod's kernel, such as `net.ipv4.tcp_syn_retries`.
#[derive(Debug, Deserialize)]
pub(crate) struct Sysctl {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// A port of a Service with a cluster ip, and what stands behind it.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct VirtualIp {
    pub(crate) address: SocketAddrV4,
    pub(crate) endpoints: Vec<SocketAddrV4>,
}

impl Cluster {
    pub(crate) fn read(text: &str) -> Result<Cluster> {
        let documents: Vec<Document> = serde_saphyr::from_multiple(text)?;
        let mut pods = Vec::new();
        let mut services = BTreeMap::new();
        let mut slices = Vec::new();
        for document in documents {
            match document.kind.as_str() {
                "Pod" => pods.extend(document.into_pod()?),
                "Service" => {
                    services.insert((document.metadata.namespace, document.metadata.name), document.spec);
                }
                "EndpointSlice" => slices.push((document.metadata, document.ports, document.endpoints)),
                _ => {}
            }
        }
        let mut virtual_ips = Vec::new();
        for (metadata, ports, endpoints) in slices {
            let service = metadata.labels.get("kubernetes.io/service-name").cloned().unwrap_or_default();
            let Some(spec) = services.get(&(metadata.namespace, service)) else { continue };
            virtual_ips.extend(behind(spec, &ports, &endpoints));
        }
        Ok(Cluster { pods, virtual_ips })
    }
}

/// A Service's ports and an `EndpointSlice`'s meet by name.
fn behind(spec: &Spec, ports: &[Port], endpoints: &[Endpoint]) -> Vec<VirtualIp> {
    let Some(ip) = spec.cluster_ip.as_deref().and_then(|ip| ip.parse().ok()) else { return Vec::new() };
    let ready = endpoints.iter().filter(|endpoint| endpoint.conditions.ready);
    let ips: Vec<Ipv4Addr> = ready.flat_map(|endpoint| &endpoint.addresses).filter_map(|ip| ip.parse().ok()).collect();
    let tcp = spec.ports.iter().filter(|port| port.protocol == "TCP");
    tcp.filter_map(|port| {
        let target = ports.iter().find(|target| target.name == port.name)?.number;
        let endpoints = ips.iter().map(|ip| SocketAddrV4::new(*ip, target)).collect();
        Some(VirtualIp { address: SocketAddrV4::new(ip, port.number), endpoints })
    })
    .collect()
}

/// The union of the fields of the kinds above; everything else is passed over.
#[derive(Deserialize)]
struct Document {
    kind: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
    #[serde(default)]
    ports: Vec<Port>,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    namespace: String,
    uid: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    service_account_name: String,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
    security_context: SecurityContext,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    ports: Vec<Port>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SecurityContext {
    sysctls: Vec<Sysctl>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
    #[serde(default)]
    args: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    phase: String,
    #[serde(rename = "podIP")]
    pod_ip: Option<IpAddr>,
}

#[derive(Deserialize)]
struct Port {
    #[serde(default)]
    name: String,
    #[serde(rename = "port")]
    number: u16,
    #[serde(default = "tcp")]
    protocol: String,
}

#[derive(Deserialize)]
struct Endpoint {
    addresses: Vec<String>,
    #[serde(default)]
    conditions: Conditions,
}

#[derive(Deserialize)]
#[serde(default)]
struct Conditions {
    ready: bool,
}

/// An endpoint that says nothing is ready (`discovery.k8s.io/v1`).
impl Default for Conditions {
    fn default() -> Conditions {
        Conditions { ready: true }
    }
}

fn tcp() -> String {
    "TCP".to_owned()
}

impl Document {
    fn into_pod(self) -> Result<Option<PodSpec>> {
        let name = PodName::new(&self.metadata.namespace, &self.metadata.name);
        if self.status.phase != "Running" {
            return Ok(None);
        }
        let Some(IpAddr::V4(ip)) = self.status.pod_ip else {
            anyhow::bail!("pod {name}: no IPv4 address in status.podIP: the lab's network routes IPv4 only");
        };
        let init = self.spec.init_containers.iter().find(|container| container.name == "istio-init");
        let capture = init.map(|container| Capture::from_args(&container.args)).transpose();
        let capture = capture.with_context(|| format!("pod {name}: cannot read the arguments of istio-init"))?;
        let mut containers = self.spec.containers.iter().chain(&self.spec.init_containers);
        let sidecar = containers.any(|container| container.name == "istio-proxy");
        let service_account = self.spec.service_account_name;
        let redirection = self.metadata.annotations.get("ambient.istio.io/redirection");
        let ambient = redirection.is_some_and(|state| state == "enabled");
        let ztunnel = self.metadata.labels.get("app").is_some_and(|app| app == "ztunnel");
        let (uid, sysctls) = (self.metadata.uid, self.spec.security_context.sysctls);
        Ok(Some(PodSpec { name, uid, ip, service_account, capture, sidecar, ambient, ztunnel, sysctls }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "
kind: Pod
metadata: {name: web-old, namespace: shop}
status: {phase: Failed, podIP: 10.244.1.98}
---
kind: Pod
metadata: {name: web-0, namespace: shop, uid: 4b480083}
spec:
  serviceAccountName: web
  containers: [{name: app}]
  initContainers: [{name: istio-init, args: [istio-iptables, -p, '15001']}, {name: istio-proxy}]
status: {phase: Running, podIP: 10.244.1.70}
---
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.70, ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]}
---
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, ports: [{port: 5432}]}
---
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
ports: [{name: http, port: 8080}, {name: dns, port: 53}]
endpoints:
- {addresses: [10.244.1.70]}
- {addresses: [10.244.1.71], conditions: {ready: false}}
---
kind: EndpointSlice
metadata: {name: db-1, namespace: shop, labels: {kubernetes.io/service-name: db}}
ports: [{port: 5432}]
endpoints: [{addresses: [10.244.1.72]}]
";

    #[test]
    fn a_failed_pod_gets_no_namespace_and_a_native_sidecar_counts() {
        let cluster = Cluster::read(CLUSTER).unwrap();
        let pods: Vec<_> = cluster.pods.iter().map(|pod| (pod.name.to_string(), pod.sidecar)).collect();
        assert_eq!(pods, [("shop/web-0".to_owned(), true)]);
        assert!(cluster.pods[0].capture.is_some());
    }

    #[test]
    fn a_virtual_ip_leads_to_the_ready_endpoints_at_the_target_port() {
        let cluster = Cluster::read(CLUSTER).unwrap();
        let address = "10.96.0.70:80".parse().unwrap();
        let endpoints = vec!["10.244.1.70:8080".parse().unwrap()];
        assert_eq!(cluster.virtual_ips, [VirtualIp { address, endpoints }]);
    }
}
