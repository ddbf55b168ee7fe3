//! What a client says on its connection, and what comes back.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{Response, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::wire::Order;
use super::{payload, tls};
use crate::recipe::call::Sends;
use crate::recipe::pod_name::PodName;

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

pub(super) struct Reply {
    pub(super) status: Option<u16>,
    /// Who said its name without having been asked.
    pub(super) greeter: Option<PodName>,
    /// The connection, open until this is dropped.
    pub(super) open: Box<dyn Send>,
}

pub(super) async fn exchange(order: &Order, stream: impl Stream) -> Result<Reply> {
    match order.request.send {
        Sends::Http => http(order, stream).await,
        Sends::Http2 => http2(order, stream).await,
        Sends::Tls => own_tls(order, stream).await,
        Sends::Tcp => bytes(order, stream).await,
        Sends::None => listen(stream).await,
    }
}

async fn http(order: &Order, stream: impl Stream) -> Result<Reply> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its error is the request's error too.
    tokio::spawn(connection);
    let request = hyper::Request::get(&order.request.path)
        .header(header::HOST, host(order)?)
        .header(payload::HEADER, order.token)
        .body(Empty::<Bytes>::new())?;
    let status = whole(sender.send_request(request).await?).await?;
    Ok(Reply { status: Some(status), greeter: None, open: Box::new(sender) })
}

async fn http2(order: &Order, stream: impl Stream) -> Result<Reply> {
    let executor = TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = hyper::Request::get(format!("http://{}{}", host(order)?, order.request.path))
        .header(payload::HEADER, order.token)
        .body(Empty::<Bytes>::new())?;
    let status = whole(sender.send_request(request).await?).await?;
    Ok(Reply { status: Some(status), greeter: None, open: Box::new(sender) })
}

async fn own_tls(order: &Order, stream: impl Stream) -> Result<Reply> {
    let config = tls::client(&order.request.alpn, order.certificates.as_deref())?;
    let name = match &order.request.sni {
        Some(sni) => ServerName::try_from(sni.clone()).with_context(|| format!("{sni:?} is no server name"))?,
        None => ServerName::from(order.request.to.ip()),
    };
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    if order.request.host.is_some() { http(order, stream).await } else { bytes(order, stream).await }
}

async fn bytes(order: &Order, mut stream: impl Stream) -> Result<Reply> {
    stream.write_all(&payload::bytes(order.token)).await?;
    stream.flush().await?;
    first_bytes(&mut stream).await?;
    Ok(Reply { status: None, greeter: None, open: Box::new(stream) })
}

async fn listen(mut stream: impl Stream) -> Result<Reply> {
    let greeter = payload::greeter(&first_bytes(&mut stream).await?);
    Ok(Reply { status: None, greeter, open: Box::new(stream) })
}

async fn first_bytes(stream: &mut impl Stream) -> Result<Vec<u8>> {
    let mut bytes = vec![0; 4096];
    let length = stream.read(&mut bytes).await?;
    if length == 0 {
        bail!("closed without an answer");
    }
    bytes.truncate(length);
    Ok(bytes)
}

async fn whole(response: Response<Incoming>) -> Result<u16> {
    let status = response.status().as_u16();
    response.into_body().collect().await?;
    Ok(status)
}

fn host(order: &Order) -> Result<&str> {
    order.request.host.as_deref().with_context(|| format!("a call that sends {:?} has no host", order.request.send))
}
