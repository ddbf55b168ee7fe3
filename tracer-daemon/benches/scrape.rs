//! What a scrape of 10,000 series costs, by HTTP on loopback as Prometheus asks for it: time from the request to the last
//! byte, and bytes on the way.

mod flow;

use flow::flow;
use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracer_daemon::lifecycle::{Drain, Ready};
use tracer_daemon::sink::http::{Answers, Listener};
use tracer_daemon::sink::metrics::{self, Exposition, Options};
use tracer_engine::record::Record;

/// The cap; a flow that is rejected makes two series.
const SERIES: usize = 10_000;
const ROUNDS: usize = 101;

fn main() {
    let exposition = filled();
    let text = exposition.encode(metrics::Format::Classic).expect("a text");
    println!(
        "{} series, {:.2} MB",
        text.lines().filter(|line| !line.starts_with('#')).count(),
        text.len() as f64 / 1e6
    );
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (_drain, stop) = Drain::new();
    let listener = runtime.block_on(Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))).expect("a port");
    let at = listener.address().expect("an address");
    runtime.spawn(listener.serve(Answers { metrics: exposition, ready: Ready::new(), live: Arc::new(|| true) }, stop));
    for (name, headers) in [
        ("as Prometheus asks (OpenMetrics, gzip)", "accept: application/openmetrics-text\r\naccept-encoding: gzip\r\n"),
        ("plain", ""),
    ] {
        let mut taken: Vec<Scrape> = (0..ROUNDS).map(|_| scrape(at, headers)).collect();
        taken.sort_by_key(|scrape| scrape.took);
        println!("{name}: {} (worst {})", taken[ROUNDS / 2], taken[ROUNDS - 1]);
    }
}

struct Scrape {
    took: Duration,
    bytes: usize,
}

impl fmt::Display for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms, {:.3} MB", self.took.as_secs_f64() * 1e3, self.bytes as f64 / 1e6)
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench reads a clock")]
fn scrape(at: SocketAddr, headers: &str) -> Scrape {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(at).expect("it listens");
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: n1\r\nconnection: close\r\n{headers}\r\n").expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let took = begun.elapsed();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    Scrape { took, bytes: answer.len() }
}

/// Workloads call each other until the cap is reached, every other call in vain.
fn filled() -> Arc<Exposition> {
    let (mut recorder, _board, exposition) = metrics::new(&Options {
        max_series: SERIES,
        started: "2026-11-23T09:00:00Z".parse().expect("a time"),
        kernel: "6.18.0".to_owned(),
        node: "n1".into(),
    });
    for number in 0..SERIES {
        recorder.record(&Record::Flow(Box::new(flow(number))));
    }
    exposition
}
