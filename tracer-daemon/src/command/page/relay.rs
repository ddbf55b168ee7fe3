//! Lines on their way to a browser, as they are. What lies between is bounded: a browser that takes nothing makes us take
//! nothing of the daemon, which skips records and says how many, and drops us in the end.

use crate::command::Failure;
use crate::command::observe::{Asked, End, Next, Source, Stream};
use crate::sink::wire::Refusal;
use futures_util::FutureExt;
use hyper::body::{Body, Bytes, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Pieces between the source and the browser.
const WAITING: usize = 8;
/// Bytes of a piece, about.
const PIECE: usize = 64 << 10;

/// The body of a response that ends when the daemon does, and for a recording when nobody looks any more.
#[derive(Debug)]
pub(super) struct Relay {
    pieces: Receiver<Bytes>,
}

/// What is remembered, and what follows it.
pub(super) async fn relay(source: &Source) -> Result<Relay, Failure> {
    let lines = Stream::open(source, Asked::remembered_and_new()).await?;
    let (sender, pieces) = channel(WAITING);
    let is_recorded = matches!(source, Source::Journal(_) | Source::Tape(_));
    tokio::spawn(async move {
        let error = match pass_on(lines, &sender).await {
            None => return,
            Some(Ok(End::Whole)) if is_recorded => None,
            Some(Ok(End::Whole)) => Some("the daemon has ended".to_owned()),
            Some(Ok(end)) => Some(end.to_string()),
            Some(Err(failure)) => Some(failure.to_string()),
        };
        if let Some(error) = error {
            // An error says that nobody looks any more.
            let _ = sender.send(Bytes::copy_from_slice(Refusal { error }.line().as_bytes())).await;
        }
        if is_recorded {
            // A browser whose stream ends would ask for all of it again.
            sender.closed().await;
        }
    });
    Ok(Relay { pieces })
}

/// How it ended; `None`: nobody looks any more.
async fn pass_on(mut lines: Stream, pieces: &Sender<Bytes>) -> Option<Result<End, Failure>> {
    loop {
        let mut next = tokio::select! {
            next = lines.next() => next,
            () = pieces.closed() => return None,
        };
        let mut piece = String::new();
        let end = loop {
            match next {
                Ok(Next::Line(line, _)) => {
                    piece.push_str(&line);
                    piece.push('\n');
                }
                Ok(Next::CaughtUp) => {}
                Ok(Next::End(end)) => break Some(Ok(end)),
                Err(failure) => break Some(Err(failure)),
            }
            // All that is there already goes in one piece.
            match (piece.len() < PIECE).then(|| lines.next().now_or_never()).flatten() {
                Some(more) => next = more,
                None => break None,
            }
        };
        if !piece.is_empty() && pieces.send(piece.into()).await.is_err() {
            return None;
        }
        if end.is_some() {
            return end;
        }
    }
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
