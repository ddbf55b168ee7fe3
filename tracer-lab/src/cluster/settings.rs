//! What a node is, as it is told, and the files that its programs read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::certificates::{ca, kubeconfig_of};
use super::network::{PODS, pods_of};
use super::programs::Programs;

/// Pods' sandboxes are made from it: any image with a program that does nothing.
const SANDBOX: &str = "localhost/busybox:1";

/// From outside to the node's first process, as JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) number: u8,
    /// The cluster's.
    pub(super) folder: PathBuf,
    pub(super) programs: Programs,
    pub(super) images: Vec<PathBuf>,
    pub(super) runc: PathBuf,
}

impl Node {
    /// Its own folder: settings, logs, and what its programs keep.
    pub(super) fn own(&self) -> PathBuf {
        self.folder.join(format!("node{}", self.number))
    }

    pub(super) fn write(&self) -> Result<()> {
        let own = self.own();
        let files = [
            ("containerd.toml", self.containerd()),
            ("kubelet.yaml", self.kubelet()),
            ("proxy.yaml", self.proxy()),
            ("cni/10-pods.conflist", self.cni()),
        ];
        for folder in ["cni", "log", "certificates", "kubelet", "containerd", "networks"] {
            let folder = own.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        for (file, text) in files {
            fs::write(own.join(file), text).with_context(|| format!("cannot write {file}"))?;
        }
        Ok(())
    }

    fn containerd(&self) -> String {
        let (cni, runc) = (self.own().join("cni"), &self.runc);
        format!(
            r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{SANDBOX}"
  # A machine that is a container itself may not lower a score.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{}"
    conf_dir = "{}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{}"
        SystemdCgroup = false
"#,
            self.programs.cni().display(),
            cni.display(),
            runc.display(),
        )
    }

    fn kubelet(&self) -> String {
        format!(
            "\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /
enforceNodeAllocatable: []
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
oomScoreAdj: 0
failSwapOn: false
resolvConf: \"\"
authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: true}}, x509: {{clientCAFile: {}}}}}
authorization: {{mode: Webhook}}
evictionHard: {{memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}}
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 2s
",
            ca(&self.folder).display()
        )
    }

    fn proxy(&self) -> String {
        format!(
            "\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clusterCIDR: {PODS}
hostnameOverride: node{}
oomScoreAdj: 0
clientConnection: {{kubeconfig: {}}}
# The machine's own table stays as large as it is.
conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
",
            self.number,
            kubeconfig_of(&self.folder, "proxy").display()
        )
    }

    fn cni(&self) -> String {
        let range = pods_of(self.number);
        format!(
            r#"{{"cniVersion":"1.0.0","name":"pods","plugins":[
{{"type":"bridge","bridge":"cni0","isGateway":true,"hairpinMode":true,"ipMasq":false,
"ipam":{{"type":"host-local","ranges":[[{{"subnet":"{range}"}}]],"routes":[{{"dst":"0.0.0.0/0"}}]}}}},
{{"type":"portmap","capabilities":{{"portMappings":true}}}}]}}"#
        )
    }
}

pub(super) fn read(file: &Path) -> Result<Node> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("cannot understand {}", file.display()))
}
