//! What is installed: a real API server takes it, and the daemon takes what it says.

use crate::cluster::{NAMESPACE, namespace};
use crate::started;
use clap::Parser;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tracer_daemon::cli::{self, Cli};
use tracer_lab::kubernetes::{Options, documents};

fn base() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/base")
}

fn read(file: &str) -> Vec<Value> {
    documents(&fs::read_to_string(base().join(file)).unwrap()).unwrap()
}

fn daemon_set() -> Value {
    read("daemonset.yaml").remove(0)
}

/// The daemon's container.
fn container() -> Value {
    daemon_set()["spec"]["template"]["spec"]["containers"][0].clone()
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_real_api_server_takes_every_manifest() {
    let server = started(Options::default()).await;
    let kustomization = read("kustomization.yaml").remove(0);
    let mut kinds = Vec::new();
    for file in words(&kustomization["resources"]) {
        for object in read(file) {
            // Applied on the server: a field that it does not know is an error.
            server.admin().apply(&object).await.unwrap_or_else(|error| panic!("{file}: {error:#}"));
            kinds.push(object["kind"].as_str().unwrap().to_owned());
        }
    }
    for kind in ["Namespace", "ServiceAccount", "ClusterRole", "Role", "DaemonSet", "NetworkPolicy"] {
        assert!(kinds.iter().any(|known| known == kind), "no {kind} in {kinds:?}");
    }

    // What the DaemonSet makes on each node, in its own namespace, and in one that admits less.
    let mut template = daemon_set()["spec"]["template"].clone();
    let pod = |namespace: &str, template: &mut Value| {
        template["metadata"]["name"] = json!("mesh-tracer-0");
        template["metadata"]["namespace"] = json!(namespace);
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"] })
    };
    let admitted = server.admin().apply(&pod(NAMESPACE, &mut template)).await;
    assert!(admitted.is_ok(), "{admitted:?}");
    let mut strict = namespace("strict");
    strict["metadata"]["labels"] = json!({ "pod-security.kubernetes.io/enforce": "baseline" });
    server.admin().apply(&strict).await.unwrap();
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": "mesh-tracer", "namespace": "strict" } });
    server.admin().apply(&account).await.unwrap();
    let refused = server.admin().apply(&pod("strict", &mut template)).await.unwrap_err().to_string();
    assert!(refused.contains("PodSecurity") && refused.contains("hostPath"), "{refused}");
}

#[test]
fn the_daemon_takes_the_arguments_that_it_is_given() {
    let container = container();
    let arguments = words(&container["args"]).into_iter().map(|argument| argument.replace("$(POD_IP)", "10.244.0.9"));
    let parsed = Cli::try_parse_from(["mesh-tracer".to_owned()].into_iter().chain(arguments));
    let cli::Command::Run(run) = parsed.unwrap().command else { panic!("not run") };
    let mounted = |path: &Path| {
        let mounts = container["volumeMounts"].as_array().unwrap();
        mounts.iter().any(|mount| path.starts_with(mount["mountPath"].as_str().unwrap()))
    };
    assert!(mounted(&run.socket) && mounted(&run.journal.unwrap()) && mounted(&run.cgroup.unwrap()));
    let port = container["ports"][0]["containerPort"].as_u64().unwrap();
    assert_eq!(u64::from(run.listen.port()), port);
}

#[test]
fn with_the_capabilities_that_it_is_given_every_hook_attaches() {
    let container = container();
    let context = &container["securityContext"];
    assert_eq!(words(&context["capabilities"]["drop"]), ["ALL"]);
    let added = words(&context["capabilities"]["add"]);
    assert_eq!(added, ["BPF", "PERFMON", "NET_ADMIN"]);
    let bounding = added.iter().fold("-all".to_owned(), |set, name| format!("{set},+{}", name.to_lowercase()));
    let output = Command::new("setpriv")
        .arg(format!("--bounding-set={bounding}"))
        .args(["--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs", "--"])
        .args([env!("CARGO_BIN_EXE_mesh-tracer"), "check"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let hooks = said.lines().filter(|line| line.contains(" hook "));
    assert!(hooks.clone().count() >= 8 && hooks.clone().all(|line| line.starts_with("ok")), "{said}");
}
