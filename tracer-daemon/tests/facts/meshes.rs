//! Whole clusters: the lab's meshes are read without a word of complaint, and survive a tape.

use std::path::{Path, PathBuf};
use tracer_daemon::source::cluster::{ClusterEvent, FileFacts, IstioInstallation, lower, read_facts};
use tracer_engine::mesh::facts::{Delta, Fact, Kind};

/// The lab's meshes and the clusters whose truth is known.
fn meshes() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut meshes = Vec::new();
    for (folder, at_least) in [("../tracer-lab/meshes", 4), ("tests/truth", 40)] {
        let entries = std::fs::read_dir(root.join(folder)).expect("the clusters are in the repository");
        let clusters = entries.map(|entry| entry.expect("an entry").path().join("cluster.yaml"));
        let clusters: Vec<_> = clusters.filter(|cluster| cluster.exists()).collect();
        assert!(clusters.len() >= at_least, "only {} clusters in {folder}", clusters.len());
        meshes.extend(clusters);
    }
    meshes
}

#[test]
fn every_object_of_every_mesh_becomes_a_fact() {
    for mesh in meshes() {
        let text = std::fs::read_to_string(&mesh).expect("the mesh is in the repository");
        let objects = text.lines().filter(|line| line.starts_with("kind: ")).count();
        let facts = read_facts(std::slice::from_ref(&mesh), &IstioInstallation::default()).expect("readable facts");
        assert_eq!(facts.skipped, [], "{}", mesh.display());
        assert!(facts.report.unknown_kinds.is_empty() && facts.report.remarks.is_empty(), "{:?}", facts.report);
        let upserts = facts.deltas.iter().filter(|delta| matches!(delta, Delta::Upsert(_))).count();
        assert_eq!(upserts, objects, "{}", mesh.display());
        for kind in [Kind::Pod, Kind::Service, Kind::EndpointSlice, Kind::Namespace] {
            let some = facts.deltas.iter().any(|delta| matches!(delta, Delta::Upsert(fact) if fact.kind() == kind));
            assert!(some, "no {kind:?} in {}", mesh.display());
        }
    }
}

#[test]
fn objects_become_the_same_facts_after_a_tape() {
    for mesh in meshes() {
        let istio = IstioInstallation::default();
        let mut files = FileFacts::open(&[mesh], istio.clone()).expect("facts");
        for event in files.load().expect("readable facts") {
            let json = serde_json::to_string(&event).expect("events are JSON");
            let again: ClusterEvent = serde_json::from_str(&json).expect("its own JSON");
            assert_eq!(again, event);
            assert_eq!(lower(&again, &istio), lower(&event, &istio));
        }
    }
}

#[test]
fn json_says_the_same_as_yaml() {
    for mesh in meshes() {
        let text = std::fs::read_to_string(&mesh).expect("the mesh is in the repository");
        let items: Vec<serde_json::Value> = serde_saphyr::from_multiple(&text).expect("YAML");
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items});
        let (_dir, json) = crate::written(list.to_string());
        let load = |path| {
            let mut files = FileFacts::open(&[path], IstioInstallation::default()).expect("facts");
            files.load().expect("readable facts")
        };
        assert_eq!(load(json), load(mesh));
    }
}

#[test]
fn what_no_rule_needs_is_not_kept() {
    let secret = "keep-this-out";
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a, namespace: b, annotations: {{note: {secret}, \
         sidecar.istio.io/status: '{{}}'}}, managedFields: [{{manager: {secret}}}]}}\nspec:\n  volumes: [{{name: {secret}}}]\n  \
         containers:\n  - {{name: {secret}, image: {secret}, command: [{secret}], args: [{secret}], env: [{{name: A, value: {secret}}}]}}\n  \
         - {{name: istio-proxy, image: 'p:1', args: [{secret}], env: [{{name: A, value: {secret}}}]}}\n  \
         initContainers:\n  - {{name: istio-init, image: {secret}, args: [-p, '15001'], env: [{{name: A, value: {secret}}}]}}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\ndata:\n  meshNetworks: {secret}\n  \
         mesh: |\n    trustDomain: td\n    extensionProviders: [{{name: {secret}}}]\n"
    );
    let (_dir, file) = crate::written(&text);
    let mut files = FileFacts::open(&[file], IstioInstallation::default()).expect("facts");
    let events = files.load().expect("readable facts");
    let kept = events.iter().map(|event| serde_json::to_string(event).expect("events are JSON")).collect::<String>();
    assert!(!kept.contains(secret), "{kept}");
    assert!(kept.contains("15001") && kept.contains("\"p:1\"") && kept.contains("\"td\""), "{kept}");
    let told = events.iter().filter_map(|event| lower(event, &IstioInstallation::default()).expect("good values"));
    assert!(told.into_iter().any(|delta| matches!(delta, Delta::Upsert(fact) if matches!(*fact, Fact::Pod(_)))));
}
