//! Objects as no controller would write them.

use crate::cluster::{account, connected, kubeconfig_of, namespace, pod, watch};
use crate::followed::Followed;
use crate::shared;
use serde_json::{Value, json};
use tracer_engine::mesh::facts::{Kind, ObjectKey};
use tracer_lab::kubernetes::ApiServer;

async fn followed(server: &ApiServer) -> Followed {
    let connection = connected(kubeconfig_of(server, &account(), &server.url()).await).await;
    let mut followed = Followed::begin(watch(), connection);
    followed.until_synced().await;
    followed
}

fn key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey { namespace: namespace.into(), name: name.into() }
}

fn service(namespace: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": namespace, "uid": name, "creationTimestamp": "2026-08-01T00:00:00Z" },
        "spec": spec,
    })
}

fn slice(namespace: &str, name: &str, service: &str, kind: &str, endpoints: &Value) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": name, "namespace": namespace, "uid": name, "creationTimestamp": "2026-08-01T00:00:00Z",
            "labels": { "kubernetes.io/service-name": service },
        },
        "addressType": kind, "endpoints": endpoints, "ports": [{ "name": "http", "port": 80, "protocol": "TCP" }],
    })
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_named_and_what_was_known_of_it_stays() {
    let server = shared().await;
    let good = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
        "metadata": { "name": "rule", "namespace": "odd", "creationTimestamp": "2026-08-01T00:00:00Z" },
        "spec": { "host": "web.odd.svc.cluster.local" },
    });
    server.etcd().put(&good).await.unwrap();
    let mut followed = followed(server).await;
    assert_eq!(followed.index.objects(Kind::DestinationRule), 1);
    followed.changes.clear();
    // Of another shape: a number where the host stands.
    let mut shapeless = good.clone();
    shapeless["spec"]["host"] = json!({ "not": "a name" });
    server.etcd().put(&shapeless).await.unwrap();
    followed.until("it is named", |f| !f.malformed.is_empty()).await;
    let said = followed.malformed[0].clone();
    assert!(said.contains("DestinationRule odd/rule") && said.contains("expected a string"), "{said}");
    // Of the right shape, and with a value that means nothing.
    let mut senseless = pod("odd", "senseless", "10.5.0.1");
    senseless["status"]["podIP"] = json!("10.5.0.one");
    senseless["status"]["podIPs"] = json!([{ "ip": "10.5.0.one" }]);
    server.etcd().put(&senseless).await.unwrap();
    followed.until("it is named too", |f| !f.skipped.is_empty()).await;
    let said = followed.skipped[0].to_string();
    assert!(said.contains("Pod odd/senseless is skipped") && said.contains("\"10.5.0.one\""), "{said}");
    assert_eq!(followed.index.objects(Kind::DestinationRule), 1, "what was known stays");
    server.etcd().put(&pod("odd", "sensible", "10.5.0.2")).await.unwrap();
    followed.until("the rest works", |f| f.pods().contains(&"odd/sensible".to_owned())).await;
    for object in [&good, &senseless, &pod("odd", "sensible", "")] {
        server.etcd().delete(object).await.unwrap();
    }
    followed.end().await;
}

