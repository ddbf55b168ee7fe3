//! The application that answers: one process per pod, for all its ports.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use clap::Args;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::wire::{Question, Received};
use super::{payload, tls};
use crate::recipe::Kind;
use crate::recipe::pod_name::PodName;

/// As much of a connection's first bytes as a request of ours can have.
const FIRST: usize = 1024;

#[derive(Args)]
pub struct Server {
    #[arg(long)]
    pod: PodName,
    /// A JSON object: what listens on which port.
    #[arg(long)]
    ports: String,
}

struct App {
    pod: PodName,
    tls: TlsAcceptor,
    /// The tokens of the requests that came in.
    received: Mutex<HashSet<u64>>,
}

impl Server {
    /// Serves until stdin ends.
    pub fn run(self) -> Result<()> {
        let ports = serde_json::from_str(&self.ports).with_context(|| format!("--ports {:?}", self.ports))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(serve(self.pod, ports))
    }
}

async fn serve(pod: PodName, ports: BTreeMap<u16, Kind>) -> Result<()> {
    let tls = TlsAcceptor::from(Arc::new(tls::server()?));
    let app = Arc::new(App { pod, tls, received: Mutex::default() });
    for (port, kind) in ports {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await;
        let listener = listener.with_context(|| format!("cannot listen on port {port}"))?;
        tokio::spawn(accept(Arc::clone(&app), listener, kind));
    }
    println!("{}", serde_json::to_string(&Received { tokens: Vec::new() })?);
    let mut questions = BufReader::new(tokio::io::stdin()).lines();
    while let Some(question) = questions.next_line().await? {
        let Question { tokens } = serde_json::from_str(&question).context("not a question")?;
        println!("{}", serde_json::to_string(&Received { tokens: app.among_received(tokens) })?);
    }
    Ok(())
}

async fn accept(app: Arc<App>, listener: TcpListener, kind: Kind) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let app = Arc::clone(&app);
                tokio::spawn(async move {
                    // A client that goes away in the middle is the client's story, told by its result.
                    let _left = app.answer(kind, stream).await;
                });
            }
            Err(error) => eprintln!("{}: cannot accept: {error}", app.pod),
        }
    }
}

impl App {
    async fn answer(self: Arc<Self>, kind: Kind, mut stream: TcpStream) -> Result<()> {
        match kind {
            Kind::Http => {
                // Bytes that are not HTTP reach the application as well: it gets them before it refuses them.
                let mut first = [0; FIRST];
                let length = stream.peek(&mut first).await?;
                self.note(payload::token(&first[..length]));
                self.http(stream).await
            }
            Kind::Tls => {
                let stream = self.tls.accept(stream).await?;
                self.http(stream).await
            }
            Kind::Tcp => {
                let mut first = [0; FIRST];
                let length = stream.read(&mut first).await?;
                self.note(payload::token(&first[..length]));
                stream.write_all(&first[..length]).await?;
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await?;
                Ok(())
            }
            Kind::Banner => {
                stream.write_all(payload::banner(&self.pod).as_bytes()).await?;
                drain(stream).await
            }
            Kind::Silent => drain(stream).await,
            Kind::Close => Ok(()),
        }
    }

    async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self: Arc<Self>, stream: S) -> Result<()> {
        let service = service_fn(|request| {
            let answer = self.respond(&request);
            async { Ok::<_, Infallible>(answer) }
        });
        let served = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        served.map_err(anyhow::Error::from_boxed)
    }

    /// `/status/NNN` is answered with that status, everything else with 200.
    fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let token = request.headers().get(payload::HEADER).and_then(|token| token.to_str().ok()?.parse().ok());
        self.note(token);
        let asked = request.uri().path().strip_prefix("/status/").and_then(|status| status.parse().ok());
        let mut response = Response::new(Full::from(format!("{}\n", self.pod)));
        *response.status_mut() = asked.unwrap_or(StatusCode::OK);
        response
    }

    fn note(&self, token: Option<u64>) {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).extend(token);
    }

    fn among_received(&self, mut tokens: Vec<u64>) -> Vec<u64> {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|token| received.contains(token));
        tokens
    }
}

async fn drain(mut stream: TcpStream) -> Result<()> {
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(())
}
