//! What must not be kept is not there: neither in what is told, nor anywhere in this process.

use crate::cluster::{account, connected, kubeconfig_of, pod, watch};
use crate::followed::Followed;
use crate::shared;
use serde_json::json;
use tracer_lab::kubernetes::ApiServer;

/// In pieces, so that the test's own memory does not hold it.
fn secret(number: u32) -> String {
    ["top", "secret", "of", "test", &number.to_string()].join("-")
}

#[tokio::test]
async fn what_no_rule_needs_is_in_nothing_that_is_told() {
    let server = shared().await;
    let objects = secretive(server).await;
    let connection = connected(kubeconfig_of(server, &account(), &server.url()).await).await;
    let mut followed = Followed::begin(watch(), connection);
    followed.until_synced().await;
    let told = format!("{:?}", followed.changes);
    assert!(told.contains("secretive") && told.contains("15001"), "it was told at all");
    for number in 1..=9 {
        assert!(!told.contains(&secret(number)), "secret {number} was told");
    }
    for object in &objects {
        server.etcd().delete(object).await.unwrap();
    }
    followed.end().await;
}

/// A pod with something that nobody may keep wherever a pod can have it, and a Secret.
async fn secretive(server: &ApiServer) -> Vec<serde_json::Value> {
    let mut of_pod = pod("secretive", "web", "10.6.0.1");
    of_pod["metadata"]["annotations"] =
        json!({ "example.com/token": secret(1), "sidecar.istio.io/status": r#"{"revision":"default"}"# });
    of_pod["spec"]["containers"] = json!([
        {
            "name": "app", "image": "app", "args": [secret(2)], "command": [secret(3)],
            "env": [{ "name": "PASSWORD", "value": secret(4) }],
        },
        { "name": "istio-proxy", "image": "proxyv2:1.30.3", "args": [secret(5)], "env": [{ "name": "X", "value": secret(6) }] },
    ]);
    of_pod["spec"]["initContainers"] = json!([
        { "name": "istio-init", "image": "proxyv2", "args": ["-p", "15001"], "env": [{ "name": "Y", "value": secret(7) }] },
    ]);
    let secret_object = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "web", "namespace": "secretive" },
        "stringData": { "password": secret(8) },
    });
    let config_map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "other", "namespace": "istio-system" },
        "data": { "password": secret(9) },
    });
    server.etcd().put(&of_pod).await.unwrap();
    server.etcd().put(&secret_object).await.unwrap();
    server.etcd().put(&config_map).await.unwrap();
    vec![of_pod, secret_object, config_map]
}
