//! A process in a pod: in its namespace, in its cgroup, under the uid that was asked for.

use std::fs;
use std::process::Command;

use tracer_lab::Pod;

use crate::{remains, up};

#[test]
fn a_program_runs_where_the_pod_says() {
    let mesh = up("basic");
    for pod in mesh.pods() {
        assert_eq!(output(pod, 2000, &["readlink", "/proc/self/ns/net"]), format!("net:[{}]", pod.netns_inode()));
        let cgroup = output(pod, 2000, &["cat", "/proc/self/cgroup"]);
        let unified = cgroup.lines().find_map(|line| line.strip_prefix("0::")).unwrap();
        assert!(pod.cgroup().ends_with(unified.trim_start_matches('/')), "{unified}");
        assert!(unified.ends_with(&format!("/kubepods/pod{}", pod.uid())), "{unified}");
        assert_eq!(output(pod, 2000, &["id", "-u"]), "2000");
        assert_eq!(output(pod, 2000, &["id", "-G"]), "2000");
    }
}

#[test]
fn a_pod_is_found_by_those_who_did_not_bring_it_up() {
    let mesh = up("basic");
    let pod = &mesh.pods()[0];
    let found = Pod::find(pod.name(), Some(mesh.run())).unwrap();
    assert_eq!((found.netns_inode(), found.ip()), (pod.netns_inode(), pod.ip()));
    let stranger = Pod::find(&"shop/nobody".parse().unwrap(), None).unwrap_err();
    assert_eq!(stranger.to_string(), "no mesh with a pod shop/nobody is up: bring one up with `tracer-lab up NAME`");
}

#[test]
fn each_sidecar_runs_as_the_uid_that_capture_leaves_alone() {
    let mesh = up("basic");
    let sidecars = mesh.pods().iter().filter(|pod| pod.has_sidecar());
    let owners: Vec<_> = sidecars.map(|pod| (pod.name().to_string(), envoy_owner(pod))).collect();
    assert_eq!(owners.len(), 7);
    assert!(owners.iter().all(|(_, owner)| owner.as_deref() == Some("1337")), "{owners:?}");
}

#[test]
fn the_machines_own_network_is_left_alone() {
    let forwarding = || fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
    let before = forwarding();
    let mesh = up("basic");
    assert_eq!(forwarding(), before);
    assert_eq!(remains::of(mesh.run()).links, Vec::<String>::new());
    let rules = Command::new("iptables-save").output().unwrap().stdout;
    let rules = String::from_utf8(rules).unwrap();
    assert!(!rules.contains("ISTIO_") && !rules.contains("10.96.0.10"), "{rules}");
}

fn output(pod: &Pod, uid: u32, line: &[&str]) -> String {
    let output = pod.command(uid, line[0]).args(&line[1..]).output().unwrap();
    assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn envoy_owner(pod: &Pod) -> Option<String> {
    let members = fs::read_to_string(pod.cgroup().join("cgroup.procs")).unwrap();
    members.lines().find_map(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        (field("Name:") == Some("envoy")).then(|| field("Uid:").unwrap_or_default().to_owned())
    })
}
