//! What happens where something is missing.

use std::path::PathBuf;

use tracer_daemon::source::kernel::{HookState, Kernel, KernelConfig, KernelError};

use crate::harness::{Namespace, Trace};

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
