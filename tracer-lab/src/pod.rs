//! A pod of a mesh that is up, and how a process gets into it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::netns::Netns;
use crate::recipe::pod_name::PodName;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pod {
    pub(crate) name: PodName,
    pub(crate) uid: String,
    pub(crate) ip: Ipv4Addr,
    pub(crate) sidecar: bool,
    pub(crate) netns: Netns,
    pub(crate) netns_inode: u64,
    pub(crate) cgroup: PathBuf,
    /// Its files in the run's folder.
    pub(crate) folder: PathBuf,
    /// This crate's program, which leads into the pod.
    pub(crate) program: PathBuf,
}

impl Pod {
    pub fn name(&self) -> &PodName {
        &self.name
    }

    /// Kubernetes' uid of the pod.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    pub fn has_sidecar(&self) -> bool {
        self.sidecar
    }

    /// As `ip netns` knows it.
    pub fn netns_name(&self) -> &str {
        self.netns.name()
    }

    /// The number by which the kernel's events name the pod's network namespace.
    pub fn netns_inode(&self) -> u64 {
        self.netns_inode
    }

    pub fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// A command in the pod, as uid and gid `uid`.
    pub fn command(&self, uid: u32, program: impl AsRef<Path>) -> Command {
        let mut command = self.door(uid);
        command.arg("--").arg(program.as_ref());
        command
    }

    /// The same, killed with this process: for what a run starts itself.
    pub(crate) fn own_command(&self, uid: u32, program: &Path) -> Command {
        let mut command = self.door(uid);
        command.arg("--parent").arg(std::process::id().to_string()).arg("--").arg(program);
        command
    }

    fn door(&self, uid: u32) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("pod-exec").arg("--netns").arg(self.netns.path()).arg("--cgroup").arg(&self.cgroup);
        command.arg("--uid").arg(uid.to_string());
        command
    }
}
