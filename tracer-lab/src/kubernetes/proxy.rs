//! What can stand between a client and the API server: a real proxy that refuses, hangs, breaks off, throttles and counts.
//! It takes plain HTTP, so that a kubeconfig with its address needs no certificate.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::channel::Channel;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1 as upstream;
use hyper::server::conn::http1 as downstream;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::api::Api;

/// What happens to requests from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    None,
    /// An answer of the proxy's own, with `Retry-After` where there are seconds.
    Status {
        code: u16,
        retry_after: Option<u32>,
    },
    /// Taken, and never answered.
    Hang,
    /// The connection breaks after so many bytes of each answer's body.
    Cut {
        after: usize,
    },
    /// The answer begins well and ends at once, as if that were all.
    EndAtOnce,
    /// So many bytes a second, of each answer.
    Throttle {
        bytes: usize,
    },
    /// As a server without streaming lists does.
    NoStreamingLists,
    /// As a server does that has forgotten what the first page of a list was of.
    ForgottenLists,
}

/// Lives until it is dropped, and every connection through it.
pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
    serving: AbortHandle,
    cut: watch::Sender<u64>,
}

struct Shared {
    upstream: Api,
    state: Mutex<State>,
}

struct State {
    fault: Fault,
    requests: Vec<String>,
    bytes: u64,
}

type Answer = Response<BoxBody<Bytes, std::io::Error>>;

impl Proxy {
    /// In front of the server that `api` asks. Credentials pass through.
    pub async fn start(api: Api) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no free port on 127.0.0.1")?;
        let address = listener.local_addr()?.to_string();
        let state = Mutex::new(State { fault: Fault::None, requests: Vec::new(), bytes: 0 });
        let shared = Arc::new(Shared { upstream: api, state });
        let (cut, is_cut) = watch::channel(0);
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared), is_cut)).abort_handle();
        Ok(Self { address, shared, serving, cut })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Of requests that come from now on; what is being answered goes on.
    pub fn set(&self, fault: Fault) {
        self.shared.with(|state| state.fault = fault);
    }

    /// Breaks every connection that there is.
    pub fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Path and query of each request so far.
    pub fn requests(&self) -> Vec<String> {
        self.shared.with(|state| state.requests.clone())
    }

    /// Bytes of answers' bodies so far.
    pub fn bytes(&self) -> u64 {
        self.shared.with(|state| state.bytes)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
        self.cut();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, is_cut: watch::Receiver<u64>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, mut is_cut) = (Arc::clone(&shared), is_cut.clone());
        is_cut.mark_unchanged();
        tokio::spawn(async move {
            let service = service_fn(move |request| Arc::clone(&shared).answer(request));
            let connection = downstream::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                // That it broke is what it is for.
                _ = connection => {}
                _ = is_cut.changed() => {}
            }
        });
    }
}

impl Shared {
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer> {
        let path = request.uri().to_string();
        let fault = self.with(|state| {
            state.requests.push(path.clone());
            state.fault
        });
        match fault {
            Fault::Hang => std::future::pending().await,
            Fault::Status { code, retry_after } => own(code, retry_after),
            Fault::NoStreamingLists if path.contains("sendInitialEvents") => own(422, None),
            Fault::ForgottenLists if path.contains("continue=") => own(410, None),
            _ => {
                let answer = self.pass(request).await?;
                Ok(answer.map(|body| through(self, body, fault)))
            }
        }
    }

    async fn pass(&self, request: Request<Incoming>) -> Result<Response<Incoming>> {
        let stream = self.upstream.connect().await?;
        let (mut http, connection) = upstream::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let (parts, _) = request.into_parts();
        Ok(http.send_request(Request::from_parts(parts, Empty::<Bytes>::new())).await?)
    }
}

/// As the API server would say it.
fn own(code: u16, retry_after: Option<u32>) -> Result<Answer> {
    let seconds =
        retry_after.map_or_else(String::new, |seconds| format!(r#","details":{{"retryAfterSeconds":{seconds}}}"#));
    let status = format!(
        r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"by the proxy","reason":"Unknown"{seconds},"code":{code}}}"#
    );
    let mut answer = Response::builder().status(code).header("content-type", "application/json");
    if let Some(seconds) = retry_after {
        answer = answer.header("retry-after", seconds);
    }
    Ok(answer.body(Full::new(Bytes::from(status)).map_err(|never| match never {}).boxed())?)
}

fn through(shared: Arc<Shared>, mut body: Incoming, fault: Fault) -> BoxBody<Bytes, std::io::Error> {
    let (mut to, through) = Channel::new(1);
    tokio::spawn(async move {
        let mut passed = 0;
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(mut data) = frame.into_data() else { continue };
            if fault == Fault::EndAtOnce {
                return;
            }
            while !data.is_empty() {
                let piece = match fault {
                    Fault::Throttle { bytes } => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        data.split_to(data.len().min((bytes / 10).max(1)))
                    }
                    Fault::Cut { after } => data.split_to(data.len().min(after.saturating_sub(passed))),
                    _ => std::mem::take(&mut data),
                };
                passed += piece.len();
                shared.with(|state| state.bytes += piece.len() as u64);
                if to.send_data(piece).await.is_err() {
                    return;
                }
                if matches!(fault, Fault::Cut { after } if passed >= after) {
                    return to.abort(std::io::Error::other("cut"));
                }
            }
        }
    });
    through.boxed()
}
