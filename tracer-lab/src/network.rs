//! The cluster's network: a namespace that routes between the pods, kube-proxy's rules in it, capture rules in theirs.
//!
//! No bridge: behind one, a Service's translated answer would go from pod to pod past the rules that translated it.

mod ambient;
mod capture;
mod kube_proxy;

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow};

use crate::netns::{Netns, feed};
use crate::recipe::cluster::{PodSpec, Sysctl};
use crate::recipe::{Recipe, Route};
use crate::run::Run;

/// Every pod's next hop, on the node's end of its own veth pair.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// The routing table of what the network loses, and the mark of it.
const LOST: u32 = 101;

/// Makes the node's namespace and one for each pod; the pods' in order.
pub(crate) fn create(run: &Run, recipe: &Recipe) -> Result<Vec<Netns>> {
    let pods = &recipe.cluster.pods;
    let mut names = vec![run.node_netns()];
    names.extend(pods.iter().map(|pod| run.pod_netns(&pod.name)));
    let mut namespaces = Netns::create(&names)?;
    let node = namespaces.remove(0);
    let links: Vec<_> = (0..pods.len()).map(|at| run.link(at)).collect();

    node.inside(|| {
        // They count against the ICMP errors that one address gets.
        for conf in ["all", "default"] {
            let path = format!("/proc/sys/net/ipv4/conf/{conf}/send_redirects");
            fs::write(&path, "0").with_context(|| format!("cannot write {path}"))?;
        }
        let mut batch = vec!["link set lo up".to_owned()];
        for ((pod, netns), link) in pods.iter().zip(&namespaces).zip(&links) {
            batch.extend(node_side(pod, netns, link));
        }
        batch.extend(recipe.routes.iter().flat_map(|(ip, route)| no_pod(*ip, *route, &links)));
        feed(Command::new("ip").args(["-batch", "-"]), &batch)?;
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("cannot turn on forwarding")?;
        restore(&kube_proxy::rules(&recipe.cluster.virtual_ips))?;
        restore(&filtered(&recipe.routes))
    })?;

    thread::scope(|scope| {
        let pods = pods.iter().zip(&namespaces);
        let setups: Vec<_> = pods.map(|(pod, netns)| scope.spawn(move || netns.inside(|| pod_side(pod)))).collect();
        setups.into_iter().try_for_each(|setup| setup.join().unwrap_or_else(|_| Err(anyhow!("panic"))))
    })?;
    Ok(namespaces)
}

fn node_side(pod: &PodSpec, netns: &Netns, link: &str) -> [String; 4] {
    let PodSpec { ip, .. } = pod;
    [
        format!("link add {link} type veth peer name eth0 netns {}", netns.name()),
        format!("address add {GATEWAY}/32 dev {link}"),
        format!("link set {link} up"),
        format!("route add {ip}/32 dev {link}"),
    ]
}

/// The node has no default route, so `None` needs no entry.
fn no_pod(ip: Ipv4Addr, route: Route, links: &[String]) -> Vec<String> {
    match route {
        Route::Blackhole => vec![format!("route add blackhole {ip}/32")],
        Route::Unreachable => vec![format!("route add unreachable {ip}/32")],
        Route::Refused => vec![format!("route add local {ip}/32 dev lo")],
        // Forwarding, where netfilter meets it, wants a way out.
        Route::Filtered => links.iter().take(1).map(|link| format!("route add {ip}/32 dev {link}")).collect(),
        Route::Late => vec![
            format!("route add unreachable {ip}/32"),
            format!("route add blackhole {ip}/32 table {LOST}"),
            format!("rule add to {ip}/32 fwmark {LOST} lookup {LOST}"),
        ],
        Route::None => Vec::new(),
    }
}

/// What netfilter does on the way.
fn filtered(routes: &BTreeMap<Ipv4Addr, Route>) -> Vec<String> {
    let with = |wanted: Route| routes.iter().filter(move |(_, route)| **route == wanted).map(|(ip, _)| ip);
    let mut rules = vec!["*mangle".to_owned()];
    let every_other = "-m statistic --mode nth --every 2 --packet 0";
    rules.extend(
        with(Route::Late).map(|ip| format!("-A PREROUTING -d {ip}/32 {every_other} -j MARK --set-mark {LOST}")),
    );
    rules.extend(["COMMIT", "*filter"].map(str::to_owned));
    rules.extend(with(Route::Filtered).map(|ip| format!("-A FORWARD -d {ip}/32 -p tcp -j DROP")));
    rules.push("COMMIT".to_owned());
    rules
}

fn pod_side(pod: &PodSpec) -> Result<()> {
    let batch = [
        "link set lo up".to_owned(),
        format!("address add {}/32 dev eth0", pod.ip),
        "link set eth0 up".to_owned(),
        format!("route add {GATEWAY}/32 dev eth0 scope link"),
        format!("route add default via {GATEWAY} dev eth0"),
    ];
    feed(Command::new("ip").args(["-batch", "-"]), &batch)?;
    for Sysctl { name, value } in &pod.sysctls {
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        fs::write(&path, value).with_context(|| format!("cannot set {name} to {value:?}"))?;
    }
    if pod.ambient {
        feed(Command::new("ip").args(["-batch", "-"]), &ambient::routes())?;
        return restore(&ambient::rules());
    }
    pod.capture.as_ref().map_or(Ok(()), |capture| restore(&capture::rules(capture)))
}

/// One transaction for a whole table.
fn restore(rules: &[String]) -> Result<()> {
    feed(&mut Command::new("iptables-restore"), rules)
}
