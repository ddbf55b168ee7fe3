//! Whose socket it is.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::linux::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use tracer_engine::net::CgroupId;
use tracer_engine::socket::Owner;

use crate::harness::{Namespace, Trace, set, tcp4};

/// A directory of cgroup2, gone with this.
struct Cgroup(PathBuf);

impl Cgroup {
    /// `name` is of this test alone.
    fn new(name: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        let root = mounts.lines().find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
            [_, root, "cgroup2", ..] => Some(PathBuf::from(root)),
            _ => None,
        });
        let path = root.expect("cgroup2 is mounted").join(name);
        fs::create_dir(&path).expect("a cgroup: these tests need root");
        Self(path)
    }

    fn inner(&self, name: &str) -> Self {
        let path = self.0.join(name);
        fs::create_dir(&path).expect("a cgroup within");
        Self(path)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).expect("an empty cgroup");
    }
}

#[tokio::test]
async fn the_owner_is_the_thread_that_called_connect() {
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    let tid = namespace.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let client = tcp4();
        set(&client, libc::SOL_SOCKET, libc::SO_MARK, 0x539);
        // SAFETY: it changes only the owner of the file. The socket's own uid follows.
        let status = unsafe { libc::fchown(std::os::fd::AsRawFd::as_raw_fd(&client), 1337, 1337) };
        assert_eq!(status, 0);
        client.connect(&listener.local_addr().expect("an address").into()).expect("a connection");
        // SAFETY: no arguments.
        u32::try_from(unsafe { libc::gettid() }).expect("a tid")
    });
    trace.until_over(2, 0).await;

    let (client, server) = trace.ends();
    let Owner { netns, uid, tid: caller, mark, cgroup } = client.socket.owner;
    assert_eq!((netns, uid, caller, mark), (namespace.id, 1337, tid, 0x539));
    assert_ne!(cgroup, CgroupId(0));
    assert_eq!((server.socket.owner.uid, server.socket.owner.tid), (0, 0));
}

#[tokio::test]
async fn trap_16_a_socket_knows_its_cgroup_and_so_its_pod() {
    const UID: &str = "4d6f2a3c-0f1e-4c67-9b1d-2c8e5a7f9b10";
    // As the kubelet names it, with a container's inside. It is there before the probes: they look for it once.
    let pod = Cgroup::new(&format!("pod{UID}"));
    let container = pod.inner("5f1c");
    let id = CgroupId(fs::metadata(&container.0).expect("a cgroup").st_ino());
    let namespace = Namespace::new();
    let mut trace = Trace::of(&namespace);
    let procs = container.0.join("cgroup.procs");
    namespace.run(move || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let script = format!("echo $$ > {} && exec 3<>/dev/tcp/127.0.0.1/{port}", procs.display());
        let status = Command::new("bash").args(["-ec", &script]).status().expect("bash");
        assert!(status.success());
        // A second one from where this test lives.
        TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    });
    trace.until_over(2, 0).await;

    let cgroups: Vec<bool> = trace.connected().iter().map(|event| event.socket.owner.cgroup == id).collect();
    assert_eq!(cgroups, [true, false]);
    let of = |ours: bool| -> Vec<Option<&str>> {
        let owners = trace.owners.iter().filter(move |owner| (owner.cgroup == id) == ours);
        owners.map(|owner| owner.pod.as_deref()).collect()
    };
    assert_eq!(of(true), [Some(UID)]);
    // Of all the others only whoever speaks is told, and this test is in no pod.
    assert!(of(false).contains(&None), "{:?}", trace.owners);
}
