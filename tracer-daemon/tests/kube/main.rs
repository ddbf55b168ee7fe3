//! The cluster source against a real API server with etcd: one server for all that do it no harm.

#![expect(clippy::unwrap_used, reason = "in a test an unwrap is an assertion with a line number")]

mod cluster;
mod followed;

mod changes;
mod credentials;
mod daemon;
mod definitions;
mod equality;
mod events;
mod explain;
mod manifests;
mod objects;
mod outage;
mod privacy;
mod rbac;
mod tombstones;
mod trouble;

use tokio::sync::OnceCell;
use tracer_lab::kubernetes::{ApiServer, Options, istio_crds};

/// With Istio's definitions, and the ServiceAccount that everything is watched as.
async fn shared() -> &'static ApiServer {
    static SERVER: OnceCell<ApiServer> = OnceCell::const_new();
    SERVER.get_or_init(async || started(Options::default()).await).await
}

async fn started(options: Options) -> ApiServer {
    let server = ApiServer::start(options).await.unwrap();
    server.install(istio_crds().unwrap()).await.unwrap();
    cluster::allow(&server).await;
    server
}
