//! The application that calls: one process per pod and uid, which makes the calls it is told to make.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::exchange::{Reply, exchange};
use super::tally::{Tallied, Tally};
use super::wire::{CallResult, Ending, Order, Outcome};
use crate::clock;

/// Makes calls until stdin ends, all at once that it is told at once.
pub fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut orders = BufReader::new(tokio::io::stdin()).lines();
        while let Some(order) = orders.next_line().await? {
            let order: Order = serde_json::from_str(&order).context("not an order")?;
            tokio::spawn(async move {
                let outcome = Outcome { token: order.token, result: call(&order).await };
                match serde_json::to_string(&outcome) {
                    Ok(line) => println!("{line}"),
                    Err(error) => eprintln!("cannot tell of call {}: {error}", outcome.token),
                }
            });
        }
        Ok(())
    })
}

async fn call(order: &Order) -> CallResult {
    let mut result = CallResult {
        local: None,
        started: clock::now(),
        connected: None,
        ended: 0,
        ending: Ending::TimedOut,
        status: None,
        bytes_sent: 0,
        bytes_received: 0,
        receivers: Vec::new(),
    };
    match timeout(order.request.connect_timeout(), connect(order.request.to, &mut result.local)).await {
        Ok(Ok(stream)) => {
            result.connected = Some(clock::now());
            converse(order, stream, &mut result).await;
        }
        Ok(Err(error)) => result.ending = refusal(&error),
        Err(_elapsed) => {}
    }
    result.ended = clock::now();
    result
}

/// The local port is read while the connect is under way: a failed one forgets it. No `bind` before: the kernel would
/// then pick ports as it never does for an application.
async fn connect(to: SocketAddr, local: &mut Option<SocketAddr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => return Err(error),
        _ => {}
    }
    *local = socket.local_addr()?.as_socket();
    let stream = TcpStream::from_std(socket.into())?;
    stream.writable().await?;
    match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

async fn converse(order: &Order, stream: TcpStream, result: &mut CallResult) {
    let (stream, tally) = Tallied::new(stream);
    match timeout(order.request.timeout(), exchange(order, stream)).await {
        Ok(Ok(Reply { status, greeter, open })) => {
            result.status = status;
            result.receivers.extend(greeter);
            result.ending = Ending::Answered;
            tokio::time::sleep(Duration::from_millis(order.request.hold_ms)).await;
            drop(open);
        }
        Ok(Err(error)) => result.ending = failure(&error, &tally),
        Err(_elapsed) => {}
    }
    result.bytes_sent = tally.sent.load(Ordering::Relaxed);
    result.bytes_received = tally.received.load(Ordering::Relaxed);
}

fn refusal(error: &io::Error) -> Ending {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Ending::Refused,
        io::ErrorKind::ConnectionReset => Ending::Reset,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Ending::Unreachable,
        io::ErrorKind::TimedOut => Ending::TimedOut,
        _ => Ending::Failed(error.to_string()),
    }
}

/// A TLS alert explains the close that follows it; bytes that were not understood explain ours.
fn failure(error: &anyhow::Error, tally: &Tally) -> Ending {
    if let Some(tls) = error.chain().find_map(tls_error) {
        Ending::Failed(tls.to_string())
    } else if tally.reset.load(Ordering::Relaxed) {
        Ending::Reset
    } else if tally.eof.load(Ordering::Relaxed) {
        Ending::Eof
    } else {
        Ending::Failed(error.root_cause().to_string())
    }
}

/// An `io::Error` passes its content over when it is asked for its source.
fn tls_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}
