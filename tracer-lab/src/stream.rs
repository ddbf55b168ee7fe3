//! One connection on loopback that carries a lot: small messages to and fro, or a stream of bytes. For `xtask bench
//! kernel`: what a tracer costs beyond the first payload.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::clock;

/// What one stream took, of the process that ran both ends.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Stream {
    pub messages: u64,
    pub bytes: u64,
    pub wall: Duration,
    /// Processor time, user and system, softirq work on loopback included.
    pub cpu: Duration,
}

const MESSAGE: usize = 64;
const CHUNK: usize = 64 * 1024;

/// `messages` one way and as many answers, each waiting for the one before: one packet each, and an ACK at times.
pub fn ping_pong(messages: u64) -> Result<Stream> {
    measure(messages, messages * 2 * MESSAGE as u64, |mut client, mut server| {
        let answering = thread::spawn(move || {
            let mut message = [0; MESSAGE];
            (0..messages).try_for_each(|_| server.read_exact(&mut message).and_then(|()| server.write_all(&message)))
        });
        let mut message = [1; MESSAGE];
        for _ in 0..messages {
            client.write_all(&message)?;
            client.read_exact(&mut message)?;
        }
        answering.join().expect("the answering thread has no panic of its own")
    })
}

/// `bytes` one way, as fast as it goes.
pub fn bulk(bytes: u64) -> Result<Stream> {
    measure(0, bytes, |mut client, mut server| {
        let reading = thread::spawn(move || {
            let mut chunk = vec![0; CHUNK];
            while server.read(&mut chunk)? > 0 {}
            Ok(())
        });
        let chunk = vec![1; CHUNK];
        let mut left = bytes;
        while left > 0 {
            let now = left.min(CHUNK as u64);
            client.write_all(&chunk[..usize::try_from(now).unwrap_or(CHUNK)])?;
            left -= now;
        }
        drop(client);
        reading.join().expect("the reading thread has no panic of its own")
    })
}

fn measure(
    messages: u64,
    bytes: u64,
    carry: impl FnOnce(TcpStream, TcpStream) -> std::io::Result<()>,
) -> Result<Stream> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on loopback")?;
    let client = TcpStream::connect(listener.local_addr()?).context("cannot connect on loopback")?;
    let (server, _) = listener.accept().context("cannot accept on loopback")?;
    for end in [&client, &server] {
        end.set_nodelay(true).context("cannot set TCP_NODELAY")?;
    }
    let (cpu, start) = (clock::cpu(), clock::now());
    carry(client, server).context("the stream broke")?;
    let wall = Duration::from_nanos(clock::now() - start);
    Ok(Stream { messages, bytes, wall, cpu: clock::cpu().saturating_sub(cpu) })
}
