//! All that is claimed of the manifests and the image, on a real Kubernetes: API server, scheduler, controllers, kubelets,
//! containerd and runc. Needs root, `cargo xtask image` and what `cargo xtask cluster` sets up.

#![expect(clippy::unwrap_used, reason = "in a test an unwrap is an assertion with a line number")]

mod installed;
mod kubectl;
mod pages;

use installed::Installed;
use kubectl::Kubectl;
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tracer_lab::cluster::{Cluster, Options};

/// The image of this machine's architecture, as `cargo xtask image` leaves it.
fn image() -> PathBuf {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let image = here(&format!("../target/image/mesh-tracer-{architecture}.tar"));
    assert!(image.is_file(), "no {}: build it with `cargo xtask image`", image.display());
    image
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// One cluster for all of it: what comes later stands on what came before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "full: a Kubernetes of two nodes, a minute"]
async fn it_is_installed_it_traces_it_is_upgraded_and_it_leaves_nothing() {
    let cluster = Cluster::up(&Options { nodes: 2, images: vec![image()] }).await.unwrap();
    let kubectl = Kubectl::new(&cluster);
    let probes = kubectl::probes();
    assert!(probes.is_empty(), "somebody else traces on this machine: {probes:?}");

    // Where Istio is: roles are bound in its namespace. And where we shall be: a dry run makes no namespace.
    kubectl.says(&["create", "namespace", "istio-system"]);
    kubectl.says(&["apply", "-f", here("../manifests/base/namespace.yaml").to_str().unwrap()]);
    for overlay in ["base", "overlays/ambient", "overlays/events", "overlays/local"] {
        let overlay = here(&format!("../manifests/{overlay}"));
        kubectl.says(&["apply", "-k", overlay.to_str().unwrap(), "--dry-run=server", "--validate=strict"]);
    }
    let [install @ .., uninstall] = &kubectl::shown("README.md", "Install it")[..] else {
        panic!("README installs nothing")
    };
    let installed = Installed::by(&kubectl, install);
    it_may_do_no_more_than_it_must(&kubectl, &installed);

    kubectl.says(&["apply", "-f", here("tests/cluster/apps.yaml").to_str().unwrap()]);
    for set in ["web", "agent"] {
        kubectl.says(&["rollout", "status", "--namespace=demo", &format!("daemonset/{set}"), "--timeout=120s"]);
    }
    let [first, second] = [1, 2].map(|node| kubectl.pod("demo", "web", node));
    a_call_between_nodes_is_one_on_both(&kubectl, &installed, &first, &second);
    host_network_pods_are_told_from_the_node(&kubectl, &installed, &first);
    a_prober_is_no_application(&installed, &first);
    it_is_scraped_at_the_pods_address(&kubectl);
    every_node_is_seen_from_one_place(&kubectl, &first, &second);
    what_happens_now_is_followed_on_every_node(&kubectl, &first, &second);
    what_cannot_be_reached_is_named(&kubectl, &first);

    a_flow_of_another_node_is_explained_from_here(&kubectl, &first, &second);
    the_page_shows_every_node(&kubectl);
    pages::are_as_they_say(&kubectl, &first, &second);
    an_upgrade_while_calls_run_is_told(&kubectl, &first, &second);
    what_keeps_being_rejected_is_described(&kubectl, &first, &second);

    kubectl.types(uninstall);
    nothing_is_left(&kubectl);
    as_an_operator_installs_and_uninstalls_it(&kubectl);
    nothing_is_left(&kubectl);
}

fn nothing_is_left(kubectl: &Kubectl<'_>) {
    assert_eq!(kubectl.says(&["get", "namespace", "mesh-tracer", "--ignore-not-found"]), "");
    assert!(kubectl::daemons().is_empty(), "no process is left");
    assert_eq!(kubectl::probes(), Vec::<String>::new(), "no probe is left");
}

/// The way with a registry of one's own, word for word.
fn as_an_operator_installs_and_uninstalls_it(kubectl: &Kubectl<'_>) {
    let shown = kubectl::shown("docs/install.md", "Install, upgrade, uninstall");
    assert_eq!(shown.len(), 3, "{shown:?}");
    for line in &shown {
        kubectl.types(line);
    }
}

/// Capabilities, root file system, Secrets: each is tried.
fn it_may_do_no_more_than_it_must(kubectl: &Kubectl<'_>, installed: &Installed<'_>) {
    let daemons = kubectl::daemons();
    assert_eq!(daemons.len(), 2, "one on each node");
    for pid in daemons {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
        // NET_ADMIN, PERFMON, BPF.
        let three = "000000c000001000";
        assert_eq!([field("CapEff:"), field("CapPrm:"), field("CapBnd:")], [three; 3]);
        assert_eq!([field("NoNewPrivs:"), field("Seccomp:")], ["1", "2"]);
    }
    let refused = installed.refused(
        1,
        &["run", "--facts", "/dev/null", "--journal", "/flows.jsonl", "--socket", "/run/mesh-tracer/second.sock"],
    );
    assert!(refused.contains("/flows.jsonl") && refused.contains("Read-only file system"), "{refused}");

    let account = "--as=system:serviceaccount:mesh-tracer:mesh-tracer";
    for [verb, what] in
        [["get", "secrets"], ["create", "pods"], ["delete", "pods"], ["get", "nodes/proxy"], ["create", "pods/exec"]]
    {
        let (may, said) = kubectl.tried(&["auth", "can-i", verb, what, "--all-namespaces", account]);
        assert!(!may && said.trim() == "no", "{verb} {what}: {said}");
    }
    let (given, said) = kubectl.tried(&["get", "secrets", "--all-namespaces", account]);
    assert!(!given && said.contains("Forbidden"), "{said}");
    let (given, said) = kubectl.tried(&["get", "pods", "--all-namespaces", account]);
    assert!(given && said.contains("mesh-tracer"), "{said}");
}

fn a_call_between_nodes_is_one_on_both(
    kubectl: &Kubectl<'_>,
    installed: &Installed<'_>,
    first: &kubectl::Pod,
    second: &kubectl::Pod,
) {
    kubectl.call(first, &format!("http://{}:8080/", second.ip));
    let is_it = |record: &Value| {
        record["client"]["pod"] == *first.name
            && record["server"]["pod"] == *second.name
            && record["outcome"] != "still-connecting"
    };
    let [here, there] = [1, 2].map(|node| installed.flow(node, is_it));
    for record in [&here, &there] {
        assert_eq!(record["server"]["port"], 8080);
        assert_eq!([&record["client"]["workload"], &record["server"]["workload"]], ["web", "web"], "{record}");
        assert_eq!([&record["client"]["mesh"], &record["server"]["mesh"]], ["none", "none"], "{record}");
        assert_eq!(record["class"], "unmeshed", "{record}");
    }
    assert!(here["handshake"].is_string() && here["handshake"] == there["handshake"], "{here} {there}");
    assert_eq!([&here["node"], &there["node"]], ["node1", "node2"]);
}

/// By cgroup: the address is the one that kubelet probes from, too.
fn host_network_pods_are_told_from_the_node(kubectl: &Kubectl<'_>, installed: &Installed<'_>, to: &kubectl::Pod) {
    let agent = kubectl.pod("demo", "agent", 1);
    kubectl.call(&agent, &format!("http://{}:8080/", to.ip));
    let record = installed.flow(1, |record| record["client"]["pod"] == *agent.name);
    assert_eq!([&record["client"]["workload"], &record["server"]["pod"]], ["agent", &*to.name], "{record}");
}

/// kubelet's: from the node, not from a pod of it.
fn a_prober_is_no_application(installed: &Installed<'_>, pod: &kubectl::Pod) {
    let record = installed.flow(1, |record| record["server"]["pod"] == *pod.name && record["client"]["pod"].is_null());
    assert_eq!(record["traffic"], "probe", "{record}");
}

fn it_is_scraped_at_the_pods_address(kubectl: &Kubectl<'_>) {
    let tracer = kubectl.pod("mesh-tracer", "mesh-tracer", 2);
    let metrics = kubectl::get(&format!("{}:9464", tracer.ip), "/metrics");
    let own = metrics
        .lines()
        .find(|line| line.starts_with("meshtracer_flows_total{") && line.contains(r#"source_workload="web""#));
    assert!(own.is_some(), "{metrics}");
    for path in ["/", "/flows", "/page"] {
        assert!(kubectl::get(&format!("{}:9464", tracer.ip), path).starts_with("HTTP/1.1 404"), "{path}");
    }
}

/// By an exec into each daemon's pod, as a plugin of kubectl: of the two reports of one connection one is shown.
fn every_node_is_seen_from_one_place(kubectl: &Kubectl<'_>, first: &kubectl::Pod, second: &kubectl::Pod) {
    let between = ["--from-pod", &format!("demo/{}", first.name), "--to-pod", &format!("demo/{}", second.name)];
    let observe = |more: &[&str]| kubectl.plugin(&[&["observe", "--all-nodes"], &between[..], more].concat());
    let (status, json, summary) = observe(&["--output", "json"]);
    let records: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((status, records.len()), (Some(0), 1), "{json}{summary}");
    assert!(summary.contains("1 shown") && summary.contains("0 lost"), "{summary}");
    assert_eq!([&records[0]["client"]["pod"], &records[0]["server"]["pod"]], [&*first.name, &*second.name]);
    let (_, compact, _) = observe(&[]);
    assert!(compact.lines().count() == 1 && compact.lines().all(|line| line.chars().count() <= 120), "{compact}");
}

/// Without a word of what was before.
fn what_happens_now_is_followed_on_every_node(kubectl: &Kubectl<'_>, first: &kubectl::Pod, second: &kubectl::Pod) {
    let calls = kubectl.calls(first, &format!("http://{}:8080/", second.ip));
    let line = kubectl.following(&["observe", "-A", "-f", "--output=json", "--ip", &second.ip]).first_line();
    let record: Value = serde_json::from_str(&line).unwrap();
    assert_eq!([&record["client"]["pod"], &record["server"]["pod"]], [&*first.name, &*second.name], "{record}");
    drop(calls);
}

/// A daemon that does not answer is named, and the others go on.
fn what_cannot_be_reached_is_named(kubectl: &Kubectl<'_>, first: &kubectl::Pod) {
    let second = kubectl::daemon_of("node2");
    kill_process(second, Signal::STOP).unwrap();
    let (status, json, said) = kubectl.plugin(&["observe", "-A", "--output=json", "--ip", &first.ip]);
    let (_, why, _) = kubectl.plugin(&["why", "-A", &format!("demo/{}", first.name), "--output=json"]);
    kill_process(second, Signal::CONT).unwrap();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("node node2 is missing: ") && said.contains("no answer"), "{said}");
    assert!(json.lines().count() > 0 && said.contains(" shown"), "{said}");
    let why: Value = serde_json::from_str(&why).unwrap();
    let unknown: Vec<_> =
        why["unknown"].as_array().unwrap().iter().map(|doubt| doubt["says"].as_str().unwrap()).collect();
    let missing = unknown.iter().filter(|says| says.contains("node node2 is missing: "));
    assert_eq!(missing.count(), 1, "said once: {unknown:?}");
}

/// `why` asks every node what it saw, what it lacks, and how to mend it; `explain` the one that saw the flow.
fn a_flow_of_another_node_is_explained_from_here(kubectl: &Kubectl<'_>, first: &kubectl::Pod, second: &kubectl::Pod) {
    // Nobody listens there.
    kubectl.call(first, &format!("http://{}:9999/", second.ip));
    let subject = format!("demo/{}", second.name);
    let (status, json, said) = kubectl.plugin(&["why", "-A", &subject, "--output=json"]);
    let why: Value = serde_json::from_str(&json).unwrap_or_else(|_| panic!("{status:?} {json}{said}"));
    let troubles = why["troubles"].as_array().unwrap();
    let refused = troubles.iter().find(|trouble| trouble["to"].as_str().unwrap().ends_with(":9999"));
    let refused = refused.unwrap_or_else(|| panic!("{why:#}"));
    assert_eq!(refused["class"], "rejected", "{refused}");
    assert!(!refused["patch_unknown"].as_str().unwrap_or_default().contains("recording"), "{refused}");
    let id = refused["examples"][0]["id"].as_str().unwrap();
    // One kernel below both nodes: the probes of each see it.
    assert!(id.starts_with("node1-") || id.starts_with("node2-"), "{refused}");
    let (status, answer, said) = kubectl.plugin(&["explain", id, "--kube", "--output=json"]);
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{status:?} {answer}{said}"));
    assert_eq!([&answer["class"], &answer["reason"]], [&refused["class"], &refused["reason"]], "{answer}");
    let (status, _, said) = kubectl.plugin(&["explain", "node9-1-1", "--kube"]);
    assert!(status == Some(2) && said.contains("of no node that has a daemon now"), "{said}");
}

/// Flows of both nodes in one browser, and what each daemon says of itself.
fn the_page_shows_every_node(kubectl: &Kubectl<'_>) {
    let mut page = kubectl.following(&["page", "-A"]);
    let url = page.line();
    let (address, path) = url.trim_end().strip_prefix("http://").unwrap().split_once('/').unwrap();
    let status = kubectl::get(address, &format!("/{path}status"));
    assert!(status.contains(r#""node":"node1""#) && status.contains(r#""node":"node2""#), "{status}");
    let mut flows = kubectl::streamed(address, &format!("/{path}flows"));
    let mut nodes = BTreeSet::new();
    while nodes.len() < 2 {
        let line = flows.next().expect("flows of both nodes").unwrap();
        if let Ok(record) = serde_json::from_str::<Value>(&line) {
            nodes.extend(record["node"].as_str().map(str::to_owned));
        }
    }
}

/// `kubectl describe pod` shows it, with what to do, where the overlay asks for it.
fn what_keeps_being_rejected_is_described(kubectl: &Kubectl<'_>, from: &kubectl::Pod, to: &kubectl::Pod) {
    kubectl.says(&["apply", "-k", kubectl.overlay("events").to_str().unwrap()]);
    kubectl.says(&["rollout", "status", "--namespace=mesh-tracer", "daemonset/mesh-tracer", "--timeout=120s"]);
    for _ in 0..5 {
        kubectl.call(from, &format!("http://{}:9999/", to.ip));
    }
    let described = || kubectl.says(&["describe", "pod", "--namespace=demo", &to.name]);
    let is_told = |text: &String| text.contains("mesh-tracer") && text.contains(&format!("{}:9999", to.name));
    let told = (0..80).map(|_| described()).find(is_told).unwrap_or_else(described);
    let event = told.lines().find(|line| line.contains(":9999")).unwrap_or_else(|| panic!("{told}"));
    assert!(event.contains("Warning") && event.contains("demo/web"), "{event}");
    let tracer = kubectl.pod("mesh-tracer", "mesh-tracer", 1);
    // Nobody's socket was there to see a refused call, so whoever calls tells of it: here, below one kernel, both nodes.
    let status = || kubectl.exec(&tracer, &["/mesh-tracer", "status"]);
    let is_written = |text: &String| text.contains("Kubernetes Events: ");
    let told = (0..80).map(|_| status()).find(is_written).unwrap_or_else(status);
    assert!(told.contains("Kubernetes Events: 1 written, 0 not\n"), "{told}");
}

/// Of the old daemon what it knew is written, and the new one accounts for every event.
fn an_upgrade_while_calls_run_is_told(kubectl: &Kubectl<'_>, from: &kubectl::Pod, to: &kubectl::Pod) {
    let before = kubectl.pod("mesh-tracer", "mesh-tracer", 1);
    let says = kubectl.follow(&["logs", "--namespace=mesh-tracer", "--follow", &before.name]);
    let calls = kubectl.calls(from, &format!("http://{}:8080/", to.ip));
    kubectl.says(&["rollout", "restart", "--namespace=mesh-tracer", "daemonset/mesh-tracer"]);
    kubectl.says(&["rollout", "status", "--namespace=mesh-tracer", "daemonset/mesh-tracer", "--timeout=120s"]);
    drop(calls);
    let log = says.until_it_ends();
    assert!(log.contains("stopped: ") && log.contains(" 0 lost"), "{log}");
    let after = kubectl.pod("mesh-tracer", "mesh-tracer", 1);
    assert_ne!(before.name, after.name);
    let status: Value =
        serde_json::from_str(&kubectl.exec(&after, &["/mesh-tracer", "status", "--output", "json"])).unwrap();
    for events in status["events"].as_array().unwrap() {
        let count = |stage: &str| events[stage].as_u64().unwrap();
        assert!(count("emitted") >= count("decoded") + count("malformed") + count("lost"), "{events}");
        assert_eq!(count("lost"), 0, "{events}");
    }
}
