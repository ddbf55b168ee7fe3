//! `--listen`: `/metrics`, `/livez`, `/readyz`, by GET, and nothing else. Flows and the page's data are on the unix
//! socket; this port may be open to the cluster.

mod accept;
mod pack;

use super::metrics::{Exposition, Format};
use crate::lifecycle::{Ready, Stop};
use accept::preferred;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, VARY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use pack::{gzip, takes_gzip};
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tracing::{debug, warn};

/// Connections at once. A scraper and two probes need three.
const CONNECTIONS: usize = 64;
/// A request's head has to be there by then: a half-open client holds its place no longer.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Idle keep-alive included. Prometheus reconnects without a word.
const CONNECTION_FOR: Duration = Duration::from_mins(2);
const HEAD_BYTES: usize = 16 << 10;

/// What the three paths tell.
#[derive(Clone)]
pub struct Answers {
    pub metrics: Arc<Exposition>,
    pub ready: Ready,
    /// Whether the engine still moves.
    pub live: Arc<dyn Fn() -> bool + Send + Sync>,
}

#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
}

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "address {0} is in use: stop what listens there (ss -ltnp 'sport = :{port}' names it) or choose another with --listen ADDR:PORT",
        port = .0.port()
    )]
    InUse(SocketAddr),
    #[error("cannot listen on {0}: {1}; choose another address with --listen ADDR:PORT")]
    Io(SocketAddr, io::Error),
}

impl Listener {
    pub async fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        match TcpListener::bind(address).await {
            Ok(listener) => Ok(Self { listener }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(ListenError::InUse(address)),
            Err(error) => Err(ListenError::Io(address, error)),
        }
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then closes.
    pub async fn serve(self, answers: Answers, stop: Stop) {
        let serve = |stream| connection(stream, answers.clone());
        tokio::select! {
            () = stop.asked() => {}
            never = self.each(serve) => match never {},
        }
    }

    /// Gives every connection to `serve`, so many at once. They end when this is dropped.
    pub async fn each<F>(&self, serve: impl Fn(TcpStream) -> F) -> Infallible
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = connections.join_next() => {}
                (place, accepted) = self.accept(&places) => match accepted {
                    Ok(stream) => {
                        let served = serve(stream);
                        connections.spawn(async move {
                            served.await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        warn!("cannot accept a connection on --listen: {error}");
                        // Out of file descriptors, as a rule: accepting again at once would spin.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }

    async fn accept(&self, places: &Arc<Semaphore>) -> (Option<OwnedSemaphorePermit>, io::Result<TcpStream>) {
        // Nobody closes it, so there is a place sooner or later.
        let place = Arc::clone(places).acquire_owned().await.ok();
        (place, self.listener.accept().await.map(|(stream, _)| stream))
    }
}

/// HTTP/1.1 with bounds on what a connection may cost before it has asked for anything.
pub fn protocol() -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(HEAD_BYTES).max_headers(64);
    protocol
}

async fn connection(stream: TcpStream, answers: Answers) {
    let service = service_fn(move |request| {
        let answers = answers.clone();
        async move { Ok::<_, Infallible>(answers.to(&request).await) }
    });
    let serve = protocol().serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_FOR, serve).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => debug!("a connection on --listen ended: {error}"),
    }
}

impl Answers {
    async fn to(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        match request.uri().path() {
            "/metrics" | "/livez" | "/readyz" if request.method() != Method::GET => {
                let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
                response
            }
            "/metrics" => {
                let said =
                    |name: HeaderName| request.headers().get_all(name).iter().filter_map(|value| value.to_str().ok());
                self.scrape(preferred(said(ACCEPT)), takes_gzip(said(ACCEPT_ENCODING))).await
            }
            "/livez" if (self.live)() => text(StatusCode::OK, "ok\n"),
            "/livez" => text(StatusCode::SERVICE_UNAVAILABLE, "the engine does not move\n"),
            "/readyz" => match self.ready.waiting_for().as_slice() {
                [] => text(StatusCode::OK, "ok\n"),
                waiting => text(StatusCode::SERVICE_UNAVAILABLE, &format!("waiting for {}\n", waiting.join(", "))),
            },
            _ => text(StatusCode::NOT_FOUND, "only /metrics, /livez and /readyz\n"),
        }
    }
}

impl Answers {
    /// On a thread of its own: ten thousand series take longer to write than the ring may wait for.
    async fn scrape(&self, format: Format, packed: bool) -> Response<Full<Bytes>> {
        let metrics = Arc::clone(&self.metrics);
        let written = tokio::task::spawn_blocking(move || {
            let body = metrics.encode(format).map_err(|error| error.to_string())?;
            if packed { gzip(&body).map_err(|error| error.to_string()) } else { Ok(body.into_bytes()) }
        });
        let body = match written.await.map_err(|error| error.to_string()).flatten() {
            Ok(body) => body,
            Err(error) => {
                return text(StatusCode::INTERNAL_SERVER_ERROR, &format!("cannot encode the metrics: {error}\n"));
            }
        };
        let mut response = reply(StatusCode::OK, format.content_type(), body);
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        if packed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metrics: _, ready, live: _ } = self;
        f.debug_struct("Answers").field("ready", ready).finish_non_exhaustive()
    }
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    reply(status, "text/plain; charset=utf-8", body.to_owned().into_bytes())
}

fn reply(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
