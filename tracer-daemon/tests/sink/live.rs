//! The socket as its readers see it.

use crate::sample::{epoch, origin, rejected};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tracer_daemon::lifecycle::{Drain, Ready};
use tracer_daemon::sink::Told;
use tracer_daemon::sink::live::{BindError, Explaining, Hub, Socket, Sources, serve};
use tracer_daemon::sink::wire::{self, Line, Loss, Memory, Records, Status};
use tracer_engine::record::FlowId;

struct Served {
    dir: tempfile::TempDir,
    hub: Arc<Hub>,
    drain: Drain,
    server: JoinHandle<()>,
}

impl Served {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let hub = Hub::new(origin());
        let (drain, stop) = Drain::new();
        let socket = Socket::bind(&dir.path().join("flows.sock")).unwrap();
        let explain = Arc::new(|told: Arc<Told>| -> Explaining {
            let id = told.record().map(|record| record.id.0);
            Box::pin(async move { Some(format!("{{\"explained\":{}}}\n", id?).into()) })
        });
        let sources = Sources { hub: Arc::clone(&hub), status: Arc::new(status), explain };
        let server = tokio::spawn(serve(socket, sources, stop));
        Self { dir, hub, drain, server }
    }

    async fn ask(&self, request: &str) -> Lines<BufReader<UnixStream>> {
        let mut stream = UnixStream::connect(self.dir.path().join("flows.sock")).await.unwrap();
        stream.write_all(format!("{request}\n").as_bytes()).await.unwrap();
        BufReader::new(stream).lines()
    }

    fn tell(&self, ids: impl IntoIterator<Item = u64>) {
        let batch: Vec<_> = ids
            .into_iter()
            .map(|id| {
                let mut record = rejected();
                record.id = FlowId(id);
                Told::flow(Box::new(record), &origin(), epoch())
            })
            .collect();
        self.hub.publish(&batch);
    }
}

fn status() -> Status {
    Status {
        version: "v1".to_owned(),
        program: "mesh-tracer".to_owned(),
        node: "n1".into(),
        kernel: "6.18.0".to_owned(),
        pid: 1,
        started: "2026-11-23T09:00:00Z".parse().unwrap(),
        time: "2026-11-23T10:00:00Z".parse().unwrap(),
        ready: Ready::new().is_ready(),
        waiting_for: Vec::new(),
        hooks: Vec::new(),
        events: Vec::new(),
        untracked_sockets: 0,
        facts: Vec::new(),
        records: Records::default(),
        kubernetes_events: None,
        memory: Memory::default(),
    }
}

/// The flow's own number, or the loss.
async fn next(lines: &mut Lines<BufReader<UnixStream>>) -> Option<Result<u64, Loss>> {
    let line = lines.next_line().await.unwrap()?;
    Some(match wire::read(&line).unwrap() {
        Line::Record(record) => Ok(record.id.rsplit('-').next().unwrap().parse().unwrap()),
        Line::Lost(loss) => Err(loss),
    })
}

const END: Option<Result<u64, Loss>> = Some(Err(Loss { events: 0, records: 0 }));

