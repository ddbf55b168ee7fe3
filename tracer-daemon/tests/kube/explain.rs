//! `explain --kube` from outside: it reads the cluster once, says how far it is, and what it may not see.

use crate::cluster::{account, connected, kubeconfig_of, pod, watch, written};
use crate::shared;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tracer_daemon::source::cluster::watch::ReadError;
use tracer_lab::kubernetes::{Fault, Proxy, ServiceAccount, kubeconfig};

const TO: &str = "10.8.0.2:8080";

/// Exit status, answer, and words about the work.
async fn explained(kubeconfig: &Path, from: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
    command.args(["explain", "--from", from, "--to", TO, "--send", "tcp"]).args(more);
    command.env("KUBECONFIG", kubeconfig).env_remove("KUBERNETES_SERVICE_HOST").env_remove("RUST_LOG");
    // Proxies of this test live on this thread.
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn it_asks_the_cluster_of_the_context_and_tells_a_pod_that_is_not_there() {
    let server = shared().await;
    let pods = [pod("explain", "a", "10.8.0.1"), pod("explain", "b", "10.8.0.2")];
    server.etcd().seed(pods.iter().cloned()).await.unwrap();
    let file = kubeconfig_of(server, &account(), &server.url()).await;
    let (status, answer, said) = explained(&file, "explain/a", &["--kube=test"]).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(answer.starts_with("UNMESHED  not-in-mesh") && answer.contains("explain/b"), "{answer}");
    assert!(!answer.contains("left out"), "{answer}");
    let (status, _, said) = explained(&file, "explain/c", &["--kube"]).await;
    assert_eq!(status, Some(2));
    assert!(said.contains("pod explain/c is not among the facts: name one that the API server has"), "{said}");
    for pod in &pods {
        server.etcd().delete(pod).await.unwrap();
    }
}

#[tokio::test]
async fn what_it_may_not_see_is_left_out_and_every_answer_says_so() {
    let server = shared().await;
    let nobody = ServiceAccount::new("mesh-tracer", "nobody");
    let account = serde_json::json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "nobody", "namespace": "mesh-tracer" },
    });
    server.admin().apply(&account).await.unwrap();
    let file = kubeconfig_of(server, &nobody, &server.url()).await;
    let (status, answer, said) = explained(&file, "10.8.0.1", &["--kube", "-o", "json"]).await;
    assert_eq!(status, Some(0), "{said}");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let caveats: Vec<_> = answer["caveats"].as_array().unwrap().iter().map(|caveat| caveat.as_str().unwrap()).collect();
    for kind in ["Pod", "ConfigMap istio", "PeerAuthentication"] {
        let words = format!("left out of this answer: every {kind}: off: 403 ");
        let caveat = caveats.iter().find(|caveat| caveat.starts_with(&words));
        assert!(caveat.is_some_and(|caveat| caveat.contains("add to a role: ")), "{kind} in {caveats:#?}");
    }
    assert_eq!(answer["to"]["pod_unknown"], "facts-not-synced", "{answer}");
    assert_eq!(answer["class"], "undetermined", "nothing is known, so nothing is presumed: {answer}");
}

#[tokio::test]
async fn where_no_api_server_answers_it_says_what_to_mend() {
    let server = shared().await;
    let ca = server.ca();
    let nobody = written(server, &kubeconfig("https://127.0.0.1:9", Some(&ca), "{token: admin-token}"));
    for (file, more, status, words) in [
        (Path::new("/nonexistent/config"), "--kube", 2, "cannot read kubeconfig /nonexistent/config"),
        (&nobody, "--kube=other", 2, "has no context \"other\"; it has test"),
        (&nobody, "--kube", 3, "no API server at https://127.0.0.1:9"),
    ] {
        let (ended, answer, said) = explained(file, "10.8.0.1", &[more]).await;
        assert!(ended == Some(status) && said.contains(words) && answer.is_empty(), "{ended:?} {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let file = kubeconfig_of(server, &account(), &server.url()).await;
    let (status, _, said) = explained(&file, "10.8.0.1", &["--kube", "--facts", "x.yaml"]).await;
    assert!(status == Some(2) && said.contains("--facts and --kube are given together"), "{said}");
}

#[tokio::test]
async fn a_long_read_says_how_far_it_is() {
    let server = shared().await;
    let pods: Vec<_> = (0..100).map(|n| pod("explain-slow", &format!("pod-{n}"), &format!("10.8.1.{n}"))).collect();
    server.etcd().seed(pods.iter().cloned()).await.unwrap();
    let proxy = Proxy::start(server.admin()).await.unwrap();
    proxy.set(Fault::Throttle { bytes: 25_000 });
    let file = kubeconfig_of(server, &account(), &proxy.url()).await;
    let (status, _, said) = explained(&file, "explain-slow/pod-0", &["--kube"]).await;
    assert_eq!(status, Some(0), "{said}");
    let is_progress =
        |line: &str| line.contains("reading the cluster: ") && line.contains(" objects, and not all yet of ");
    assert!(said.lines().any(is_progress), "{said}");
    for pod in &pods {
        server.etcd().delete(pod).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_tells_the_same_again_and_never_all_is_given_up_with_what_is_missing() {
    let server = shared().await;
    let pods: Vec<_> = (0..20).map(|n| pod("explain-cut", &format!("pod-{n}"), &format!("10.8.2.{n}"))).collect();
    server.etcd().seed(pods.iter().cloned()).await.unwrap();
    let proxy = Proxy::start(server.admin()).await.unwrap();
    // Enough for a greeting and for the first pods.
    proxy.set(Fault::Cut { after: 2000 });
    let connection = connected(kubeconfig_of(server, &account(), &proxy.url()).await).await;
    let error = watch().read(&connection, Duration::from_secs(1)).await.unwrap_err();
    let ReadError::Stalled { missing, .. } = &error else { panic!("{error}") };
    assert!(missing.contains("Pod: failing, what is known gets older: "), "{missing}");
    assert!(error.to_string().contains("nothing new for 1s"), "{error}");
    for pod in &pods {
        server.etcd().delete(pod).await.unwrap();
    }
}
