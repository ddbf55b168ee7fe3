//! Kubernetes Events, written to a real API server by exactly the role that `rbac --events` prints.

use crate::cluster::{kubeconfig_of, namespace, pod};
use crate::shared;
use serde_json::{Value, json};
use std::path::PathBuf;
use tracer_daemon::source::cluster::IstioInstallation;
use tracer_daemon::source::cluster::event::{ClusterWarning, EventError, EventWriter, Regarding};
use tracer_daemon::source::cluster::watch::{Rbac, Target};
use tracer_lab::kubernetes::{ApiServer, ServiceAccount, documents};

const STARTED: &str = "2026-11-26T04:00:00Z";

/// As whoever may write Events, in a namespace of its own.
async fn writer(server: &ApiServer, of: &str) -> EventWriter {
    server.admin().apply(&namespace(of)).await.unwrap();
    let rbac = Rbac { namespace: of.to_owned(), istio: IstioInstallation::default(), events: true };
    for mut object in documents(&rbac.manifest()).unwrap() {
        // Beside the roles that all other tests run by.
        if object["kind"] == "ClusterRole" || object["kind"] == "ClusterRoleBinding" {
            object["metadata"]["name"] = json!(of);
            if object["kind"] == "ClusterRoleBinding" {
                object["roleRef"]["name"] = json!(of);
            }
            server.admin().apply(&object).await.unwrap();
        }
    }
    let account =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "mesh-tracer", "namespace": of } });
    server.admin().apply(&account).await.unwrap();
    EventWriter::new(
        target(kubeconfig_of(server, &ServiceAccount::new(of, "mesh-tracer"), &server.url()).await),
        "n1".to_owned(),
        STARTED.parse().unwrap(),
    )
}

fn target(file: PathBuf) -> Target {
    Target::Kubeconfig { file: Some(file), context: None }
}

fn warning(namespace: &str, kind: Regarding, count: u64) -> ClusterWarning {
    ClusterWarning {
        kind,
        namespace: namespace.to_owned(),
        name: "web-0".to_owned(),
        series: "cart calls 8080".to_owned(),
        reason: "PlaintextToStrict".to_owned(),
        note: "shop/cart-0 -> web-0:8080 plaintext-to-strict: why, and what to do.".to_owned(),
        first: STARTED.parse().unwrap(),
        last: "2026-11-26T04:10:00.5Z".parse().unwrap(),
        count,
    }
}

/// As `kubectl describe` asks for them: by the object's uid.
async fn described(server: &ApiServer, namespace: &str, uid: &str) -> Vec<Value> {
    let path = format!("/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.uid%3D{uid}");
    let list = server.admin().get(&path).await.unwrap().object().unwrap();
    list["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_again_is_one_event_on_the_pod_that_was_called() {
    let server = shared().await;
    let mut writer = writer(server, "told").await;
    let web = server.admin().post("/api/v1/namespaces/told/pods", &pod("told", "web-0", "10.8.0.1")).await.unwrap();
    writer.write(&warning("told", Regarding::Pod, 3)).await.unwrap();
    writer.write(&warning("told", Regarding::Pod, 40)).await.unwrap();
    let events = described(server, "told", web["metadata"]["uid"].as_str().unwrap()).await;
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!([&event["type"], &event["reason"]], ["Warning", "PlaintextToStrict"], "{event}");
    assert_eq!([&event["reportingComponent"], &event["reportingInstance"]], ["mesh-tracer", "n1"], "{event}");
    assert_eq!(event["series"]["count"], 40, "{event}");
    assert_eq!(event["series"]["lastObservedTime"], "2026-11-26T04:10:00.500000Z", "{event}");
    assert!(event["message"].as_str().unwrap().ends_with("and what to do."), "{event}");

    // Another pod of that name has an Event of its own: describe asks by uid.
    server.admin().delete(&pod("told", "web-0", "10.8.0.1")).await.unwrap();
    let again = server.admin().post("/api/v1/namespaces/told/pods", &pod("told", "web-0", "10.8.0.3")).await.unwrap();
    writer.write(&warning("told", Regarding::Pod, 41)).await.unwrap();
    let uid = again["metadata"]["uid"].as_str().unwrap();
    let events = described(server, "told", uid).await;
    let [event] = &events[..] else { panic!("{events:?}") };

    // The server lets go of it after an hour; a daemon that goes on makes another.
    let name = event["metadata"]["name"].as_str().unwrap();
    let of = json!({ "apiVersion": "v1", "kind": "Event", "metadata": { "name": name, "namespace": "told" } });
    server.admin().delete(&of).await.unwrap();
    writer.write(&warning("told", Regarding::Pod, 42)).await.unwrap();
    let events = described(server, "told", uid).await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["series"]["count"], 42);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_has_events_too_and_what_is_gone_has_none() {
    let server = shared().await;
    let mut writer = writer(server, "told-service").await;
    let gone = writer.write(&warning("told-service", Regarding::Service, 3)).await;
    assert!(matches!(&gone, Err(EventError::Gone(what)) if what == "Service told-service/web-0"), "{gone:?}");
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web-0", "namespace": "told-service" },
        "spec": { "ports": [{ "port": 8080 }] },
    });
    let service = server.admin().apply(&service).await.unwrap();
    writer.write(&warning("told-service", Regarding::Service, 3)).await.unwrap();
    let events = described(server, "told-service", service["metadata"]["uid"].as_str().unwrap()).await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["involvedObject"]["kind"], "Service");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_role_the_rule_to_add_is_named() {
    let server = shared().await;
    server.admin().apply(&namespace("untold")).await.unwrap();
    server.admin().post("/api/v1/namespaces/untold/pods", &pod("untold", "web-0", "10.8.0.2")).await.unwrap();
    let file = kubeconfig_of(server, &crate::cluster::account(), &server.url()).await;
    let mut writer = EventWriter::new(target(file), "n1".to_owned(), STARTED.parse().unwrap());
    let refused = writer.write(&warning("untold", Regarding::Pod, 3)).await.unwrap_err().to_string();
    let rule = "add to a role: {apiGroups: [\"events.k8s.io\"], resources: [events], verbs: [create, patch]}";
    assert!(refused.contains("403") && refused.contains(rule), "{refused}");
}