#[tokio::test]
async fn the_backlog_then_the_end() {
    let served = Served::start();
    served.tell(1..=3);
    let mut lines = served.ask(r#"{"observe":{"backlog":"all","follow":false}}"#).await;
    for id in 1..=3 {
        assert_eq!(next(&mut lines).await, Some(Ok(id)));
    }
    assert_eq!(next(&mut lines).await, END);
    assert_eq!(next(&mut lines).await, None);
}

#[tokio::test]
async fn the_backlog_a_mark_and_what_follows_until_the_daemon_ends() {
    let served = Served::start();
    served.tell([1]);
    let mut lines = served.ask(r#"{"observe":{"backlog":"all","follow":true}}"#).await;
    assert_eq!(next(&mut lines).await, Some(Ok(1)));
    assert_eq!(next(&mut lines).await, END);
    served.tell([2]);
    assert_eq!(next(&mut lines).await, Some(Ok(2)));
    // What is told between the stop and the end of the engine still arrives.
    served.drain.begin();
    served.tell([3]);
    served.hub.close();
    assert_eq!(next(&mut lines).await, Some(Ok(3)));
    assert_eq!(next(&mut lines).await, END);
    assert_eq!(next(&mut lines).await, None);
    served.server.await.unwrap();
    assert!(!served.dir.path().join("flows.sock").exists());
}

#[tokio::test]
async fn a_slow_reader_skips_and_is_told_how_much() {
    let served = Served::start();
    let mut lines = served.ask(r#"{"observe":{"backlog":"none","follow":true}}"#).await;
    // Told one by one until the first arrives: the reader is there then.
    let mut first = 0;
    let seen = loop {
        served.tell([first]);
        first += 1;
        tokio::select! {
            biased;
            seen = next(&mut lines) => break seen,
            () = tokio::task::yield_now() => {}
        }
    };
    let Some(Ok(seen)) = seen else { panic!("a record comes first, not {seen:?}") };
    let all = 20_000;
    served.tell(first..all);
    served.hub.close();
    let (mut got, mut skipped, mut last) = (1, 0, seen);
    loop {
        match next(&mut lines).await {
            Some(Ok(id)) => {
                assert!(id > last, "in order");
                last = id;
                got += 1;
            }
            Some(Err(loss)) => skipped += loss.records,
            None => break,
        }
    }
    assert_eq!(last, all - 1);
    assert!(skipped > 0);
    assert_eq!(seen + got + skipped, all, "every record was told or counted");
    assert_eq!(served.hub.skipped.load(Relaxed), skipped);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_dropped() {
    let served = Served::start();
    served.tell(0..2000);
    let stuck = served.ask(r#"{"observe":{"backlog":"all","follow":true}}"#).await;
    while served.hub.dropped.load(Relaxed) == 0 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    drop(stuck);
    let mut lines = served.ask(r#"{"observe":{"backlog":"all","follow":false}}"#).await;
    assert_eq!(next(&mut lines).await, Some(Ok(0)), "the others are served");
}

#[tokio::test]
async fn many_readers_each_get_everything() {
    let served = Served::start();
    served.tell(0..10);
    let mut readers = Vec::new();
    for _ in 0..200 {
        readers.push(served.ask(r#"{"observe":{"backlog":"all","follow":false}}"#).await);
    }
    for mut lines in readers {
        for id in 0..10 {
            assert_eq!(next(&mut lines).await, Some(Ok(id)));
        }
        assert_eq!(next(&mut lines).await, END);
    }
}

#[tokio::test]
async fn a_thousand_readers_follow_and_the_next_one_is_told_to_come_back() {
    // Both ends of each are this test's.
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let wanted = rustix::process::Rlimit { current: most.maximum, maximum: most.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, wanted).unwrap();
    let served = Served::start();
    served.tell([0]);
    let request = r#"{"observe":{"backlog":"all","follow":true}}"#;
    let mut readers = Vec::new();
    for _ in 0..1024 {
        let mut lines = served.ask(request).await;
        assert_eq!((next(&mut lines).await, next(&mut lines).await), (Some(Ok(0)), END));
        readers.push(lines);
    }
    let refused = served.ask(request).await.next_line().await.unwrap().unwrap();
    assert!(refused.starts_with(r#"{"error":"1024 readers are connected already"#), "{refused}");
    served.tell([1]);
    for lines in &mut readers {
        assert_eq!(next(lines).await, Some(Ok(1)));
    }
}

#[tokio::test]
async fn status_and_refusals() {
    let served = Served::start();
    let line = served.ask(r#""status""#).await.next_line().await.unwrap().unwrap();
    assert_eq!(Status::read(&line).unwrap(), status());
    for nonsense in ["", "hello", r#"{"observe":{}}"#, r#"{"delete":"everything"}"#] {
        let line = served.ask(nonsense).await.next_line().await.unwrap().unwrap();
        assert!(line.starts_with(r#"{"error":""#), "{nonsense}: {line}");
    }
    let endless = "x".repeat(10_000);
    let line = served.ask(&endless).await.next_line().await;
    assert!(line.is_err() || line.unwrap().is_none_or(|line| line.starts_with(r#"{"error":""#)));
}

#[tokio::test]
async fn the_file_is_its_owners_and_only_a_stale_one_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/er/flows.sock");
    let socket = Socket::bind(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(Socket::bind(&path), Err(BindError::AlreadyRunning(_))));
    drop(socket);
    assert!(!path.exists());

    // Left by a daemon that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let socket = Socket::bind(&path).unwrap();
    assert_eq!(files(path.parent().unwrap()), 1, "no private name is left");
    drop(socket);

    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(Socket::bind(&path), Err(BindError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn a_flow_is_explained_as_long_as_it_is_remembered() {
    let served = Served::start();
    served.tell(0..3000);
    let ask = |flow: &str| format!(r#"{{"explain":"{flow}"}}"#);
    let answer = async |flow: String| served.ask(&ask(&flow)).await.next_line().await.unwrap().unwrap();
    let id = |serial: u64| format!("n1-{:x}-{serial}", origin().started.as_millisecond());
    assert_eq!(answer(id(2999)).await, r#"{"explained":2999}"#);
    let forgotten = answer(id(5)).await;
    assert!(
        forgotten.starts_with(&format!(r#"{{"error":"flow {} is not remembered: the last 2048"#, id(5))),
        "{forgotten}"
    );
    for other in ["n2-1-7", "n1-1-7", "", "nonsense"] {
        let refused = answer(other.to_owned()).await;
        assert!(refused.contains("is no flow of n1 since this daemon started"), "{other}: {refused}");
    }
}
