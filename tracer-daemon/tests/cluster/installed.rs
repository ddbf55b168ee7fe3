//! mesh-tracer on every node, installed as a person installs it.

use crate::kubectl::Kubectl;
use serde_json::Value;

pub(crate) struct Installed<'k> {
    kubectl: &'k Kubectl<'k>,
}

/// Times that a journal is read until it has what is asked for; a reading takes a quarter of a second.
const READINGS: u32 = 80;

impl<'k> Installed<'k> {
    /// Word for word as a page shows it.
    pub(crate) fn by(kubectl: &'k Kubectl<'k>, commands: &[String]) -> Self {
        for command in commands {
            kubectl.types(command);
        }
        Self { kubectl }
    }

    /// The first record of that kind in this node's journal, once it is there.
    pub(crate) fn flow(&self, node: u8, is_it: impl Fn(&Value) -> bool) -> Value {
        let pod = self.kubectl.pod("mesh-tracer", "mesh-tracer", node);
        let mut read = String::new();
        for _ in 0..READINGS {
            let journal =
                ["/mesh-tracer", "observe", "--all", "--journal", "/var/log/mesh-tracer/flows.jsonl", "-o", "json"];
            read = self.kubectl.exec(&pod, &journal);
            let mut records = read.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            if let Some(record) = records.find(|record| is_it(record)) {
                return record;
            }
        }
        panic!("node{node} has no such flow:\n{read}")
    }

    /// What the program says in its container on this node, where it has to fail.
    pub(crate) fn refused(&self, node: u8, args: &[&str]) -> String {
        let pod = self.kubectl.pod("mesh-tracer", "mesh-tracer", node);
        let exec = ["exec", "--namespace=mesh-tracer", &pod.name, "--", "/mesh-tracer"];
        let (done, said) = self.kubectl.tried(&[&exec, args].concat());
        assert!(!done, "{args:?}: {said}");
        said
    }
}
