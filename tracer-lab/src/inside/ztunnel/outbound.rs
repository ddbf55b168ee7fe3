//! What leaves the pod: by HBONE to whoever takes it, whatever the port; else on as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use super::{dial, dialled, join, tls};
use crate::recipe::ambient::{HBONE, Workloads};

type Tunnel = SendRequest<Empty<Bytes>>;

pub(super) struct Outbound {
    ambient: BTreeSet<Ipv4Addr>,
    services: BTreeMap<SocketAddrV4, Vec<SocketAddrV4>>,
    tls: TlsConnector,
    /// One to each pod: later connections to it ride on the first one's.
    tunnels: Mutex<BTreeMap<Ipv4Addr, Tunnel>>,
}

impl Outbound {
    pub(super) fn new(certificates: &Path, workloads: &Workloads) -> Result<Outbound> {
        let tls = TlsConnector::from(Arc::new(tls::client(certificates)?));
        let Workloads { ambient, services, strict: _ } = workloads;
        Ok(Outbound { ambient: ambient.clone(), services: services.clone(), tls, tunnels: Mutex::default() })
    }

    pub(super) async fn carry(self: Arc<Self>, from_app: TcpStream) -> Result<()> {
        let to = dialled(&from_app)?;
        let to = match self.services.get(&to) {
            Some(endpoints) => *endpoints.first().with_context(|| format!("{to} has no endpoint"))?,
            None => to,
        };
        if !self.ambient.contains(to.ip()) {
            return Ok(join(from_app, dial::away(to).await?).await?);
        }
        let request = hyper::Request::connect(to.to_string()).body(Empty::new())?;
        let mut tunnel = self.tunnel(*to.ip()).await?;
        let response = tunnel.send_request(request).await?;
        ensure!(response.status().is_success(), "{to}: {}", response.status());
        Ok(join(from_app, TokioIo::new(hyper::upgrade::on(response).await?)).await?)
    }

    async fn tunnel(&self, pod: Ipv4Addr) -> Result<Tunnel> {
        let mut tunnels = self.tunnels.lock().await;
        if let Some(tunnel) = tunnels.get(&pod).filter(|tunnel| !tunnel.is_closed()) {
            return Ok(tunnel.clone());
        }
        let stream = dial::away(SocketAddrV4::new(pod, HBONE)).await?;
        let stream = self.tls.connect(ServerName::from(std::net::IpAddr::V4(pod)), stream).await?;
        let (tunnel, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // Its error is that of every request on it.
        tokio::spawn(connection);
        tunnels.insert(pod, tunnel.clone());
        Ok(tunnel)
    }
}
