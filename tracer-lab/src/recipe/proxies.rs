//! `envoy.json`: the listeners and clusters that Istio generated, and which pod's proxy has which.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::pod_name::PodName;

/// Stands in the recorded configuration where the pod's certificates lie.
const CERTIFICATES: &str = "@CERTS@";

/// What Istio's own bootstrap sets and a recorded listener may rely on.
const RUNTIME: &str = r#"{
    "overload.global_downstream_max_connections": 2147483647,
    "re2.max_program_size.error_level": 32768,
    "envoy.reloadable_features.http_reject_path_with_fragment": false
}"#;

#[derive(Deserialize)]
pub(crate) struct Proxies {
    listeners: BTreeMap<String, Value>,
    clusters: BTreeMap<String, Value>,
    #[serde(rename = "proxies")]
    pods: BTreeMap<PodName, Resources>,
}

/// Keys into the two tables, in order.
#[derive(Deserialize)]
struct Resources {
    listeners: Vec<String>,
    clusters: Vec<String>,
}

impl Proxies {
    pub(crate) fn read(text: &str) -> Result<Proxies> {
        Ok(serde_json::from_str(text)?)
    }

    /// A pod's whole bootstrap, with its certificates and its admin socket in place.
    pub(crate) fn bootstrap(&self, pod: &PodName, certificates: &Path, admin: &Path) -> Result<String> {
        let own = self.pods.get(pod).with_context(|| format!("no proxy {pod} in envoy.json"))?;
        let runtime: Value = serde_json::from_str(RUNTIME)?;
        let bootstrap = json!({
            "node": {"id": pod.to_string(), "cluster": pod.namespace()},
            "admin": {"address": {"pipe": {"path": admin}}},
            "layered_runtime": {"layers": [{"name": "global", "static_layer": runtime}]},
            // A cluster of the recorded configuration connects to an internal listener.
            "bootstrap_extensions": [{
                "name": "envoy.bootstrap.internal_listener",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
                    "buffer_size_kb": 64
                }
            }],
            "static_resources": {
                "listeners": pick(&self.listeners, &own.listeners)?,
                "clusters": pick(&self.clusters, &own.clusters)?,
            },
        });
        Ok(bootstrap.to_string().replace(CERTIFICATES, &certificates.to_string_lossy()))
    }
}

fn pick<'a>(table: &'a BTreeMap<String, Value>, keys: &[String]) -> Result<Vec<&'a Value>> {
    keys.iter().map(|key| table.get(key).with_context(|| format!("no resource {key} in envoy.json"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bootstrap_holds_the_pods_own_resources_in_order() {
        let proxies = Proxies::read(
            r#"{"listeners": {"a#1": {"name": "a"}, "b#2": {"name": "b"}, "c#3": {"name": "c"}},
                "clusters": {"d#4": {"file": "@CERTS@/cert.pem"}},
                "proxies": {"shop/web-0": {"listeners": ["c#3", "a#1"], "clusters": ["d#4"]}}}"#,
        )
        .unwrap();
        let pod = PodName::new("shop", "web-0");
        let bootstrap = proxies.bootstrap(&pod, Path::new("/run/x"), Path::new("/run/x/admin.sock")).unwrap();
        let bootstrap: Value = serde_json::from_str(&bootstrap).unwrap();
        assert_eq!(bootstrap["static_resources"]["listeners"], json!([{"name": "c"}, {"name": "a"}]));
        assert_eq!(bootstrap["static_resources"]["clusters"], json!([{"file": "/run/x/cert.pem"}]));
        assert_eq!(bootstrap["admin"]["address"]["pipe"]["path"], "/run/x/admin.sock");
    }
}