#[tokio::test]
async fn odd_services_slices_and_pods_are_what_they_are() {
    let server = shared().await;
    let ports: Vec<_> =
        (1..=1000).map(|n| json!({ "name": format!("p{n}"), "port": n, "targetPort": n, "protocol": "TCP" })).collect();
    let objects = [
        service(
            "strange",
            "thousand",
            &json!({ "clusterIP": "10.96.77.1", "clusterIPs": ["10.96.77.1"], "ports": ports }),
        ),
        service("strange", "headless", &json!({ "clusterIP": "None", "ports": [{ "name": "http", "port": 80 }] })),
        slice("strange", "fqdn", "headless", "FQDN", &json!([{ "addresses": ["db.example.com"] }])),
        slice(
            "strange",
            "ghosts",
            "headless",
            "IPv4",
            &json!([{ "addresses": ["10.5.1.1"], "targetRef": { "kind": "Pod", "name": "ghost", "namespace": "strange" } }]),
        ),
        pod("strange", "twin-a", "10.5.1.2"),
        pod("strange", "twin-b", "10.5.1.2"),
    ];
    server.etcd().seed(objects.clone()).await.unwrap();
    let followed = followed(server).await;
    // Others put what cannot be read into this server.
    let refused: Vec<_> = followed.skipped.iter().map(ToString::to_string).chain(followed.malformed.clone()).collect();
    assert!(!refused.iter().any(|said| said.contains("strange/")), "{refused:?}");
    let thousand = followed.index.service(&key("strange", "thousand")).unwrap();
    assert_eq!(thousand.ports.len(), 1000);
    assert!(followed.index.service(&key("strange", "headless")).unwrap().is_headless());
    let now = tracer_engine::net::Ktime(u64::MAX);
    let said = |ip: &str| format!("{:?}", followed.index.resolve(ip.parse().unwrap(), now));
    assert!(said("10.5.1.1").contains("PodNotSeenYet"), "{}", said("10.5.1.1"));
    assert!(said("10.5.1.2").contains("AddressNotUnique"), "{}", said("10.5.1.2"));
    for object in &objects {
        server.etcd().delete(object).await.unwrap();
    }
    followed.end().await;
}

#[tokio::test]
async fn a_namespace_that_vanishes_takes_what_was_in_it() {
    let server = shared().await;
    server.admin().apply(&namespace("vanishing")).await.unwrap();
    server.etcd().put(&pod("vanishing", "last", "10.5.2.1")).await.unwrap();
    let mut followed = followed(server).await;
    assert!(followed.index.namespace("vanishing").is_some());
    // As the namespace controller does it: what is in it first.
    server.admin().delete(&pod("vanishing", "last", "")).await.unwrap();
    server.admin().delete_namespace("vanishing").await.unwrap();
    let is_gone =
        |f: &Followed| f.index.namespace("vanishing").is_none() && !f.pods().contains(&"vanishing/last".into());
    followed.until("it is gone", is_gone).await;
    followed.end().await;
}

#[tokio::test]
async fn a_server_whose_clock_is_another_changes_nothing() {
    let server = shared().await;
    let made_at = |name: &str, ip: &str, time: &str| {
        let mut pod = pod("skew", name, ip);
        pod["metadata"]["creationTimestamp"] = json!(time);
        pod["status"]["startTime"] = json!(time);
        pod
    };
    // Of the next century, of before there were clusters, and two that share an address: the younger has it.
    let pods = [
        made_at("ahead", "10.5.3.1", "2105-08-01T00:00:00Z"),
        made_at("behind", "10.5.3.2", "1970-01-01T00:00:00Z"),
        made_at("older", "10.5.3.3", "2105-08-01T00:00:00Z"),
        made_at("younger", "10.5.3.3", "2105-08-01T00:00:01Z"),
    ];
    server.etcd().seed(pods.iter().cloned()).await.unwrap();
    let mut followed = followed(server).await;
    let now = followed.now();
    for (ip, name) in [("10.5.3.1", "ahead"), ("10.5.3.2", "behind"), ("10.5.3.3", "younger")] {
        let said = format!("{:?}", followed.index.resolve(ip.parse().unwrap(), now));
        assert!(said.contains(name), "{ip}: {said}");
    }
    server.admin().delete(&pods[0]).await.unwrap();
    followed.until("it is gone", |f| !f.pods().contains(&"skew/ahead".to_owned())).await;
    let said = format!("{:?}", followed.index.resolve("10.5.3.1".parse().unwrap(), followed.now()));
    assert!(said.contains("Tombstone") && said.contains("ahead"), "{said}");
    for pod in &pods[1..] {
        server.etcd().delete(pod).await.unwrap();
    }
    followed.end().await;
}
