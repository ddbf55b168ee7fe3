//! The same cluster from its file and from the API server: the same facts, and the same answers to every question.

use crate::cluster::{account, connected, kubeconfig_of, watch};
use crate::started;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tracer_daemon::source::cluster::watch::Watch;
use tracer_daemon::source::cluster::{IstioInstallation, read_facts};
use tracer_engine::mesh::facts::{Delta, Kind, ObjectKey};
use tracer_engine::mesh::index::Index;
use tracer_engine::net::Ktime;
use tracer_lab::kubernetes::{Options, documents};

const PATIENCE: Duration = Duration::from_mins(1);

/// What every API server makes for itself, and the roles of the tests.
const OWN: [&str; 7] =
    ["default", "default/kubernetes", "istio-system", "kube-node-lease", "kube-public", "kube-system", "mesh-tracer"];

#[tokio::test]
async fn each_cluster_of_the_truth_says_the_same_and_answers_the_same_by_file_and_by_api() {
    let server = started(Options::default()).await;
    let kubeconfig = kubeconfig_of(&server, &account(), &server.url()).await;
    let connection = connected(kubeconfig.clone()).await;
    let (mut compared, mut answered, clusters) = (0, 0, clusters());
    for folder in &clusters {
        let file = folder.join("cluster.yaml");
        let from_file = read_facts(std::slice::from_ref(&file), &IstioInstallation::default()).unwrap();
        assert_eq!(from_file.skipped, [], "{}", file.display());
        let objects = documents(&fs::read_to_string(&file).unwrap()).unwrap();
        server.etcd().clear().await.unwrap();
        server.etcd().seed(objects.iter().cloned()).await.unwrap();
        // Both ways in which a list comes.
        let watch = Watch { streaming: compared % 2 == 0, ..watch() };
        let from_api = watch.read(&connection, PATIENCE).await.unwrap();
        assert!(from_api.unreadable.is_empty() && from_api.withheld.is_empty(), "{:?}", from_api.unreadable);
        assert_eq!(by_name(&from_api.deltas), by_name(&from_file.deltas), "{}", file.display());
        assert_eq!(seniority(&from_api.deltas), seniority(&from_file.deltas), "{}", file.display());
        let questions = folder.join("calls.jsonl");
        let [by_api, by_file] = [&["--kube".into()][..], &["--facts".into(), file.clone().into_os_string()]]
            .map(|facts| explained(facts, &kubeconfig, &questions));
        assert!(by_api == by_file, "{}: {}", file.display(), first_difference(&by_api, &by_file));
        answered += by_api.lines().count();
        for namespace in objects.iter().filter(|object| object["kind"] == "Namespace") {
            forget(&server.etcd(), namespace).await;
        }
        compared += 1;
    }
    assert!(compared >= 40 && compared == clusters.len(), "{compared} clusters");
    assert_eq!(answered, 4484);
}

/// What the binary says to a batch.
fn explained(facts: &[OsString], kubeconfig: &Path, questions: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
    command.arg("explain").args(facts).arg("--batch").arg(questions).args(["-o", "json", "--log", "warn"]);
    command.env("KUBECONFIG", kubeconfig).env_remove("KUBERNETES_SERVICE_HOST");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{facts:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn first_difference(one: &str, other: &str) -> String {
    let different = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    different.map_or_else(|| "one is longer".to_owned(), |(one, other)| format!("\n{one}\n{other}"))
}

/// Namespaces stay behind where a test clears the cluster: here they are part of it.
async fn forget(etcd: &tracer_lab::kubernetes::Etcd, namespace: &Value) {
    if !OWN.contains(&namespace["metadata"]["name"].as_str().unwrap()) {
        etcd.delete(namespace).await.unwrap();
    }
}

fn clusters() -> Vec<PathBuf> {
    let truth = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/truth");
    let folders = fs::read_dir(truth).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = folders.filter(|path| path.join("cluster.yaml").is_file()).collect();
    folders.sort();
    folders
}

/// What is said of each object, but for those that the API server has for itself.
fn by_name(deltas: &[Delta]) -> BTreeMap<String, &Delta> {
    let named = deltas.iter().map(|delta| match delta {
        Delta::Upsert(fact) => (format!("{:?} {}", fact.kind(), name(delta)), delta),
        Delta::Remove(kind, key) => (format!("remove {kind:?} {key}"), delta),
        Delta::Synced(kind) => (format!("synced {kind:?}"), delta),
    });
    named.filter(|(_, delta)| !OWN.contains(&&*name(delta))).collect()
}

fn name(delta: &Delta) -> String {
    let mut index = Index::new();
    index.apply(Ktime(1), delta);
    let kinds = KINDS.into_iter();
    kinds.flat_map(|kind| index.keys(kind)).map(|key: ObjectKey| key.to_string()).collect()
}

/// Facts as Istio ranks them where two want the same: the creation times survived.
fn seniority(deltas: &[Delta]) -> Vec<String> {
    let mut index = Index::new();
    for delta in deltas.iter().filter(|delta| !OWN.contains(&&*name(delta))) {
        index.apply(Ktime(1), delta);
    }
    let mut services: Vec<_> = index.keys(Kind::Service).iter().filter_map(|key| index.service(key).cloned()).collect();
    services.sort_by(|a, b| a.seniority().cmp(&b.seniority()));
    services.iter().map(|service| format!("{:?} {}", service.created, service.hostname)).collect()
}

const KINDS: [Kind; 12] = [
    Kind::Namespace,
    Kind::Node,
    Kind::Pod,
    Kind::Service,
    Kind::EndpointSlice,
    Kind::MeshConfig,
    Kind::PeerAuthentication,
    Kind::DestinationRule,
    Kind::ServiceEntry,
    Kind::Sidecar,
    Kind::VirtualService,
    Kind::AuthorizationPolicy,
];
