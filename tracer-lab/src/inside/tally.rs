//! A TCP stream that keeps count: bytes in each direction, and how the other side ended it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[derive(Default)]
pub(super) struct Tally {
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) eof: AtomicBool,
    pub(super) reset: AtomicBool,
}

pub(super) struct Tallied {
    stream: TcpStream,
    tally: Arc<Tally>,
}

impl Tallied {
    pub(super) fn new(stream: TcpStream) -> (Tallied, Arc<Tally>) {
        let tally = Arc::new(Tally::default());
        (Tallied { stream, tally: Arc::clone(&tally) }, tally)
    }
}

impl Tally {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
        {
            self.reset.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl AsyncRead for Tallied {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        let read = buf.filled().len() - before;
        self.tally.received.fetch_add(read as u64, Ordering::Relaxed);
        if result.is_ok() && read == 0 {
            self.tally.eof.store(true, Ordering::Relaxed);
        }
        Poll::Ready(self.tally.note(result))
    }
}

impl AsyncWrite for Tallied {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        self.tally.sent.fetch_add(*result.as_ref().unwrap_or(&0) as u64, Ordering::Relaxed);
        Poll::Ready(self.tally.note(result))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
