//! How the programs of Kubernetes are called: on the first node all of them, on the others kubelet and kube-proxy.

use std::path::Path;

use super::certificates::{ca, kubeconfig_of, kubelet};
use super::network::{API, SERVICES, node};

/// A program of Kubernetes and its flags.
pub(super) struct Part {
    pub(super) program: &'static str,
    pub(super) flags: Vec<String>,
}

pub(super) fn api_server(folder: &Path) -> Part {
    let of = |file: &str| folder.join(file).display().to_string();
    let flags = vec![
        format!("--advertise-address={API}"),
        "--bind-address=0.0.0.0".to_owned(),
        "--secure-port=6443".to_owned(),
        format!("--etcd-servers=unix://{}", of("etcd.sock")),
        format!("--tls-cert-file={}", of("apiserver.crt")),
        format!("--tls-private-key-file={}", of("apiserver.key")),
        format!("--client-ca-file={}", ca(folder).display()),
        format!("--kubelet-client-certificate={}", of("kubelet-client.crt")),
        format!("--kubelet-client-key={}", of("kubelet-client.key")),
        format!("--token-auth-file={}", of("tokens.csv")),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", of("service-account.pub")),
        format!("--service-account-signing-key-file={}", of("service-account.key")),
        format!("--service-cluster-ip-range={SERVICES}"),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--allow-privileged=true".to_owned(),
    ];
    Part { program: "kube-apiserver", flags }
}

pub(super) fn controllers(folder: &Path) -> [Part; 2] {
    let shared = |user: &str| {
        let kubeconfig = kubeconfig_of(folder, user).display().to_string();
        let mut flags = ["--kubeconfig", "--authentication-kubeconfig", "--authorization-kubeconfig"]
            .map(|flag| format!("{flag}={kubeconfig}"))
            .to_vec();
        flags.push("--leader-elect=false".to_owned());
        flags.push(format!("--cert-dir={}", folder.join(format!("{user}-certificates")).display()));
        flags
    };
    let of = |file: &str| folder.join(file).display().to_string();
    let mut manager = shared("controller-manager");
    manager.extend([
        format!("--service-account-private-key-file={}", of("service-account.key")),
        format!("--root-ca-file={}", ca(folder).display()),
        "--use-service-account-credentials=true".to_owned(),
        // Its own forty ServiceAccounts would keep it busy for five seconds.
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
        // They would go to nodes in the order in which those come.
        "--allocate-node-cidrs=false".to_owned(),
        format!("--service-cluster-ip-range={SERVICES}"),
    ]);
    [
        Part { program: "kube-controller-manager", flags: manager },
        Part { program: "kube-scheduler", flags: shared("scheduler") },
    ]
}

/// `settings`: where kubelet.yaml and proxy.yaml lie.
pub(super) fn of_every_node(folder: &Path, number: u8, settings: &Path) -> [Part; 2] {
    let kubelet = vec![
        format!("--config={}", settings.join("kubelet.yaml").display()),
        format!("--kubeconfig={}", kubeconfig_of(folder, &kubelet(number)).display()),
        format!("--hostname-override=node{number}"),
        format!("--node-ip={}", node(number)),
        format!("--cert-dir={}", settings.join("certificates").display()),
    ];
    let proxy = vec![format!("--config={}", settings.join("proxy.yaml").display())];
    [Part { program: "kubelet", flags: kubelet }, Part { program: "kube-proxy", flags: proxy }]
}
