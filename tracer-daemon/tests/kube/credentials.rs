//! Who we are: kubeconfigs that are wrong in every way, tokens that are rotated.

use crate::cluster::{connected, kubeconfig_of, namespace, pace, watch, written};
use crate::followed::Followed;
use crate::shared;
use std::fs;
use std::path::{Path, PathBuf};
use tracer_daemon::source::cluster::watch::{Connection, Target};
use tracer_lab::kubernetes::{Proxy, ServiceAccount, documents, kubeconfig};

/// What is said where it cannot be connected.
async fn refused(file: PathBuf, context: Option<&str>) -> String {
    let target = Target::Kubeconfig { file: Some(file), context: context.map(str::to_owned) };
    let connection = match Connection::open(target, pace()).await {
        Ok(connection) => connection,
        Err(error) => return error.to_string(),
    };
    connection.greet().await.expect_err("there is something wrong with it").to_string()
}

fn has(said: &str, words: &[&str]) {
    assert!(words.iter().all(|word| said.contains(word)), "{words:?} in: {said}");
}

#[tokio::test]
async fn what_is_wrong_with_a_kubeconfig_is_told_with_what_to_do() {
    let server = shared().await;
    let (url, ca) = (server.url(), server.ca());
    has(&refused("/nonexistent/config".into(), None).await, &["/nonexistent/config", "KUBECONFIG", "No such file"]);
    let unparsable = written(server, "clusters: [{name: a, cluster: {server:\nnonsense");
    has(&refused(unparsable.clone(), None).await, &[unparsable.to_str().unwrap(), "is no kubeconfig"]);
    let good = written(server, &kubeconfig(&url, Some(&ca), "{token: admin-token}"));
    has(&refused(good.clone(), Some("production")).await, &["no context \"production\"", "it has test"]);
    let no_current = fs::read_to_string(&good).unwrap().replace("current-context: test", "current-context: ''");
    has(&refused(written(server, &no_current), None).await, &["no current context", "test", "--kube=CONTEXT"]);
    let no_cluster = fs::read_to_string(&good).unwrap().replace("cluster: test,", "cluster: gone,");
    has(&refused(written(server, &no_cluster), None).await, &["gone"]);
    let expired = written(server, &kubeconfig(&url, Some(&ca), "{token: was-good-yesterday}"));
    has(&refused(expired, None).await, &[&url, "does not know these credentials", "log in again"]);
    let plugin =
        "{exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin, interactiveMode: Never}}";
    has(&refused(written(server, &kubeconfig(&url, Some(&ca), plugin)), None).await, &["no-such-plugin", "install"]);
    let plugin = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: 'false', interactiveMode: Never}}";
    has(&refused(written(server, &kubeconfig(&url, Some(&ca), plugin)), None).await, &["plugin false"]);
    let other_ca = server.folder().join("other-ca.crt");
    fs::write(&other_ca, OTHER_CA).unwrap();
    let wrong_ca = written(server, &kubeconfig(&url, Some(&other_ca), "{token: admin-token}"));
    has(&refused(wrong_ca, None).await, &[&url, "certificate", "certificate-authority"]);
    let nobody = written(server, &kubeconfig("https://127.0.0.1:9", Some(&ca), "{token: admin-token}"));
    has(&refused(nobody, None).await, &["no API server at https://127.0.0.1:9", "refused"]);
    has(&refused(written(server, &kubeconfig(&url, Some(Path::new("/no/ca")), "{token: a}")), None).await, &["/no/ca"]);
}

#[tokio::test]
async fn a_token_that_is_rotated_in_its_file_interrupts_nothing() {
    let server = shared().await;
    let user = ServiceAccount::new("mesh-tracer", "rotated");
    allow_as(&user).await;
    let (file, old) = (server.folder().join("rotated.token"), user.token(server).await.unwrap());
    fs::write(&file, &old).unwrap();
    let proxy = Proxy::start(server.admin()).await.unwrap();
    let kubeconfig = kubeconfig(&proxy.url(), None, &format!("{{tokenFile: {:?}}}", file.display().to_string()));
    let mut followed = Followed::begin(watch(), connected(written(server, &kubeconfig)).await);
    followed.until_synced().await;

    // The account is made anew: every token of the old one is void. The file has a new one.
    let account = account_object(&user);
    server.admin().delete(&account).await.unwrap();
    server.admin().apply(&account).await.unwrap();
    fs::write(&file, user.token(server).await.unwrap()).unwrap();
    server.refuses(&old).await.unwrap();
    proxy.cut();
    server.admin().apply(&namespace("rotated")).await.unwrap();
    followed.until("it goes on", |f| f.index.namespace("rotated").is_some()).await;
    assert_eq!(followed.listed, 0, "from where it was");
    assert!(!followed.seen.iter().any(|state| state.contains("401")), "{:?}", followed.seen);
    followed.end().await;
}

#[tokio::test]
async fn a_token_that_is_void_is_told_and_a_new_one_is_found_without_a_restart() {
    let server = shared().await;
    let user = ServiceAccount::new("mesh-tracer", "void");
    allow_as(&user).await;
    let proxy = Proxy::start(server.admin()).await.unwrap();
    let old = user.token(server).await.unwrap();
    let file = written(server, &kubeconfig(&proxy.url(), None, &format!("{{token: {old}}}")));
    let mut followed = Followed::begin(watch(), connected(file.clone()).await);
    followed.until_synced().await;
    let account = account_object(&user);
    server.admin().delete(&account).await.unwrap();
    server.refuses(&old).await.unwrap();
    proxy.cut();
    let is_refused = |f: &Followed| f.states.values().all(|state| state.to_string().contains("401"));
    followed.until("it is told", is_refused).await;

    server.admin().apply(&account).await.unwrap();
    let renewed = kubeconfig_of(server, &user, &proxy.url()).await;
    fs::rename(renewed, &file).unwrap();
    server.admin().apply(&namespace("void")).await.unwrap();
    followed.until("it goes on", |f| f.index.namespace("void").is_some()).await;
    assert_eq!(followed.listed, 0, "from where it was");
    followed.end().await;
}

fn account_object(of: &ServiceAccount) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": of.name, "namespace": of.namespace },
    })
}

/// The same roles as ours.
async fn allow_as(user: &ServiceAccount) {
    let server = shared().await;
    let (name, namespace) = (&user.name, &user.namespace);
    server.admin().apply(&account_object(user)).await.unwrap();
    let bindings = format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {{name: {name}}},
 roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: mesh-tracer}},
 subjects: [{{kind: ServiceAccount, name: {name}, namespace: {namespace}}}]}}
---
{{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: {name}, namespace: istio-system}},
 roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: mesh-tracer}},
 subjects: [{{kind: ServiceAccount, name: {name}, namespace: {namespace}}}]}}
"
    );
    for object in documents(&bindings).unwrap() {
        server.admin().apply(&object).await.unwrap();
    }
}

/// Of nobody that the API server knows.
const OTHER_CA: &str = include_str!("other-ca.crt");
