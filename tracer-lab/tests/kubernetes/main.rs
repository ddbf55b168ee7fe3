//! The API server of the lab: that it is a real one, takes what it is given, and goes when it is told to.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tracer_lab::kubernetes::{ApiServer, Options, ServiceAccount, documents, istio_crds};

const PODS: &str = "/api/v1/namespaces/shop/pods";

const READER: &str = "\
{apiVersion: v1, kind: ServiceAccount, metadata: {name: reader, namespace: default}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: reader},
 rules: [{apiGroups: [''], resources: [pods], verbs: [list]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: reader},
 roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader},
 subjects: [{kind: ServiceAccount, name: reader, namespace: default}]}
";

fn pod(name: &str, created: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "shop", "uid": format!("uid-of-{name}"), "creationTimestamp": created },
        "spec": { "containers": [{ "name": "app", "image": "app" }], "nodeName": "n1" },
        "status": { "phase": "Running", "podIP": "10.244.0.5", "podIPs": [{ "ip": "10.244.0.5" }] },
    })
}

/// One for all that do it no harm. It goes with the process.
async fn shared() -> &'static ApiServer {
    static SERVER: OnceCell<ApiServer> = OnceCell::const_new();
    SERVER.get_or_init(async || ApiServer::start(Options::default()).await.expect("a real API server")).await
}

#[tokio::test]
async fn objects_are_there_as_they_were_written() {
    let server = shared().await;
    let pods =
        ["2001-02-03T04:05:06Z", "1999-12-31T23:59:59Z"].map(|created| pod(&format!("web-{}", &created[..4]), created));
    assert_eq!(server.etcd().seed(pods).await.unwrap(), 2);
    let list = server.admin().get(PODS).await.unwrap().object().unwrap();
    let told: Vec<_> = list["items"].as_array().unwrap().iter().map(|pod| pod["metadata"].clone()).collect();
    assert_eq!(told[0]["creationTimestamp"], "1999-12-31T23:59:59Z");
    assert_eq!(told[1]["uid"], "uid-of-web-2001");
    assert_eq!(list["items"][1]["status"]["podIP"], "10.244.0.5");

    server.etcd().delete(&pod("web-2001", "")).await.unwrap();
    server.etcd().clear().await.unwrap();
    let list = server.admin().get(PODS).await.unwrap().object().unwrap();
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn istios_own_definitions_are_served_and_enforced() {
    let server = shared().await;
    server.install(istio_crds().unwrap()).await.unwrap();
    let mode = |mode: &str| {
        json!({
            "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
            "metadata": { "name": "default", "namespace": "default" }, "spec": { "mtls": { "mode": mode } },
        })
    };
    let refused = server.admin().apply(&mode("LOOSE")).await;
    assert!(refused.unwrap_err().to_string().contains("422"));
    server.admin().apply(&mode("STRICT")).await.unwrap();
    // Nothing checks what is written underneath.
    server.etcd().put(&mode("LOOSE")).await.unwrap();
    let path = "/apis/security.istio.io/v1/namespaces/default/peerauthentications/default";
    let read = server.admin().get(path).await.unwrap().object().unwrap();
    assert_eq!(read["spec"]["mtls"]["mode"], "LOOSE");
}

#[tokio::test]
async fn a_service_account_may_what_its_roles_say_and_the_audit_log_tells_what_it_did() {
    let server = shared().await;
    let account = ServiceAccount::new("default", "reader");
    for object in documents(READER).unwrap() {
        server.admin().apply(&object).await.unwrap();
    }
    let api = server.api_with(&account.token(server).await.unwrap());
    assert_eq!(api.get("/api/v1/pods").await.unwrap().status, 200);
    assert_eq!(api.get("/api/v1/secrets").await.unwrap().status, 403);
    assert_eq!(server.api_with("nobody").get("/api/v1/pods").await.unwrap().status, 401);
    let audit = std::fs::read_to_string(server.audit_log()).unwrap();
    let events: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> =
        events.iter().map(|event| (&event["user"]["username"], &event["objectRef"]["resource"])).collect();
    let user = json!(account.user());
    assert_eq!(told, [(&user, &json!("pods")), (&user, &json!("secrets"))]);
}

#[tokio::test]
async fn it_freezes_dies_comes_back_over_the_same_data_forgets_when_told_to_and_leaves_nothing() {
    let mut server = ApiServer::start(Options::default()).await.expect("a real API server");
    let api = server.admin();
    server.freeze(true).unwrap();
    let asked = tokio::time::timeout(Duration::from_millis(200), api.get("/readyz")).await;
    assert!(asked.is_err(), "a frozen server answered");
    server.freeze(false).unwrap();
    server.etcd().put(&pod("web-0", "2001-02-03T04:05:06Z")).await.unwrap();
    let list = api.get(PODS).await.unwrap().object().unwrap();
    let version = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();

    server.kill();
    assert!(api.get("/readyz").await.is_err());
    server.etcd().put(&pod("web-1", "2001-02-03T04:05:06Z")).await.unwrap();
    server.etcd().compact().await.unwrap();
    server.restart().await.unwrap();
    let list = api.get(PODS).await.unwrap().object().unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let gone = api.get(&format!("{PODS}?watch=1&resourceVersion={version}&timeoutSeconds=5")).await.unwrap();
    assert!(gone.body.contains("\"code\":410"), "{}", gone.body);

    let (folder, pids) = (server.folder().to_path_buf(), server.pids());
    assert!(folder.join("etcd").is_dir());
    assert_eq!(pids.len(), 2);
    drop(server);
    assert!(!folder.exists());
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{pid} still runs");
    }
}
