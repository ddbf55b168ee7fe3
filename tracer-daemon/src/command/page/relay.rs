//! The socket's lines on their way to a browser, as they are. What lies between is bounded: a browser that takes nothing
//! makes us take nothing of the daemon, which skips records and says how many, and drops us in the end.

use crate::command::socket::{self, Lined};
use crate::command::{Failure, observe};
use crate::sink::wire::{self, Backlog, Line, Observe, Refusal, Request};
use futures_util::FutureExt;
use hyper::body::{Body, Bytes, Frame};
use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Pieces between the socket and the browser.
const WAITING: usize = 8;
/// Bytes of a piece, about.
const PIECE: usize = 64 << 10;

/// The body of a response that ends when the daemon does.
#[derive(Debug)]
pub(super) struct Relay {
    pieces: Receiver<Bytes>,
}

/// What is remembered, and what follows it.
pub(super) async fn relay(path: &Path) -> Result<Relay, Failure> {
    let lines = socket::ask(path, &Request::Observe(Observe { backlog: Backlog::All, follow: true })).await?;
    let (sender, pieces) = channel(WAITING);
    tokio::spawn(pass_on(lines, sender));
    Ok(Relay { pieces })
}

async fn pass_on(mut lines: Lined, pieces: Sender<Bytes>) {
    let mut ended = false;
    let last = loop {
        let mut next = tokio::select! {
            line = lines.next() => line,
            // Nobody looks any more.
            () = pieces.closed() => return,
        };
        let mut piece = String::new();
        let end = loop {
            match next {
                Ok(Some(line)) => {
                    ended = is_mark(&line);
                    piece.push_str(&line);
                    piece.push('\n');
                }
                Ok(None) if ended => break Some("the daemon has ended".to_owned()),
                Ok(None) => break Some(observe::End::Dropped.to_string()),
                Err(failure) => break Some(failure.to_string()),
            }
            // All that is there already goes in one piece.
            match (piece.len() < PIECE).then(|| lines.next().now_or_never()).flatten() {
                Some(line) => next = line,
                None => break None,
            }
        };
        if !piece.is_empty() && pieces.send(piece.into()).await.is_err() {
            return;
        }
        if let Some(why) = end {
            break why;
        }
    };
    let refusal = Refusal { error: last };
    // An error says that nobody looks any more.
    let _ = pieces.send(Bytes::copy_from_slice(refusal.line().as_bytes())).await;
}

/// Zeros mark the end of what is remembered, and the end of the stream. They are told apart from records by their length.
fn is_mark(line: &str) -> bool {
    line.len() < 300 && matches!(wire::read(line), Ok(Line::Lost(loss)) if loss.is_none())
}

impl Body for Relay {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.pieces.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
