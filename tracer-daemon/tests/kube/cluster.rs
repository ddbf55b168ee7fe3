//! What a test puts into the cluster, and as whom it is watched.

use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tracer_daemon::source::cluster::IstioInstallation;
use tracer_daemon::source::cluster::watch::{Connection, Pace, PodScope, Rbac, Target, Watch};
use tracer_lab::kubernetes::{ApiServer, ServiceAccount, documents, kubeconfig};

pub(crate) const NAMESPACE: &str = "mesh-tracer";

/// As in production, and sooner.
pub(crate) fn pace() -> Pace {
    Pace {
        shortest: Duration::from_millis(20),
        longest: Duration::from_millis(200),
        absent: Duration::from_millis(100),
        credentials: Duration::from_millis(20),
        ..Pace::default()
    }
}

pub(crate) fn watch() -> Watch {
    Watch { istio: IstioInstallation::default(), pods: PodScope::All, pace: pace(), streaming: true }
}

pub(crate) fn account() -> ServiceAccount {
    ServiceAccount::new(NAMESPACE, "mesh-tracer")
}

/// Applies the roles as they are shipped.
pub(crate) async fn allow(server: &ApiServer) {
    for name in [NAMESPACE, "istio-system"] {
        server.admin().apply(&namespace(name)).await.unwrap();
    }
    let rbac = Rbac { namespace: NAMESPACE.to_owned(), istio: IstioInstallation::default(), events: false };
    for object in documents(&rbac.manifest()).unwrap() {
        server.admin().apply(&object).await.unwrap();
    }
}

/// A kubeconfig of a ServiceAccount's, which asks `url`.
pub(crate) async fn kubeconfig_of(server: &ApiServer, account: &ServiceAccount, url: &str) -> PathBuf {
    let token = account.token(server).await.unwrap();
    let ca = server.ca();
    written(server, &kubeconfig(url, url.starts_with("https").then_some(&*ca), &format!("{{token: {token}}}")))
}

/// In a file that goes with the server.
pub(crate) fn written(server: &ApiServer, text: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static FILES: AtomicU32 = AtomicU32::new(0);
    let file = server.folder().join(format!("kubeconfig-{}", FILES.fetch_add(1, Ordering::Relaxed)));
    fs::write(&file, text).unwrap();
    file
}

pub(crate) async fn connected(file: PathBuf) -> Arc<Connection> {
    Connection::open(Target::Kubeconfig { file: Some(file), context: None }, pace()).await.unwrap()
}

pub(crate) fn namespace(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}

pub(crate) fn pod(namespace: &str, name: &str, ip: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": namespace, "uid": format!("{namespace}-{name}-{ip}"),
            "creationTimestamp": "2026-08-01T00:00:00Z", "labels": { "app": name },
        },
        "spec": { "containers": [{ "name": "app", "image": "app" }], "nodeName": "n1" },
        "status": { "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }] },
    })
}

pub(crate) fn peer_authentication(namespace: &str, mode: &str) -> Value {
    json!({
        "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
        "metadata": { "name": "default", "namespace": namespace, "creationTimestamp": "2026-08-01T00:00:00Z" },
        "spec": { "mtls": { "mode": mode } },
    })
}
