//! Objects as text, as paths of the API, and as keys in etcd.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use super::assets;

/// Group, kind, plural, what etcd's key has in the plural's place where it is another, whether it has a namespace.
struct Resource(&'static str, &'static str, &'static str, Option<&'static str>, bool);

const CORE: &str = "";
const NETWORKING: &str = "networking.istio.io";
const SECURITY: &str = "security.istio.io";
const RBAC: &str = "rbac.authorization.k8s.io";

const RESOURCES: [Resource; 25] = [
    Resource(CORE, "Namespace", "namespaces", None, false),
    Resource(CORE, "Node", "nodes", Some("minions"), false),
    Resource(CORE, "Pod", "pods", None, true),
    Resource(CORE, "Service", "services", Some("services/specs"), true),
    Resource(CORE, "ConfigMap", "configmaps", None, true),
    Resource(CORE, "Event", "events", None, true),
    Resource(CORE, "Secret", "secrets", None, true),
    Resource(CORE, "ServiceAccount", "serviceaccounts", None, true),
    Resource("apps", "ReplicaSet", "replicasets", None, true),
    Resource("batch", "Job", "jobs", None, true),
    Resource("discovery.k8s.io", "EndpointSlice", "endpointslices", None, true),
    Resource("networking.k8s.io", "NetworkPolicy", "networkpolicies", None, true),
    Resource(NETWORKING, "DestinationRule", "destinationrules", None, true),
    Resource(NETWORKING, "ServiceEntry", "serviceentries", None, true),
    Resource(NETWORKING, "Sidecar", "sidecars", None, true),
    Resource(NETWORKING, "VirtualService", "virtualservices", None, true),
    Resource(SECURITY, "AuthorizationPolicy", "authorizationpolicies", None, true),
    Resource(SECURITY, "PeerAuthentication", "peerauthentications", None, true),
    Resource(RBAC, "ClusterRole", "clusterroles", None, false),
    Resource(RBAC, "ClusterRoleBinding", "clusterrolebindings", None, false),
    Resource(RBAC, "Role", "roles", None, true),
    Resource(RBAC, "RoleBinding", "rolebindings", None, true),
    Resource("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", None, false),
    Resource("apps", "DaemonSet", "daemonsets", None, true),
    Resource("apps", "Deployment", "deployments", None, true),
];

/// What a cluster's own components make, and no test may remove.
const KEPT: [&str; 7] = [
    "Namespace",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "CustomResourceDefinition",
];

/// The documents of a YAML text, `List`s unpacked.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    let unpack = |document: Value| match document["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![document],
    };
    Ok(documents.into_iter().filter(|document| !document.is_null()).flat_map(unpack).collect())
}

/// Istio's CustomResourceDefinitions, as `cargo xtask setup` downloaded them.
pub fn istio_crds() -> Result<Vec<Value>> {
    let file = assets::crds();
    let text = fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}: `cargo xtask setup` downloads it", file.display()))?;
    documents(&text)
}

/// Where the API has this object.
pub(super) fn path(object: &Value) -> Result<String> {
    let Resource(group, _, plural, _, namespaced) = of(object)?;
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{version}") };
    let name = name(object)?;
    Ok(match namespaced {
        true => format!("{root}/namespaces/{}/{plural}/{name}", namespace(object)?),
        false => format!("{root}/{plural}/{name}"),
    })
}

/// Where etcd has it: custom resources under their group, Kubernetes' own not.
pub(super) fn storage_key(object: &Value) -> Result<String> {
    let resource = of(object)?;
    let name = name(object)?;
    let prefix = storage_prefix(resource);
    Ok(if resource.4 { format!("{prefix}{}/{name}", namespace(object)?) } else { format!("{prefix}{name}") })
}

/// Of the kinds that a test fills the cluster with.
pub(super) fn storage_prefixes() -> impl Iterator<Item = String> {
    RESOURCES.iter().filter(|resource| !KEPT.contains(&resource.1)).map(storage_prefix)
}

fn storage_prefix(Resource(group, _, plural, stored, _): &Resource) -> String {
    match (*group, stored) {
        (_, Some(stored)) => format!("/registry/{stored}/"),
        (NETWORKING | SECURITY | "apiextensions.k8s.io", None) => format!("/registry/{group}/{plural}/"),
        (_, None) => format!("/registry/{plural}/"),
    }
}

fn of(object: &Value) -> Result<&'static Resource> {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    let group = version.rsplit_once('/').map_or("", |(group, _)| group);
    let found = RESOURCES.iter().find(|resource| resource.0 == group && resource.1 == kind);
    found.with_context(|| format!("the lab has no place for {version} {kind}"))
}

fn name(object: &Value) -> Result<&str> {
    object["metadata"]["name"].as_str().context("an object without metadata.name")
}

fn namespace(object: &Value) -> Result<&str> {
    object["metadata"]["namespace"].as_str().context("an object without metadata.namespace")
}
