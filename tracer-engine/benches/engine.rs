//! How fast the engine is, and what a flow costs it while it is open. Prints one JSON object: `cargo xtask bench engine`
//! takes it several times and says how sure one can be of each figure.

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/flow/cluster.rs"]
mod cluster;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/flow/lab.rs"]
mod lab;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/flow/wire.rs"]
mod wire;

use cluster::Cluster;
use lab::Lab;
use rustc_hash::FxHashMap;
use rustix::time::{ClockId, clock_gettime};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tracer_engine::classify::{Classifier, Deadlines, Judgement};
use tracer_engine::flow::{FlowTable, Limits};
use tracer_engine::input::Input;
use tracer_engine::mesh::facts::MtlsMode;
use tracer_engine::mesh::index::Index;
use tracer_engine::net::{Cookie, Ktime};
use tracer_engine::record::Record;
use tracer_engine::socket::{SocketChange, SocketEvent};
use tracer_engine::{Config, Engine};
use wire::{By, Conn, says};

/// Pods that call, and as many that are called.
const PAIRS: usize = 200;
/// Events that are played at once; in between, more are made.
const CHUNK: usize = 200_000;
const CHUNKS: usize = 10;
const FLOWS: usize = 1_000_000;
/// Flows whose deadlines fall together.
const DUE: usize = 400_000;

/// What an allocator puts before each piece, and up to which size it rounds: glibc's.
const HEADER: usize = 8;
const ROUND: usize = 16;

/// Counts what is held while somebody wants to know.
struct Counting;

static WANTED: AtomicBool = AtomicBool::new(false);
static HELD: AtomicUsize = AtomicUsize::new(0);

fn piece(layout: Layout) -> usize {
    (layout.size() + HEADER).next_multiple_of(ROUND).max(2 * ROUND)
}

// SAFETY: every call goes on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if WANTED.load(Relaxed) {
            HELD.fetch_add(piece(layout), Relaxed);
        }
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    /// In place where the system can: a table that grows by moving pages must not be measured as one that copies.
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if WANTED.load(Relaxed) {
            let grown = Layout::from_size_align(size, layout.align()).map_or(0, piece);
            HELD.fetch_add(grown, Relaxed);
            HELD.fetch_sub(piece(layout), Relaxed);
        }
        // SAFETY: the caller's promise is handed on.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if WANTED.load(Relaxed) {
            HELD.fetch_sub(piece(layout), Relaxed);
        }
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let (events, bare) = throughput();
    let [struck_out, looked, judged] = judged();
    let source = open_flows(true);
    let both = open_flows(false);
    let expiry = expiry();
    println!(
        "{{\"events_per_second\":{events:.0},\"bare_events_per_second\":{bare:.0},\"strike_out_ns\":{struck_out:.1},\"look_ns\":{looked:.1},\"verdict_ns\":{judged:.1},\
         \"bytes_per_flow_source\":{:.0},\"bytes_per_flow_both\":{:.0},\"longest_open_ms\":{:.3},\
         \"longest_close_ms\":{:.3},\"longest_expiry_ms\":{expiry:.3}}}",
        source.bytes,
        both.bytes,
        source.opening.max(both.opening),
        source.closing.max(both.closing),
    );
}

fn mesh() -> Lab {
    let mut cluster = Cluster::new(&["istio-system", "a", "b"]).mtls(MtlsMode::Strict);
    for i in 0..PAIRS {
        let (pod, at) = (format!("s{i}-0"), server(i));
        cluster = cluster.sidecar(&format!("a/c{i}-0"), &format!("10.244.2.{i}")).sidecar(&format!("b/{pod}"), &at);
        let ports = [("tcp-x", 9400, 9400), ("any", 9300, 9300), ("http-x", 9200, 9200)];
        cluster = cluster.headless(&format!("b/s{i}"), &[(&pod, &at)], &ports);
    }
    Lab::new(cluster)
}

fn server(i: usize) -> String {
    format!("10.244.3.{i}")
}

fn engine(lab: &Lab) -> Engine {
    let mut engine = Engine::new(Config::default());
    for delta in lab.cluster.deltas() {
        engine.handle(Input::Facts { at: Ktime(1), delta }, &mut |_| {});
    }
    engine
}

