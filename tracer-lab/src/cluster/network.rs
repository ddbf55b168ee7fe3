//! The nodes' network: a switch in a namespace of its own, to which each node and this machine are plugged.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context, Result};
use ipnet::Ipv4Net;

use crate::netns::{Netns, feed};
use crate::run::Run;

/// This machine's, in the nodes' network.
const HERE: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);
/// The first node's, where the API server is.
pub(super) const API: Ipv4Addr = node(1);
pub(super) const SERVICES: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 16);
pub(super) const PODS: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 244, 0, 0), 16);

pub(super) const fn node(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 88, 0, number + 1)
}

pub(super) const fn pods_of(number: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(10, 244, number, 0), 24)
}

/// The nodes' namespaces, in order.
pub(super) fn create(run: &Run, nodes: u8) -> Result<Vec<Netns>> {
    let mut names = vec![run.netns("switch")];
    names.extend((1..=nodes).map(|number| run.netns(&format!("node{number}"))));
    let mut namespaces = Netns::create(&names)?;
    let switch = namespaces.remove(0);
    let machine = run.link(0);
    switch.inside(|| {
        let mut batch = vec!["link add switch type bridge".to_owned(), "link set switch up".to_owned()];
        // The machine's end is moved there by its process id: the first of all namespaces has no name.
        batch.push(format!("link add port0 type veth peer name {machine} netns {}", std::process::id()));
        for (netns, number) in namespaces.iter().zip(1..=nodes) {
            batch.push(format!("link add port{number} type veth peer name eth0 netns {}", netns.name()));
        }
        batch.extend((0..=nodes).map(|number| format!("link set port{number} master switch up")));
        ip(&batch)
    })?;
    let mut batch = vec![format!("address add {HERE}/24 dev {machine}"), format!("link set {machine} up")];
    batch.extend((1..=nodes).map(|number| format!("route add {} via {}", pods_of(number), node(number))));
    batch.push(format!("route add {SERVICES} via {API}"));
    ip(&batch).context("is a cluster up already? There is one at a time: `cargo xtask cluster down`")?;
    for (netns, number) in namespaces.iter().zip(1..=nodes) {
        netns.inside(|| {
            let mut batch = vec![
                "link set lo up".to_owned(),
                format!("address add {}/24 dev eth0", node(number)),
                "link set eth0 up".to_owned(),
                format!("route add default via {HERE}"),
            ];
            let others = (1..=nodes).filter(|other| *other != number);
            batch.extend(others.map(|other| format!("route add {} via {}", pods_of(other), node(other))));
            ip(&batch)?;
            fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("cannot turn on forwarding")
        })?;
    }
    Ok(namespaces)
}

fn ip(batch: &[String]) -> Result<()> {
    feed(Command::new("ip").args(["-batch", "-"]), batch)
}
