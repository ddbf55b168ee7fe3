//! The one way to the API server that all kinds share. Credentials that were refused are read again, where they lie, and
//! the request is made once more: a token that was rotated interrupts no watch.

use super::pace::Pace;
use super::pulse::Pulse;
use super::target::{Target, TargetError};
use super::trouble::{Trouble, TroubleKind, told};
use crate::clock;
use http_body_util::BodyExt;
use hyper::body::Buf;
use hyper::{Request, Response};
use kube::Client;
use kube::client::Body;
use std::sync::{Arc, Mutex, PoisonError};
use tower::ServiceExt;
use tracer_engine::net::Ktime;
use tracing::{info, warn};

pub struct Connection {
    target: Target,
    pace: Pace,
    current: Mutex<Current>,
    /// Held by whoever reads credentials.
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Current {
    client: Client,
    made: Ktime,
}

/// Why there is no API server to watch.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("cannot use the credentials: {0}; mend the kubeconfig")]
    Credentials(String),
    #[error("credential plugin {plugin}: {why}; install it where PATH finds it, or mend the kubeconfig that names it")]
    Plugin { plugin: String, why: String },
    #[error(
        "the API server at {url} shows a certificate that the configured authority did not sign ({why}): correct \
         certificate-authority in the kubeconfig"
    )]
    Certificate { url: String, why: String },
    #[error(
        "the API server at {url} does not know these credentials ({why}): they may have expired; log in again, or name \
         another context with --kube=CONTEXT"
    )]
    Unauthorized { url: String, why: String },
    #[error("no API server at {url}: {why}")]
    Unreachable { url: String, why: String },
}

impl Connection {
    /// Reads what is needed to ask; asks nothing yet.
    pub async fn open(target: Target, pace: Pace) -> Result<Arc<Self>, ConnectError> {
        let current = Mutex::new(Current { client: client_of(&target).await?, made: clock::ktime() });
        Ok(Arc::new(Self { target, pace, current, renewing: tokio::sync::Mutex::default() }))
    }

    /// Whether there is an API server that lets us in. What only waiting mends is `Unreachable`.
    pub async fn greet(self: &Arc<Self>) -> Result<(), ConnectError> {
        let request = Request::get("/version").body(Vec::new()).map_err(kube::Error::HttpError);
        let answer = match request {
            Ok(request) => self.client(Arc::default()).request_text(request).await,
            Err(error) => Err(error),
        };
        let Err(error) = answer else { return Ok(()) };
        let Trouble { kind, why } = Trouble::from(error);
        let url = self.target.config().await?.cluster_url.to_string();
        Err(match kind {
            TroubleKind::Certificate => ConnectError::Certificate { url, why },
            TroubleKind::Unauthorized => ConnectError::Unauthorized { url, why },
            // Somebody is there and knows us.
            TroubleKind::Forbidden | TroubleKind::NotFound => return Ok(()),
            _ => ConnectError::Unreachable { url, why },
        })
    }

    /// A client whose answers are signs of life of one kind.
    pub(super) fn client(self: &Arc<Self>, pulse: Arc<Pulse>) -> Client {
        let connection = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let (connection, pulse) = (Arc::clone(&connection), Arc::clone(&pulse));
            async move {
                let answer = connection.send(request).await?;
                Ok::<_, tower::BoxError>(answer.map(|body| {
                    body.map_frame(move |frame| {
                        pulse.beat(frame.data_ref().map_or(0, Buf::remaining));
                        frame
                    })
                }))
            }
        });
        Client::new(service.boxed_clone(), "default")
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let again = copy(&request)?;
        let Current { client, made } = self.current();
        let answer = self.answer(&client, request).await?;
        if answer.status() != hyper::StatusCode::UNAUTHORIZED || !self.renew(made).await {
            return Ok(answer);
        }
        self.answer(&self.current().client, again).await
    }

    /// The body may take its time: whoever reads it knows how long.
    async fn answer(&self, client: &Client, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let silent = || kube::Error::Service(format!("no answer within {:?}", self.pace.silence).into());
        tokio::time::timeout(self.pace.silence, client.send(request)).await.map_err(|_| silent())?
    }

    /// Whether there are other credentials now than those of `refused`.
    async fn renew(&self, refused: Ktime) -> bool {
        let _one_at_a_time = self.renewing.lock().await;
        let made = self.current().made;
        if made != refused {
            return true;
        }
        if clock::ktime().since(made) < self.pace.credentials {
            return false;
        }
        match client_of(&self.target).await {
            Ok(client) => {
                info!("the API server refused our credentials: they were read again");
                self.set(client);
                true
            }
            Err(error) => {
                warn!("the API server refused our credentials, and reading them again failed: {error}");
                false
            }
        }
    }

    fn current(&self) -> Current {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, client: Client) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Current { client, made: clock::ktime() };
    }
}

/// A client with whatever credentials the target names. A credential plugin may take its time.
pub(in super::super) async fn client_of(target: &Target) -> Result<Client, ConnectError> {
    let config = target.config().await?;
    let plugin = config.auth_info.exec.as_ref().and_then(|exec| exec.command.clone());
    let why = match tokio::task::spawn_blocking(move || Client::try_from(config)).await {
        Ok(Ok(client)) => return Ok(client),
        Ok(Err(error)) => told(&error),
        Err(panicked) => panicked.to_string(),
    };
    Err(match plugin {
        Some(plugin) => ConnectError::Plugin { plugin, why },
        None => ConnectError::Credentials(why),
    })
}

/// Ours are questions without a body.
fn copy(request: &Request<Body>) -> Result<Request<Body>, kube::Error> {
    let mut copy = Request::builder().method(request.method()).uri(request.uri());
    for (name, value) in request.headers() {
        copy = copy.header(name, value);
    }
    copy.body(Body::empty()).map_err(kube::Error::HttpError)
}