/// Both ends of one call, first payloads included: opaque TCP with mutual TLS, a request to a headless Service, a port
/// that no Service declares.
fn call(lab: &mut Lab, number: usize) {
    let i = number % PAIRS;
    let (from, at, host) = (format!("a/c{i}-0"), format!("b/s{i}-0"), format!("s{i}.b.svc.cluster.local"));
    let (from, at) = (&*from, &*at);
    let port = [9400, 9200, 9999][number / PAIRS % 3];
    let to = format!("{}:{port}", server(i));
    let mut app = lab.captured(from, &to);
    let request = if port == 9200 { says::http(&host) } else { says::OTHER };
    lab.wire.says(&mut app, By::Client, &request);
    let mut up = lab.upstream(from, &to, at);
    if port == 9999 {
        lab.wire.says(&mut up, By::Client, &says::OTHER);
        lab.wire.reset(&up, By::Server);
        lab.wire.reset(&app, By::Server);
        return;
    }
    lab.wire.says(&mut up, By::Client, &says::mesh_tls(&host, port));
    lab.wire.says(&mut up, By::Server, &says::SERVER_HELLO);
    let mut local = lab.local(at, port);
    lab.wire.says(&mut local, By::Client, &request);
    let answer = if port == 9200 { says::answer(200) } else { says::OTHER };
    lab.relay(&mut [&mut local, &mut app], By::Server, &answer);
    for conn in [&app, &up, &local] {
        lab.wire.fin(conn, By::Client);
    }
}

/// Events a second, and the same events through nothing but a hash map of sockets: what any tracer pays.
fn throughput() -> (f64, f64) {
    let mut lab = mesh();
    let mut engine = engine(&lab);
    let mut sockets: FxHashMap<Cookie, Ktime> = FxHashMap::default();
    let (mut ours, mut bare, mut events, mut flows, mut number) = (Duration::ZERO, Duration::ZERO, 0, 0_u64, 0);
    for chunk in 0..=CHUNKS {
        while lab.wire.events.len() < CHUNK {
            call(&mut lab, number);
            number += 1;
        }
        let chunked = std::mem::take(&mut lab.wire.events);
        let start = now();
        for event in &chunked {
            keep(&mut sockets, black_box(event));
        }
        let alone = since(start);
        let count = chunked.len();
        let start = now();
        for event in chunked {
            engine.handle(Input::Socket(event), &mut |record| {
                flows += u64::from(matches!(black_box(record), Record::Flow(_)));
            });
        }
        // The first chunk fills caches and tables.
        if chunk > 0 {
            (ours, bare, events) = (ours + since(start), bare + alone, events + count);
        }
    }
    assert!(flows as usize > number * 9 / 10, "{flows} flows of {number} calls");
    (events as f64 / ours.as_secs_f64(), events as f64 / bare.as_secs_f64())
}

fn keep(sockets: &mut FxHashMap<Cookie, Ktime>, event: &SocketEvent) {
    match event.change {
        SocketChange::Closed(_) | SocketChange::ConnectFailed { .. } => sockets.remove(&event.socket.cookie),
        _ => sockets.insert(event.socket.cookie, event.at),
    };
}

/// Nanoseconds of a flow whose walk is known: candidates struck out and the rest named; one look at it, with its evidence
/// read and who is who asked of the facts; and the same with the verdict told, its evidence in words.
fn judged() -> [f64; 3] {
    const ROUNDS: u32 = 200_000;
    let mut lab = mesh();
    let mut index = Index::new();
    for delta in lab.cluster.deltas() {
        index.apply(Ktime(1), &delta);
    }
    let Config { verdict_deadline, stall_deadline, settle, .. } = Config::default();
    let mut classifier =
        Classifier::new(Deadlines { verdict: verdict_deadline, stall: stall_deadline, first_bytes: true }, true);
    classifier.changed(&index, Ktime(1));
    let mut table = FlowTable::new(Limits { settle, verdict: verdict_deadline, open: FLOWS, undecided: FLOWS });
    // The first waits for what its destination says, the second is told.
    dialled(&mut lab, 0);
    opened(&mut lab, 1);
    let now_at = lab.wire.now + settle;
    for event in std::mem::take(&mut lab.wire.events) {
        table.apply(&event, &mut classifier.facts(&index));
    }
    let mut each = [0.0; 3];
    while let Some((key, _)) = table.pop_due(now_at) {
        let flow = table.view(key).expect("it is there");
        let case = classifier.open_case(&index, &flow, now_at).expect("this node's");
        let start = now();
        for _ in 0..ROUNDS {
            black_box(black_box(&case).verdict());
        }
        let struck_out = since(start).as_nanos() as f64 / f64::from(ROUNDS);
        each[0] = struck_out.max(each[0]);
        drop(case);
        let start = now();
        let mut told = false;
        for _ in 0..ROUNDS {
            told = matches!(black_box(classifier.judge(&index, black_box(&flow), now_at)), Judgement::Count(_));
        }
        each[1 + usize::from(told)] = since(start).as_nanos() as f64 / f64::from(ROUNDS);
    }
    assert!(each.iter().all(|nanos| *nanos > 0.0), "one of each: {each:?}");
    each
}

