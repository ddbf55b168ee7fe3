//! Sockets whose cgroup tells whose they are (trap 16).

use crate::cluster::{Cluster, ip};
use crate::lab::{A_WHILE, Lab, flows};
use tracer_engine::input::Input;
use tracer_engine::mesh::facts::Fact;
use tracer_engine::net::{CgroupId, Ktime};
use tracer_engine::record::{Attribution, FlowRecord, Record, Traffic};
use tracer_engine::socket::CgroupOwner;
use tracer_engine::{Config, Engine};

const SERVER: &str = "shop/web-0";
const DIALLED: &str = "10.244.1.40:9100";
const NODE: &str = "172.18.0.2";

/// A bridge's, among those of pods.
const BRIDGE: &str = "10.244.1.1";

/// What is told when each of these dials once; with the uid that its cgroup is named after, where it is a pod's, or `-`
/// where it is known to be none's. What is in the namespace `node` is no pod.
fn told(callers: &[(&str, &str)]) -> Vec<Record> {
    let mut cluster = Cluster::new(&["istio-system", "shop"]).plain(SERVER, "10.244.1.40");
    for (caller, _) in callers {
        let address = match *caller {
            "node/prober" => BRIDGE,
            pod if pod.starts_with("shop/") => "10.244.1.30",
            _ => NODE,
        };
        cluster = cluster.plain(caller, address);
    }
    for fact in &mut cluster.facts {
        if let Fact::Pod(pod) = fact {
            pod.host_network = pod.ips[0] == ip(NODE);
        }
    }
    let mut lab = Lab::new(cluster);
    for (caller, _) in callers {
        let mut conn = lab.dial(caller, DIALLED);
        lab.arrive(&mut conn, SERVER);
        lab.wire.pass(A_WHILE);
    }
    lab.cluster.facts.retain(|fact| !matches!(fact, Fact::Pod(pod) if &*pod.key.namespace == "node"));
    let cgroup = |netns: u32| CgroupId(u64::from(netns));
    let mut engine = Engine::new(Config::default());
    let mut records = Vec::new();
    let mut emit = |record| records.push(record);
    for delta in lab.cluster.deltas() {
        engine.handle(Input::Facts { at: Ktime(1), delta }, &mut emit);
    }
    for (caller, uid) in callers.iter().filter(|(_, uid)| !uid.is_empty()) {
        let owner = CgroupOwner {
            at: Ktime(2),
            cgroup: cgroup(lab.netns(caller)),
            pod: Some((*uid).into()).filter(|_| *uid != "-"),
        };
        engine.handle(Input::CgroupOwner(owner), &mut emit);
    }
    for mut event in lab.wire.events {
        event.socket.owner.cgroup = cgroup(event.socket.owner.netns.0);
        engine.handle(Input::Socket(event), &mut emit);
    }
    while let Some(due) = engine.next_tick() {
        engine.handle(Input::Tick(due), &mut emit);
    }
    records
}

fn client(flow: &FlowRecord) -> String {
    match &flow.client.who {
        Attribution::Pod(pod) => pod.pod.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn trap_16_pods_on_one_address_are_told_apart_by_cgroup() {
    let records = told(&[
        ("monitoring/exporter-0", "uid-of-monitoring/exporter-0"),
        ("kube-system/agent-0", "uid-of-kube-system/agent-0"),
        ("node/kubelet", ""),
    ]);
    let flows = flows(&records);
    let clients: Vec<String> = flows.iter().map(|flow| client(flow)).collect();
    assert_eq!(clients, ["monitoring/exporter-0", "kube-system/agent-0", "Node(\"node-1\")"]);
    // What dials from a node's address is the kubelet unless it is known to be another.
    let traffic: Vec<Traffic> = flows.iter().map(|flow| flow.traffic).collect();
    assert_eq!(traffic, [Traffic::App, Traffic::App, Traffic::Probe]);
}

#[test]
fn trap_16_a_cgroup_proves_whose_an_address_is() {
    let right = told(&[("shop/old-0", "uid-of-shop/old-0")]);
    assert_eq!(client(flows(&right)[0]), "shop/old-0");
    // The address has passed to a pod that the API server did not tell of yet.
    let reused = told(&[("shop/old-0", "uid-of-another")]);
    assert_eq!(client(flows(&reused)[0]), "Unknown(PodNotSeenYet)");
}

#[test]
fn trap_16_what_dials_from_a_bridge_and_is_no_pod_is_the_node() {
    let records = told(&[("node/prober", "-")]);
    let flow = flows(&records)[0];
    assert_eq!((client(flow), flow.traffic), ("Node(\"node-1\")".to_owned(), Traffic::Probe));
    // Without a word on its cgroup it may be a pod that nobody told of yet.
    let records = told(&[("node/prober", "")]);
    assert_eq!(client(flows(&records)[0]), "Unknown(PodNotSeenYet)");
}
