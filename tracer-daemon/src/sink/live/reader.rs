//! One reader: its request, its answer. It has its own pace and its own end.

use super::super::Told;
use super::super::wire::{Backlog, Observe, Refusal, Request};
use super::{Hub, Sources};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::timeout;
use tracing::{debug, info};

/// A request is one short line, sent at once.
const REQUEST_BYTES: u64 = 4096;
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// A reader that takes nothing for this long is dropped.
const STUCK: Duration = Duration::from_secs(5);
/// Bytes written at once, about.
const CHUNK: usize = 64 << 10;

pub(super) async fn serve(stream: UnixStream, sources: Sources) {
    let _present = sources.hub.enter();
    let (read, mut write) = stream.into_split();
    let answered = match timeout(REQUEST_WITHIN, request(read)).await {
        Ok(Ok((Ok(request), read))) => answer(request, read, &mut write, &sources).await,
        Ok(Ok((Err(refusal), _))) => send(&mut write, refusal.line().as_bytes()).await,
        Ok(Err(error)) => Err(error),
        Err(_) => {
            let error = format!("no request within {} s", REQUEST_WITHIN.as_secs());
            send(&mut write, Refusal { error }.line().as_bytes()).await
        }
    };
    match answered {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            sources.hub.dropped.fetch_add(1, Ordering::Relaxed);
            info!("a reader of the socket took nothing for {} s and was dropped", STUCK.as_secs());
        }
        Err(error) => debug!("a reader of the socket left: {error}"),
    }
}

pub(super) async fn refuse(stream: UnixStream, refusal: Refusal) {
    let (_, mut write) = stream.into_split();
    if let Err(error) = send(&mut write, refusal.line().as_bytes()).await {
        debug!("a reader of the socket left: {error}");
    }
}

async fn request(read: OwnedReadHalf) -> io::Result<(Result<Request, Refusal>, OwnedReadHalf)> {
    let mut line = String::new();
    let mut limited = BufReader::new(read).take(REQUEST_BYTES);
    limited.read_line(&mut line).await?;
    Ok((Request::read(&line), limited.into_inner().into_inner()))
}

async fn answer(
    request: Request,
    read: OwnedReadHalf,
    write: &mut OwnedWriteHalf,
    sources: &Sources,
) -> io::Result<()> {
    match request {
        Request::Status => send(write, (sources.status)().line().as_bytes()).await,
        Request::Explain(id) => {
            let answer = match sources.hub.find(&id) {
                Ok(told) => (sources.explain)(told).await,
                Err(refusal) => Some(refusal.line()),
            };
            let stopping = || Refusal { error: "the daemon is stopping".to_owned() }.line();
            send(write, answer.unwrap_or_else(stopping).as_bytes()).await
        }
        Request::Observe(Observe { backlog, follow: false }) => {
            let told = match backlog {
                Backlog::All => sources.hub.backlog(),
                Backlog::None => Vec::new(),
            };
            send_all(write, &told).await?;
            send(write, sources.hub.gap(0).as_bytes()).await
        }
        Request::Observe(Observe { backlog, follow: true }) => {
            let (told, receiver) = sources.hub.follow();
            if backlog == Backlog::All {
                send_all(write, &told).await?;
                // A mark: what follows is new.
                send(write, sources.hub.gap(0).as_bytes()).await?;
            }
            drop(told);
            match receiver {
                Some(receiver) => follow(receiver, read, write, &sources.hub).await,
                None => send(write, sources.hub.gap(0).as_bytes()).await,
            }
        }
    }
}

async fn follow(
    mut receiver: Receiver<Arc<Told>>,
    mut read: OwnedReadHalf,
    write: &mut OwnedWriteHalf,
    hub: &Hub,
) -> io::Result<()> {
    let mut chunk = Vec::new();
    let mut byte = [0];
    loop {
        let received = tokio::select! {
            received = receiver.recv() => received,
            // A reader has nothing more to say: it left.
            _ = read.read(&mut byte) => return Ok(()),
        };
        match received {
            Ok(told) => chunk.extend_from_slice(told.text().as_bytes()),
            Err(RecvError::Lagged(records)) => chunk.extend_from_slice(hub.gap(records).as_bytes()),
            Err(RecvError::Closed) => return send(write, hub.gap(0).as_bytes()).await,
        }
        while chunk.len() < CHUNK {
            match receiver.try_recv() {
                Ok(told) => chunk.extend_from_slice(told.text().as_bytes()),
                Err(TryRecvError::Lagged(records)) => chunk.extend_from_slice(hub.gap(records).as_bytes()),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        send(write, &chunk).await?;
        chunk.clear();
    }
}

async fn send_all(write: &mut OwnedWriteHalf, told: &[Arc<Told>]) -> io::Result<()> {
    let mut chunk = Vec::new();
    for told in told {
        chunk.extend_from_slice(told.text().as_bytes());
        if chunk.len() >= CHUNK {
            send(write, &chunk).await?;
            chunk.clear();
        }
    }
    send(write, &chunk).await
}

async fn send(write: &mut OwnedWriteHalf, bytes: &[u8]) -> io::Result<()> {
    timeout(STUCK, write.write_all(bytes)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
