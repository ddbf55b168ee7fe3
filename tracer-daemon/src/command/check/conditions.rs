//! What is looked at, in the order in which one needs the other.

use super::{Asked, Condition, State};
use crate::process;
use crate::source::cluster::{IstioInstallation, read_facts};
use crate::source::kernel::{FieldStatus, HookState, Kernel, KernelConfig, KernelError};
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use tracer_engine::mesh::facts::{Delta, Fact};

const BTF: &str = "/sys/kernel/btf/vmlinux";
/// `bpf_get_socket_cookie` in tracing programs came with 5.12; 5.15 is the first long-term kernel that has it.
const OLDEST: (u32, u32) = (5, 15);
/// Name, bit, what it is for.
const CAPABILITIES: [(&str, u32, &str); 3] = [
    ("CAP_BPF", 39, "load the probes"),
    ("CAP_PERFMON", 38, "attach to tracepoints"),
    ("CAP_NET_ADMIN", 12, "see first bytes"),
];

pub(super) fn conditions(asked: &Asked) -> Vec<Condition> {
    let Asked { cgroup2: root, node, facts } = asked;
    let mut all = vec![kernel(&process::kernel_release()), btf(Path::new(BTF)), cgroup2(root.as_deref())];
    all.extend(capabilities(&fs::read_to_string("/proc/self/status").unwrap_or_default()));
    all.extend(hooks(root.clone()));
    all.extend(facts_conditions(facts, node));
    all
}

fn kernel(release: &str) -> Condition {
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = numbers.next().zip(numbers.next());
    let state = match version {
        Some(version) if version >= OLDEST => State::Good,
        _ => State::Bad { fix: format!("run Linux {}.{} or later", OLDEST.0, OLDEST.1) },
    };
    condition("kernel", state, release)
}

fn btf(path: &Path) -> Condition {
    match fs::File::open(path) {
        Ok(_) => condition("btf", State::Good, path.display()),
        Err(error) => {
            let fix = "boot a kernel with CONFIG_DEBUG_INFO_BTF=y".to_owned();
            condition("btf", State::Bad { fix }, format_args!("{}: {error}", path.display()))
        }
    }
}

fn cgroup2(given: Option<&Path>) -> Condition {
    if let Some(path) = given {
        // Whether it is one the hooks tell.
        return condition("cgroup2", State::Good, path.display());
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let Some(path) = cgroup2_mount(&mounts) else {
        let fix = "mount it (mount -t cgroup2 none /sys/fs/cgroup/unified); in a pod, mount the host's as a hostPath";
        let state = State::Degraded { fix: fix.to_owned() };
        return condition("cgroup2", state, "not mounted: first bytes cannot be seen");
    };
    condition("cgroup2", State::Good, path)
}

fn cgroup2_mount(mountinfo: &str) -> Option<&str> {
    mountinfo.lines().find_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        source.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4))?
    })
}

fn capabilities(status: &str) -> Vec<Condition> {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or_default();
    CAPABILITIES
        .into_iter()
        .map(|(name, bit, what_for)| {
            if effective & (1 << bit) != 0 {
                return condition(name, State::Good, format_args!("to {what_for}"));
            }
            let fix = "run as root, or grant it (securityContext.capabilities.add)".to_owned();
            let state = if name == "CAP_NET_ADMIN" { State::Degraded { fix } } else { State::Bad { fix } };
            condition(name, state, format_args!("missing: cannot {what_for}"))
        })
        .collect()
}

/// Attaches every hook for a moment: nothing else proves that it can be.
fn hooks(cgroup2: Option<PathBuf>) -> Vec<Condition> {
    let kernel = match Kernel::load(&KernelConfig { cgroup2, ..KernelConfig::default() }) {
        Ok(kernel) => kernel,
        Err(error) => return vec![not_loaded(&error)],
    };
    let told = kernel.hooks().iter().map(|hook| {
        let name = format!("hook {}", hook.name);
        match &hook.state {
            HookState::Attached => condition(name, State::Good, "attached"),
            HookState::Off => condition(name, State::Skipped, "switched off"),
            HookState::Absent { why } => {
                let fix = format!("run a kernel that has it, or do without: {}", hook.without);
                let state = if hook.required { State::Bad { fix } } else { State::Degraded { fix } };
                condition(name, state, why)
            }
        }
    });
    let missing = kernel.missing_fields().iter().map(|FieldStatus { structure, path, without }| {
        let fix = format!("run a kernel that has it, or do without: {without}");
        condition(format!("field {structure}.{path}"), State::Degraded { fix }, "not in this kernel")
    });
    told.chain(missing).collect()
}

