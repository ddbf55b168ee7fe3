//! What comes to the pod: tunnels of other ztunnels, and plaintext of everyone else.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{dial, dialled, join, tls};

/// `proxy/inbound_passthrough.rs`: a policy that wants an identity is asked after the accept and before the first read.
pub(super) async fn plaintext(from: TcpStream, strict: bool) -> Result<()> {
    if strict {
        return Ok(());
    }
    let to_app = dial::home(client(&from)?, dialled(&from)?).await?;
    Ok(join(from, to_app).await?)
}

pub(super) struct Tunnelled {
    tls: TlsAcceptor,
}

impl Tunnelled {
    pub(super) fn new(certificates: &Path) -> Result<Tunnelled> {
        Ok(Tunnelled { tls: TlsAcceptor::from(Arc::new(tls::server(certificates)?)) })
    }

    /// `proxy/inbound.rs`: each stream of a tunnel is a connection of its own to the application.
    pub(super) async fn serve(self: Arc<Self>, from: TcpStream) -> Result<()> {
        let client = client(&from)?;
        let stream = self.tls.accept(from).await?;
        let service = service_fn(move |request| async move { Ok::<_, Infallible>(connect(client, request).await) });
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        Ok(server.serve_connection(TokioIo::new(stream), service).await?)
    }
}

async fn connect(client: Ipv4Addr, request: Request<Incoming>) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    let to = request.uri().authority().and_then(|authority| authority.as_str().parse::<SocketAddrV4>().ok());
    let to_app = match to {
        Some(to) => dial::home(client, to).await.ok(),
        None => None,
    };
    match to_app {
        Some(to_app) => {
            tokio::spawn(async move {
                if let Ok(tunnelled) = hyper::upgrade::on(request).await {
                    // Whoever hangs up first, the other learns it.
                    let _over = join(TokioIo::new(tunnelled), to_app).await;
                }
            });
        }
        None => *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
    }
    response
}

fn client(from: &TcpStream) -> Result<Ipv4Addr> {
    match from.peer_addr().context("a peer")? {
        SocketAddr::V4(client) => Ok(*client.ip()),
        SocketAddr::V6(client) => bail!("{client} is no IPv4 address"),
    }
}
