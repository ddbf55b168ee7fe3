//! A connect storm on loopback: connections opened and closed as fast as two threads can, for `xtask bench storm`.
//! What a tracer costs is the difference between a storm beside it and one without.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit};
use serde::{Deserialize, Serialize};

use crate::clock;

/// Destinations that take turns. Each closed connection leaves its client port in TIME_WAIT towards one destination
/// for a minute, so one address alone runs out of ports after 28,000.
const DESTINATIONS: u32 = 64;

/// A paced storm looks at the clock every so many milliseconds: a system call for each connection would be a cost.
const PACE: u32 = 1;

/// Connections that may wait for `accept`. Where that queue is full the kernel drops the last ACK of a handshake, and a client
/// that is closed by then may never be accepted: so whoever connects stays this far ahead at most, and the queue is longer.
const AHEAD: usize = 1024;
const ACCEPT_QUEUE: i32 = 4096;

/// What one storm took. Times are of the storm's process alone, its softirq work on loopback included.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Storm {
    pub connections: u32,
    /// CLOCK_MONOTONIC, from the first connect to the last accept.
    pub wall: Duration,
    /// Processor time, user and system.
    pub cpu: Duration,
}

impl Storm {
    pub fn per_second(&self) -> f64 {
        f64::from(self.connections) / self.wall.as_secs_f64()
    }
}

/// Opens and closes `connections`. A listener on every loopback address, one thread that accepts, one that connects: as
/// fast as it goes, or `rate` of them a second.
pub fn run(connections: u32, rate: Option<u32>) -> Result<Storm> {
    ensure!(connections > 0, "a storm of 0 connections: ask for at least 1");
    raise_open_files()?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).context("cannot listen on loopback")?;
    rustix::net::listen(&listener, ACCEPT_QUEUE).context("cannot lengthen the accept queue")?;
    let port = listener.local_addr().context("cannot learn the storm's port")?.port();
    let (ahead, accepted) = sync_channel(AHEAD);

    let before = clock::cpu();
    let start = clock::now();
    let server = thread::spawn(move || -> std::io::Result<()> {
        for _ in 0..connections {
            drop(listener.accept()?);
            // Whoever connects is gone where a connect failed, and says so itself.
            let _ = accepted.recv();
        }
        Ok(())
    });
    for at in 0..connections {
        if let Some(rate) = rate.filter(|rate| *rate > 0 && at % (PACE * rate / 1000).max(1) == 0) {
            clock::sleep_until(start + u64::from(at) * 1_000_000_000 / u64::from(rate));
        }
        let destination = SocketAddr::V4(SocketAddrV4::new(loopback(at % DESTINATIONS), port));
        // An acceptor that failed is heard of when it is joined.
        let _ = ahead.send(());
        TcpStream::connect(destination)
            .with_context(|| format!("connection {} of {connections} to {destination} failed", at + 1))?;
    }
    server.join().expect("the accepting thread has no panic of its own").context("cannot accept")?;
    let wall = Duration::from_nanos(clock::now() - start);
    let after = clock::cpu();
    Ok(Storm { connections, wall, cpu: after.saturating_sub(before) })
}

/// 127.0.0.1, 127.0.0.2, ...: all of 127/8 is local.
fn loopback(at: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + at)
}

/// The accept queue may hold thousands of sockets before the accepting thread is scheduled.
fn raise_open_files() -> Result<()> {
    let Rlimit { maximum, .. } = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .context("cannot raise the limit of open files")
}
