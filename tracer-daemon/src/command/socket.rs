//! The reader's end of the daemon's socket.

use super::Failure;
use crate::sink::wire::{Refusal, Request};
use anyhow::anyhow;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;

const WITHIN: Duration = Duration::from_secs(5);

type Source = Box<dyn AsyncRead + Send + Unpin>;
type Sink = Box<dyn AsyncWrite + Send + Unpin>;

/// An answer's lines, from a socket or whatever leads to one. Both directions stay whole until it is dropped: closing
/// ours would mean that we left.
pub(super) struct Lined {
    lines: Lines<BufReader<Source>>,
    _ours: Sink,
}

pub(super) async fn ask(path: &Path, request: &Request) -> Result<Lined, Failure> {
    let stream = UnixStream::connect(path).await.map_err(|error| unreached(path, &error))?;
    let (from, to) = stream.into_split();
    ask_over(Box::new(from), Box::new(to), request).await.map_err(|error| unreached(path, &error))
}

/// The same of whatever carries both directions.
pub(super) async fn ask_over(from: Source, mut to: Sink, request: &Request) -> std::io::Result<Lined> {
    to.write_all(request.line().as_bytes()).await?;
    to.flush().await?;
    Ok(Lined { lines: BufReader::new(from).lines(), _ours: to })
}

/// For what has one line for an answer.
pub(super) async fn ask_once(path: &Path, request: &Request) -> Result<String, Failure> {
    let path_name = path.display();
    tokio::time::timeout(WITHIN, async { ask(path, request).await?.next().await })
        .await
        .map_err(|_| Failure::unreached(anyhow!("the daemon at {path_name} does not answer within {WITHIN:?}")))??
        .ok_or_else(|| Failure::unreached(anyhow!("the daemon at {path_name} closed without an answer")))
}

impl std::fmt::Debug for Lined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lined").finish_non_exhaustive()
    }
}

impl Lined {
    /// `None`: the daemon closed the stream.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Failure> {
        let line = match self.lines.next_line().await {
            Ok(line) => line,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => None,
            Err(error) => return Err(Failure::unreached(anyhow!("reading from the daemon: {error}"))),
        };
        match line.as_deref().and_then(Refusal::read) {
            Some(Refusal { error }) => Err(Failure::unreached(anyhow!("the daemon refused: {error}"))),
            None => Ok(line),
        }
    }
}

pub(super) fn unreached(path: &Path, error: &std::io::Error) -> Failure {
    let path = path.display();
    Failure::unreached(match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => anyhow!(
            "no daemon is running at socket {path} ({error}): start one with `mesh-tracer run --facts FILE`, \
             name its socket with --socket PATH, or read a journal with `observe --journal FILE`; \
             in a cluster: kubectl exec into the node's mesh-tracer pod"
        ),
        ErrorKind::PermissionDenied => {
            anyhow!("socket {path}: {error}; only the user who runs the daemon may open it: try sudo")
        }
        _ => anyhow!("socket {path}: {error}"),
    })
}
