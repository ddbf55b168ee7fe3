//! What the files said when they were last read, so that the next reading tells differences only.

use super::report::{FactsReport, Remark};
use crate::source::cluster::object::{ClusterEvent, Object, ObjectRef, Pod};
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Known {
    objects: BTreeMap<ObjectRef, Object>,
}

impl Known {
    /// Takes `objects` for all there are. What is gone is told first: its address may be another's now.
    pub(super) fn replace(&mut self, objects: Vec<Object>, report: &mut FactsReport) -> Vec<ClusterEvent> {
        let mut now = BTreeMap::new();
        for object in objects {
            let reference = object.reference();
            let replaced = now.insert(reference.clone(), object);
            if replaced.is_some_and(|before| Some(&before) != now.get(&reference)) {
                report.remark(Remark::SaidTwice(reference));
            }
        }
        remark_on(&now, report);
        let before = std::mem::take(&mut self.objects);
        let gone = before.keys().filter(|reference| !now.contains_key(reference));
        let mut events: Vec<_> = gone.cloned().map(ClusterEvent::Deleted).collect();
        let changed = now.iter().filter(|(reference, object)| before.get(reference) != Some(object));
        events.extend(changed.map(|(_, object)| ClusterEvent::Applied(Box::new(object.clone()))));
        self.objects = now;
        events
    }
}

fn remark_on(objects: &BTreeMap<ObjectRef, Object>, report: &mut FactsReport) {
    let mut by_ip: BTreeMap<&str, Vec<&ObjectRef>> = BTreeMap::new();
    for (reference, object) in objects {
        match object {
            Object::Service(service) if service.spec.ports.is_empty() && service.spec.r#type != "ExternalName" => {
                report.remark(Remark::NoPorts(reference.clone()));
            }
            Object::Pod(pod) if is_alive(pod) => {
                let ips = pod.status.pod_ips.iter().map(|of| &*of.ip).chain([&*pod.status.pod_ip]);
                let mut ips: Vec<_> = ips.filter(|ip| !ip.is_empty()).collect();
                ips.sort_unstable();
                ips.dedup();
                if ips.is_empty() {
                    report.remark(Remark::NoIp(reference.clone()));
                }
                // Pods in the host's network share the node's address by design.
                for ip in ips.into_iter().filter(|_| !pod.spec.host_network) {
                    by_ip.entry(ip).or_default().push(reference);
                }
            }
            _ => {}
        }
    }
    for (ip, pods) in by_ip.into_iter().filter(|(_, pods)| pods.len() > 1) {
        report.remark(Remark::SharedIp { ip: ip.to_owned(), pods: pods.into_iter().cloned().collect() });
    }
}

fn is_alive(pod: &Pod) -> bool {
    !matches!(&*pod.status.phase, "Failed" | "Succeeded")
}
