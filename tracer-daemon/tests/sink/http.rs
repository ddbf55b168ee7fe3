//! `--listen` as a scraper, a probe and somebody with a bad day see it.

use crate::sample::rejected;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracer_daemon::lifecycle::{BlockReady, Drain, Ready};
use tracer_daemon::sink::http::{Answers, ListenError, Listener};
use tracer_daemon::sink::metrics::{self, Options};
use tracer_engine::record::Record;

struct Served {
    address: SocketAddr,
    alive: Arc<AtomicBool>,
    block: Option<BlockReady>,
    _drain: Drain,
}

async fn served() -> Served {
    let options = Options {
        max_series: 100,
        started: "2026-11-23T09:00:00Z".parse().unwrap(),
        kernel: String::new(),
        node: "n1".into(),
    };
    let (mut recorder, _, exposition) = metrics::new(&options);
    recorder.record(&Record::Flow(Box::new(rejected())));
    let ready = Ready::new();
    let block = Some(ready.block("the facts"));
    let alive = Arc::new(AtomicBool::new(true));
    let (drain, stop) = Drain::new();
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.address().unwrap();
    let live = {
        let alive = Arc::clone(&alive);
        move || alive.load(Relaxed)
    };
    tokio::spawn(listener.serve(Answers { metrics: exposition, ready, live: Arc::new(live) }, stop));
    Served { address, alive, block, _drain: drain }
}

/// The whole answer to raw bytes, as text.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn get(address: SocketAddr, path: &str, headers: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nhost: n1\r\nconnection: close\r\n{headers}\r\n")).await
}

#[tokio::test]
async fn the_format_follows_the_accept_header() {
    let served = served().await;
    let classic = get(served.address, "/metrics", "").await;
    assert!(classic.starts_with("HTTP/1.1 200"), "{classic}");
    assert!(classic.contains("content-type: text/plain; version=0.0.4"), "{classic}");
    assert!(classic.contains("# TYPE meshtracer_flows_total counter"));
    let open =
        get(served.address, "/metrics", "accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n")
            .await;
    assert!(open.contains("content-type: application/openmetrics-text; version=1.0.0"), "{open}");
    assert!(open.trim_end().ends_with("# EOF"));
}

#[tokio::test]
async fn a_scrape_is_packed_for_who_takes_it_packed() {
    let served = served().await;
    let plain = get(served.address, "/metrics", "").await;
    let (head, body) = plain.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("content-encoding") && head.contains("vary: accept, accept-encoding"), "{head}");
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nhost: n1\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert!(String::from_utf8_lossy(&answer[..end]).contains("content-encoding: gzip"));
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&answer[end..]).read_to_string(&mut unpacked).unwrap();
    let names =
        |text: &str| text.lines().filter(|line| line.starts_with("# TYPE")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(names(&unpacked), names(body));
    assert!(answer.len() - end < body.len() / 3, "{} of {}", answer.len() - end, body.len());
}

/// What a proxy before us might read otherwise than we do ends the connection, and nothing that is smuggled is answered.
#[tokio::test]
async fn a_request_within_a_request_is_not_answered() {
    let served = served().await;
    let smuggled = "GET /readyz HTTP/1.1\r\nhost: n1\r\n\r\n";
    for head in [
        format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", smuggled.len()),
        "content-length: 0\r\ncontent-length: 44\r\n".to_owned(),
        "transfer-encoding: chunked, identity\r\n".to_owned(),
        "transfer-encoding : chunked\r\n".to_owned(),
        "content-length: +3\r\n".to_owned(),
    ] {
        let request = format!("POST /metrics HTTP/1.1\r\nhost: n1\r\n{head}\r\n0\r\n\r\n{smuggled}");
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        // Not by `connection: close`, after which nobody reads a second request anyhow.
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.matches("HTTP/1.1").count() <= 1 && !answer.contains("waiting for"), "{head}: {answer}");
    }
}

#[tokio::test]
async fn ready_and_live_as_the_daemon_is() {
    let mut served = served().await;
    let waiting = get(served.address, "/readyz", "").await;
    assert!(waiting.starts_with("HTTP/1.1 503") && waiting.contains("waiting for the facts"), "{waiting}");
    served.block = None;
    assert!(get(served.address, "/readyz", "").await.starts_with("HTTP/1.1 200"));
    assert!(get(served.address, "/livez", "").await.starts_with("HTTP/1.1 200"));
    served.alive.store(false, Relaxed);
    assert!(get(served.address, "/livez", "").await.starts_with("HTTP/1.1 503"));
}

#[tokio::test]
async fn three_paths_by_get_and_nothing_else() {
    let served = served().await;
    for path in ["/", "/metrics/", "/flows", "/metrics/../flows", "/debug/pprof", "//metrics", "/%6detrics"] {
        assert!(get(served.address, path, "").await.starts_with("HTTP/1.1 404"), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"] {
        let answer =
            ask(served.address, &format!("{method} /metrics HTTP/1.1\r\nhost: n1\r\nconnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("allow: GET"), "{method}: {answer}");
    }
}

#[tokio::test]
async fn a_head_without_bound_is_refused() {
    let served = served().await;
    let huge = format!("x-filler: {}\r\n", "x".repeat(64 << 10));
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    // It may be refused before it is all there.
    let _ = stream.write_all(format!("GET /metrics HTTP/1.1\r\nhost: n1\r\n{huge}\r\n").as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert!(ask(served.address, "no http at all\r\n\r\n").await.starts_with("HTTP/1.1 400"));
}

#[tokio::test(start_paused = true)]
async fn a_half_open_client_is_let_go() {
    let served = served().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = Listener::bind(address).await.unwrap_err();
    assert!(matches!(error, ListenError::InUse(_)));
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("--listen ADDR:PORT"), "{text}");
}