/// The error's own words end with what to do.
fn not_loaded(error: &KernelError) -> Condition {
    let text = error.to_string();
    let (says, fix) = text.rsplit_once(": ").unwrap_or((&text, "see the lines above"));
    condition("hooks", State::Bad { fix: fix.to_owned() }, says)
}

fn facts_conditions(paths: &[PathBuf], node: &str) -> [Condition; 2] {
    let unknown = || condition("scope", State::Skipped, "follows from facts");
    if paths.is_empty() {
        return [condition("facts", State::Skipped, "none given (--facts FILE)"), unknown()];
    }
    match read_facts(paths, &IstioInstallation::default()) {
        Ok(facts) if facts.skipped.is_empty() => {
            let read = condition("facts", State::Good, format_args!("{} read", facts.deltas.len()));
            [read, scope(&facts.deltas, node)]
        }
        Ok(facts) => {
            let names: Vec<String> = facts.skipped.iter().map(ToString::to_string).collect();
            let fix = "correct them in the cluster, or leave them out".to_owned();
            let read = condition("facts", State::Degraded { fix }, format_args!("left out: {}", names.join("; ")));
            [read, scope(&facts.deltas, node)]
        }
        Err(error) => [condition("facts", State::Bad { fix: "correct the file".to_owned() }, error), unknown()],
    }
}

/// Whose connections `run` traces on this node by these facts.
fn scope(facts: &[Delta], node: &str) -> Condition {
    let (mut ranges, mut pods) = (0, 0);
    for delta in facts {
        let Delta::Upsert(fact) = delta else { continue };
        match &**fact {
            Fact::Node(own) if *own.name == *node => ranges += own.pod_cidrs.len(),
            Fact::Pod(pod) if *pod.node == *node && !pod.host_network && !pod.gone => pods += 1,
            _ => {}
        }
    }
    if (ranges, pods) == (0, 0) {
        let fix = "name the node as the cluster does (--node-name), or give `run` the addresses of pods (--pod-cidr)";
        let says = format_args!("all connections: neither a podCIDR nor a pod of node {node} is in the facts");
        return condition("scope", State::Degraded { fix: fix.to_owned() }, says);
    }
    let says = format_args!("connections with a pod at an end: {ranges} podCIDRs of node {node}, {pods} pods");
    condition("scope", State::Good, says)
}

fn condition(name: impl Into<String>, state: State, says: impl Display) -> Condition {
    Condition { name: name.into(), state, says: format!("{says}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_by_their_version() {
        for (release, good) in
            [("6.18.0-1-amd64", true), ("5.15.0", true), ("5.14.21-150500", false), ("4.18.0", false), ("odd", false)]
        {
            assert_eq!(kernel(release).state == State::Good, good, "{release}");
        }
    }

    #[test]
    fn cgroup2_among_hybrid_mounts() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n\
                      31 30 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n\
                      32 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        assert_eq!(cgroup2_mount(mounts), Some("/sys/fs/cgroup/unified"));
        assert_eq!(cgroup2_mount("30 23 0:26 / /proc rw - proc proc rw\n"), None);
    }

    #[test]
    fn capabilities_one_by_one() {
        let all = capabilities("CapEff:\t000001ffffffffff\n");
        assert!(all.iter().all(|condition| condition.state == State::Good), "{all:?}");
        let none = capabilities("CapEff:\t0000000000000000\n");
        assert!(none.iter().all(|condition| condition.state != State::Good), "{none:?}");
        assert!(matches!(none[2].state, State::Degraded { .. }), "first bytes can be done without");
    }
}