/// Opaque TCP whose proxy has begun, and got no answer yet.
fn dialled(lab: &mut Lab, number: usize) {
    let i = number % PAIRS;
    let (from, at, host) = (format!("a/c{i}-0"), format!("b/s{i}-0"), format!("s{i}.b.svc.cluster.local"));
    let to = format!("{}:9400", server(i));
    let mut app = lab.captured(&from, &to);
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    let mut up = lab.upstream(&from, &to, &at);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls(&host, 9400));
}

/// Opaque TCP that both sides have spoken on, and that stays open.
fn opened(lab: &mut Lab, number: usize) -> [Conn; 3] {
    let i = number % PAIRS;
    let (from, at, host) = (format!("a/c{i}-0"), format!("b/s{i}-0"), format!("s{i}.b.svc.cluster.local"));
    let to = format!("{}:9400", server(i));
    let mut app = lab.captured(&from, &to);
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    let mut up = lab.upstream(&from, &to, &at);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls(&host, 9400));
    lab.wire.says(&mut up, By::Server, &says::SERVER_HELLO);
    let mut local = lab.local(&at, 9400);
    lab.wire.says(&mut local, By::Client, &says::OTHER);
    lab.relay(&mut [&mut local, &mut app], By::Server, &says::OTHER);
    [app, up, local]
}

struct Open {
    bytes: f64,
    /// The longest single step, in milliseconds.
    opening: f64,
    closing: f64,
}

/// A million flows that are open at once, and then close: as the source's node alone has them, or with both ends here.
fn open_flows(source_alone: bool) -> Open {
    let mut lab = mesh();
    let mut engine = engine(&lab);
    let clients: Vec<u32> = (0..PAIRS).map(|i| lab.netns(&format!("a/c{i}-0"))).collect();
    let here = |event: &SocketEvent| !source_alone || clients.contains(&event.socket.owner.netns.0);
    let mut conns = Vec::with_capacity(FLOWS);
    let mut opening = Duration::ZERO;
    HELD.store(0, Relaxed);
    WANTED.store(true, Relaxed);
    let mut told = 0;
    for number in 0..FLOWS {
        let [app, up, local] = opened(&mut lab, number);
        conns.push((app, up, local));
        for event in lab.wire.events.drain(..).filter(here) {
            opening = opening.max(step(&mut engine, Input::Socket(event), &mut told));
        }
    }
    opening = opening.max(settle(&mut engine, &mut told));
    let bytes = HELD.load(Relaxed) as f64 / FLOWS as f64;
    WANTED.store(false, Relaxed);
    assert_eq!(told, FLOWS, "each is told, and stays open");
    let mut closing = Duration::ZERO;
    for (app, up, local) in conns {
        for conn in [&app, &up, &local] {
            lab.wire.fin(conn, By::Client);
        }
        for event in lab.wire.events.drain(..).filter(here) {
            closing = closing.max(step(&mut engine, Input::Socket(event), &mut told));
        }
    }
    closing = closing.max(settle(&mut engine, &mut told));
    Open { bytes, opening: ms(opening), closing: ms(closing) }
}

/// Flows that say nothing: the deadlines of all fall together.
fn expiry() -> f64 {
    let mut lab = mesh();
    let mut engine = engine(&lab);
    let begun = lab.wire.now;
    let mut told = 0;
    for number in 0..DUE {
        lab.wire.now = begun + Duration::from_nanos(number as u64);
        let i = number % PAIRS;
        lab.captured(&format!("a/c{i}-0"), &format!("{}:9300", server(i)));
        for event in lab.wire.events.drain(..) {
            step(&mut engine, Input::Socket(event), &mut told);
        }
    }
    let longest = settle(&mut engine, &mut told);
    assert_eq!(told, DUE);
    ms(longest)
}

/// Ticks while the engine wants any. The longest took so long.
fn settle(engine: &mut Engine, told: &mut usize) -> Duration {
    let mut longest = Duration::ZERO;
    while let Some(due) = engine.next_tick() {
        longest = longest.max(step(engine, Input::Tick(due + Duration::from_secs(30)), told));
    }
    longest
}

/// How long the engine keeps its caller.
fn step(engine: &mut Engine, input: Input, told: &mut usize) -> Duration {
    let start = now();
    engine.handle(input, &mut |record| *told += usize::from(matches!(record, Record::Flow(_))));
    since(start)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Since `start`, on a processor: a neighbour's turn is nobody's slowness.
fn since(start: Duration) -> Duration {
    now().saturating_sub(start)
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
