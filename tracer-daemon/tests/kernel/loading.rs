//! What happens where something is missing.

use std::path::PathBuf;

use tracer_daemon::source::kernel::{HookState, Kernel, KernelConfig, KernelError};

use crate::harness::{Namespace, Trace, kernel_version, sh};

/// `capset` of a thread without any capability.
fn drop_capabilities() {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    let mut header = Header { version: 0x2008_0522, pid: 0 };
    let none = [[0_u32; 3]; 2];
    // SAFETY: the structures of capset(2), alive during the call.
    let status = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, none.as_ptr()) };
    assert_eq!(status, 0, "capset: {}", std::io::Error::last_os_error());
}

#[test]
fn trap_12_a_missing_capability_is_named() {
    let loading = std::thread::spawn(|| {
        drop_capabilities();
        Kernel::load(&KernelConfig::default())
    });
    let error = loading.join().expect("a result").expect_err("no capability");
    assert!(matches!(error, KernelError::MissingCapability("BPF")), "{error}");
}

/// The first kernel on which each hook can be attached and tells something; older ones say why not. In tracing programs
/// `bpf_get_socket_cookie` came with 5.12, which most of them call.
const SINCE: [(&str, (u32, u32)); 11] = [
    ("inet_sock_set_state", (5, 12)),
    ("tcp_cong_state_set", (5, 19)),
    ("tcp_destroy_sock", (5, 12)),
    ("tcp_receive_reset", (5, 12)),
    ("tcp_send_reset", (5, 12)),
    ("tcp_retransmit_skb", (5, 12)),
    ("kfree_skb", (5, 17)),
    ("cgroup_skb/egress", (5, 7)),
    ("cgroup_skb/ingress", (5, 7)),
    ("iter/task_file", (5, 12)),
    ("iter/bpf_map_elem", (5, 9)),
];

#[tokio::test]
async fn each_hook_is_attached_since_the_kernel_that_brought_it() {
    let kernel = match Kernel::load(&KernelConfig::default()) {
        Ok(kernel) => kernel,
        // Of all hooks only the spine is required.
        Err(error) => return assert!(kernel_version() < SINCE[0].1, "{error}"),
    };
    let names: Vec<&str> = kernel.hooks().iter().map(|hook| hook.name).collect();
    assert_eq!(names, SINCE.map(|(name, _)| name), "a hook without a first kernel");
    for (hook, (name, since)) in kernel.hooks().iter().zip(SINCE) {
        match &hook.state {
            HookState::Attached if name == "kfree_skb" => {} // Distributions give 5.15 reasons too.
            HookState::Attached => assert!(kernel_version() >= since, "{name} came earlier than is said"),
            HookState::Absent { why } => assert!(kernel_version() < since && !why.is_empty(), "{name}: {why}"),
            HookState::Off => panic!("{name} is off"),
        }
    }
}

/// Run on 5.10 by `cargo xtask vm --kernel 5.10`; everywhere else it proves that the bound is not too high.
#[tokio::test]
async fn a_kernel_below_5_15_is_refused_in_the_verifiers_words() {
    match Kernel::load(&KernelConfig::default()) {
        Ok(_) => assert!(kernel_version() >= (5, 12)),
        Err(KernelError::RequiredHook { hook, why }) => {
            assert!(kernel_version() < (5, 12), "{hook}: {why}");
            assert_eq!(hook, "inet_sock_set_state");
            assert!(why.contains("the verifier says: "), "{why}");
            assert!(why.contains("unknown func bpf_get_socket_cookie"), "{why}");
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn without_cgroup2_only_first_bytes_are_off() {
    let namespace = Namespace::new();
    let config = KernelConfig { cgroup2: Some(PathBuf::from("/proc")), ..KernelConfig::default() };
    let kernel = Kernel::load(&config).unwrap_or_else(|error| panic!("{error}"));
    for hook in kernel.hooks() {
        match (&hook.state, hook.name.starts_with("cgroup_skb")) {
            (HookState::Attached, false) => {}
            (HookState::Absent { why }, true) => assert!(why.starts_with("/proc is no cgroup2"), "{why}"),
            other => panic!("{}: {other:?}", hook.name),
        }
    }
    drop((kernel, namespace));
}

#[tokio::test]
async fn a_ring_of_no_possible_size_is_refused() {
    for bytes in [0, 100, 5000, 1 << 31] {
        let error = Kernel::load(&KernelConfig { ring_bytes: bytes, ..KernelConfig::default() }).expect_err("no ring");
        assert!(matches!(error, KernelError::RingSize(refused) if refused == bytes), "{error}");
    }
}

#[tokio::test]
async fn this_kernel_has_every_field_and_misses_no_run() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    assert_eq!(trace.kernel.missing_fields(), []);
    trace.kernel.counts().expect("counts");
    assert!(trace.kernel.hooks().iter().all(|hook| hook.missed == 0));
}

/// Where tracefs is mounted for as long as this lives.
struct Tracefs(tempfile::TempDir);

impl Tracefs {
    fn mount() -> Self {
        let place = tempfile::tempdir().expect("a folder");
        sh(&format!("mount -t tracefs tracefs {}", place.path().display()));
        Self(place)
    }
}

impl Drop for Tracefs {
    fn drop(&mut self) {
        sh(&format!("umount {}", self.0.path().display()));
    }
}

/// `{ 12, "NETFILTER_DROP" }`
fn symbols(format: &str) -> Vec<(u32, String)> {
    let symbolic = format.split("__print_symbolic(REC->reason,").nth(1).expect("the kernel's own table");
    let pair = |entry: &str| {
        let (number, name) = entry.split_once('}')?.0.split_once(',')?;
        Some((number.trim().parse().ok()?, name.trim().trim_matches('"').to_owned()))
    };
    symbolic.split('{').filter_map(pair).collect()
}

#[tokio::test]
async fn trap_04_reasons_have_the_names_that_tracefs_gives_them() {
    let namespace = Namespace::new();
    let trace = Trace::of(&namespace);
    let tracefs = Tracefs::mount();
    let format = std::fs::read_to_string(tracefs.0.path().join("events/skb/kfree_skb/format")).expect("the format");
    let symbols = symbols(&format);
    assert!(symbols.len() > 10, "{format}");
    for (number, name) in symbols {
        assert_eq!(*trace.kernel.reasons().name(number), *name);
    }
}
