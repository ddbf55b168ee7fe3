//! A stand-in for ztunnel: what a pod in ambient mode meets in its own network namespace.
//!
//! It is no ztunnel. It has the ports, the socket mark, the borrowed client address, the pooled HBONE tunnels (HTTP/2
//! CONNECT over mutual TLS) and the refusal without reading, which is all that a kernel sees; whom it trusts, what it
//! counts and how it learns of workloads are its own. One process per pod, where ztunnel is one per node.

mod dial;
mod inbound;
mod outbound;
mod tls;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use crate::recipe::ambient::{HBONE, INBOUND, OUTBOUND, Workloads};

#[derive(Args)]
pub struct Ztunnel {
    /// A folder with the certificate of the pod
    #[arg(long)]
    certificates: PathBuf,
    /// A JSON object: what it knows of the cluster
    #[arg(long)]
    workloads: String,
}

impl Ztunnel {
    /// Says so on stdout when it listens, and serves until it is killed.
    pub fn run(self) -> Result<()> {
        let workloads: Workloads =
            serde_json::from_str(&self.workloads).with_context(|| format!("--workloads {:?}", self.workloads))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let outbound = Arc::new(outbound::Outbound::new(&self.certificates, &workloads)?);
            let tunnelled = Arc::new(inbound::Tunnelled::new(&self.certificates)?);
            let strict = workloads.strict;
            let [from_app, plain, hbone] = [OUTBOUND, INBOUND, HBONE].map(listen);
            let (from_app, plain, hbone) = (from_app.await?, plain.await?, hbone.await?);
            println!("listening");
            tokio::try_join!(
                accept(from_app, move |stream| Arc::clone(&outbound).carry(stream)),
                accept(plain, move |stream| inbound::plaintext(stream, strict)),
                accept(hbone, move |stream| Arc::clone(&tunnelled).serve(stream)),
            )?;
            Ok(())
        })
    }
}

async fn listen(port: u16) -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await;
    listener.with_context(|| format!("cannot listen on port {port}"))
}

/// Every connection on a task of its own. How one ends is its two ends' story.
async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await.context("cannot accept")?;
        tokio::spawn(serve(stream));
    }
}

/// Where a redirected connection was going.
fn dialled(stream: &TcpStream) -> Result<SocketAddrV4> {
    match SockRef::from(stream).original_dst_v4()?.as_socket() {
        Some(SocketAddr::V4(to)) => Ok(to),
        to => bail!("redirected from {to:?}"),
    }
}

/// Bytes both ways until both ends have said all.
async fn join(
    mut one: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    mut other: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
) -> io::Result<()> {
    tokio::io::copy_bidirectional(&mut one, &mut other).await.map(drop)
}
