//! Whether `observe` keeps up: flows are published at a rate, to a real socket, and the program reads them from there and
//! shows them. What it was too slow for it says itself, at its end.

mod flow;

use flow::flow;
use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tracer_daemon::clock::Epoch;
use tracer_daemon::lifecycle::Drain;
use tracer_daemon::sink::Told;
use tracer_daemon::sink::live::{self, Explaining, Hub, Socket, Sources};
use tracer_daemon::sink::wire::Origin;

const RATES: [usize; 3] = [20_000, 40_000, 80_000];
const FOR: Duration = Duration::from_secs(5);
/// As the engine flushes: after each batch of events.
const BATCH: Duration = Duration::from_millis(10);
/// Workloads that take part.
const WORKLOADS: usize = 500;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for format in ["compact", "json"] {
        for rate in RATES {
            println!("{format}, {rate} flows/s for {FOR:?}: {}", runtime.block_on(observed(format, rate)));
        }
    }
}

/// The last words of `observe`.
async fn observed(format: &str, rate: usize) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("flows.sock");
    let origin = Arc::new(Origin { node: "n1".into(), started: "2026-11-23T09:00:00Z".parse().expect("a time") });
    let hub = Hub::new(Arc::clone(&origin));
    let (drain, stop) = Drain::new();
    let socket = Socket::bind(&path).expect("a socket");
    let explain = Arc::new(|_| -> Explaining { Box::pin(async { None }) });
    let status = Arc::new(|| unreachable!("nobody asks for it"));
    let served = tokio::spawn(live::serve(socket, Sources { hub: Arc::clone(&hub), status, explain }, stop));
    let shown = File::create(dir.path().join("shown")).expect("a file");
    let mut observe = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"))
        .args(["observe", "--follow", "--output", format, "--socket"])
        .arg(&path)
        .stdout(shown)
        .stderr(Stdio::piped())
        .spawn()
        .expect("observe starts");
    while hub.readers.load(Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let mut turn = tokio::time::interval(BATCH);
    turn.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let each = rate * usize::try_from(BATCH.as_millis()).expect("a short while") / 1000;
    let epoch = Epoch::now();
    for batch in 0..FOR.as_millis() / BATCH.as_millis() {
        turn.tick().await;
        let number = |at| usize::try_from(batch).expect("a few") * each + at;
        let told = |at| Told::flow(Box::new(flow(number(at) % WORKLOADS)), &origin, epoch);
        hub.publish(&(0..each).map(told).collect::<Vec<_>>());
    }
    hub.close();
    drop(drain);
    let mut said = String::new();
    observe.stderr.take().expect("a pipe").read_to_string(&mut said).expect("a text");
    observe.wait().expect("it ends");
    served.abort();
    said.trim().replace('\n', "; ")
}
