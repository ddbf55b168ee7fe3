//! `tracer-lab cluster-node`: the first process of a node. It makes the node's own view of the machine, starts what runs
//! on a node, and ends with the first of them that ends.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::process::{WaitOptions, wait};
use rustix::system::sethostname;

use super::control_plane::{Part, api_server, controllers, of_every_node};
use super::settings::{self, Node};
use super::{certificates, run};
use crate::kubernetes::{etcd_flags, until};

#[derive(Args)]
pub struct NodeArgs {
    /// What the node is
    settings: PathBuf,
}

/// Folders of the machine in whose place a node has its own.
const OWN: [&str; 4] = ["/run", "/var/lib", "/var/log", "/opt"];

/// What kubelet wants of the kernel. It is shown its wish: these are the whole machine's.
const TUNABLES: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

const CGROUPS: &str = "/sys/fs/cgroup";
const CONTAINERD: &str = "/run/containerd/containerd.sock";

impl NodeArgs {
    /// Until a part of the node ends.
    pub fn run(self) -> Result<bool> {
        let node = settings::read(&self.settings)?;
        own_view(&node)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let parts = runtime.block_on(start(&node))?;
        loop {
            let Some((pid, status)) = wait(WaitOptions::empty()).context("cannot wait for what ends")? else {
                continue;
            };
            if let Some(part) = parts.get(&pid.as_raw_nonzero().get().cast_unsigned()) {
                bail!("{part} ended with {status:?}: see its log");
            }
        }
    }
}

fn own_view(node: &Node) -> Result<()> {
    let flags = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    mount_change("/", flags).context("cannot share mounts with pods")?;
    for folder in OWN {
        mount("tmpfs", folder, "tmpfs", MountFlags::empty(), c"mode=755")
            .with_context(|| format!("cannot mount a tmpfs on {folder}"))?;
    }
    let own = node.own();
    // A container's root lies on a disk: a tmpfs would hold every image in memory.
    for (what, place) in
        [("kubelet", "/var/lib/kubelet"), ("containerd", "/var/lib/containerd"), ("networks", "/var/lib/cni")]
    {
        fs::create_dir_all(place).with_context(|| format!("cannot create {place}"))?;
        mount_bind(own.join(what), place).with_context(|| format!("cannot bind {place}"))?;
    }
    fs::create_dir_all("/run/tunables").context("cannot create /run/tunables")?;
    for (name, value) in TUNABLES {
        let shown = Path::new("/run/tunables").join(name.replace('/', "_"));
        fs::write(&shown, format!("{value}\n")).with_context(|| format!("cannot write {}", shown.display()))?;
        let place = Path::new("/proc/sys").join(name);
        mount_bind(&shown, &place).with_context(|| format!("cannot bind {}", place.display()))?;
    }
    sethostname(format!("node{}", node.number).as_bytes()).context("cannot name the node")?;
    mount("cgroup2", CGROUPS, "cgroup2", MountFlags::empty(), None).context("cannot mount cgroup2")?;
    delegate()
}

/// A cgroup with processes of its own hands no controllers on.
fn delegate() -> Result<()> {
    let at = |file: &str| Path::new(CGROUPS).join(file);
    let read = |file: &str| fs::read_to_string(at(file)).with_context(|| format!("cannot read {file}"));
    fs::create_dir(at("init")).context("cannot create a cgroup")?;
    for process in read("cgroup.procs")?.lines() {
        fs::write(at("init/cgroup.procs"), process).context("cannot move into a cgroup")?;
    }
    for controller in read("cgroup.controllers")?.split_whitespace() {
        let hand_on = format!("+{controller}");
        fs::write(at("cgroup.subtree_control"), hand_on).with_context(|| format!("cannot hand {controller} on"))?;
    }
    Ok(())
}

/// The processes without which it is no node, by their ids.
async fn start(node: &Node) -> Result<BTreeMap<u32, &'static str>> {
    let Node { number, folder, programs, images, .. } = node;
    let mut parts = BTreeMap::new();
    let mut begin = |part: &'static str, command: Command| -> Result<()> {
        parts.insert(spawn(node, part, command)?, part);
        Ok(())
    };
    let kubernetes = |Part { program, flags }: Part| {
        let mut command = Command::new(programs.kubernetes(program));
        command.args(flags);
        (program, command)
    };
    let mut containerd = Command::new(programs.runtime("containerd"));
    containerd.arg("--config").arg(node.own().join("containerd.toml"));
    begin("containerd", containerd)?;
    let is_control_plane = *number == 1;
    if is_control_plane {
        begin("etcd", kubernetes(Part { program: "etcd", flags: etcd_flags(folder) }).1)?;
        let (program, command) = kubernetes(api_server(folder));
        begin(program, command)?;
    }
    let ctr = || {
        let mut ctr = Command::new(programs.runtime("ctr"));
        ctr.args(["--address", CONTAINERD, "--namespace", "k8s.io"]);
        ctr
    };
    until("containerd answers", async || Ok(run(ctr().arg("version")).is_ok())).await?;
    for image in std::iter::once(programs.busybox()).chain(images.iter().map(PathBuf::as_path)) {
        run(ctr().args(["images", "import"]).arg(image))?;
    }
    let api = certificates::api(folder);
    until("the API server is ready", async || Ok(api.get("/readyz").await.is_ok_and(|answer| answer.status == 200)))
        .await?;
    let control = if is_control_plane { controllers(folder).into_iter().collect() } else { Vec::new() };
    for part in control.into_iter().chain(of_every_node(folder, *number, &node.own())) {
        let (program, command) = kubernetes(part);
        begin(program, command)?;
    }
    Ok(parts)
}

fn spawn(node: &Node, part: &str, mut command: Command) -> Result<u32> {
    let log = node.own().join("log").join(format!("{part}.log"));
    let output = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
    let mut path = vec![node.programs.runtime_folder().to_path_buf()];
    path.extend(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from));
    let path = std::env::join_paths(path).context("a folder with a colon in its name")?;
    command.env("PATH", path).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    Ok(command.spawn().with_context(|| format!("cannot start {part}"))?.id())
}
