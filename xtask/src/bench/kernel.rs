//! `cargo xtask bench kernel`: what the probes cost. Every figure is the difference between a run with mesh-tracer and those
//! without it right before and right after; beside it the same with programs on the same hooks that do nothing.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::figures::{Bound, Figure, Report};
use super::ground::{Ground, ProgramStatistics, cpu_time, packet_runs, pause, seconds, settled};
use crate::processes::Tracer;
use crate::shell;
use crate::workspace::Workspace;

/// What is done, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) pairs: usize,
    pub(crate) connections: u32,
}

/// Both ends of a storm's connections are on this node.
const ENDS: f64 = 2.0;
/// A message is sent and received once each way: four times a packet passes a probe, their ACKs aside.
const PACKETS: f64 = 4.0;
const MESSAGES: u64 = 200_000;
const BULK: u64 = 4_000_000_000;
const STEADY_RATE: u32 = 20_000;
const STEADY: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(10);
const IDLES: usize = 3;

/// What runs beside the work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Beside {
    Nothing,
    /// The same hooks, programs that return at once.
    IdleProbes,
    MeshTracer,
    /// The work is no pod's: what is out of scope costs.
    OutOfScope,
}

/// What one run of the work took.
#[derive(Clone, Copy, Default, Debug)]
struct Taken {
    wall: f64,
    /// Seconds of processor time of the work, the probes' own included.
    work: f64,
    tracer: f64,
}

/// A run beside something, and what it would have taken alone: a machine's speed drifts by more than what is measured here, but
/// slowly, so that is the mean of the runs right before and right after.
#[derive(Clone, Copy, Debug)]
struct Pair {
    with: Taken,
    without: Taken,
}

impl Taken {
    fn mean(self, other: Self) -> Self {
        let mean = |a: f64, b: f64| f64::midpoint(a, b);
        Self {
            wall: mean(self.wall, other.wall),
            work: mean(self.work, other.work),
            tracer: mean(self.tracer, other.tracer),
        }
    }
}

/// Says whether every figure is good enough.
pub(crate) fn kernel(workspace: &Workspace, plan: Plan, json: Option<&Path>) -> Result<bool> {
    let ground = Ground::prepare(workspace, "bench-kernel")?;
    let mut report = Report::default();
    connections(&ground, plan, &mut report)?;
    first_bytes(&ground, plan, &mut report)?;
    steady(&ground, &mut report)?;
    starting(&ground, plan, &mut report)?;
    println!("\n{}", report.markdown());
    if let Some(file) = json {
        report.write_json(file)?;
    }
    Ok(report.good())
}

/// Connect and close, as fast as it goes.
fn connections(ground: &Ground, plan: Plan, report: &mut Report) -> Result<()> {
    let all = [Beside::IdleProbes, Beside::MeshTracer, Beside::OutOfScope];
    let work = ["storm", "--connections", &plan.connections.to_string()];
    let pairs = rounds(ground, plan.pairs, all, "storm of connections", &work)?;
    let [idle, traced, out] = &pairs;
    let each = f64::from(plan.connections);
    let cost = |pairs: &[Pair]| figure(pairs, |with, without| (with.work - without.work) * 1e6 / each / ENDS);
    report.hold("kernel, connect + close, per end", "us", cost(traced), Bound::AtMost(2.0));
    report.add("empty programs on the same hooks, per end", "us", cost(idle));
    report.add("kernel, out of scope, per end", "us", cost(out));
    let tracer = figure(traced, |with, _| with.tracer * 1e6 / each / ENDS);
    report.hold("daemon, connect + close, per end", "us", tracer, Bound::AtMost(1.0));
    let speed = |pairs: &[Pair]| figure(pairs, |with, without| without.wall / with.wall);
    report.hold("connect storm beside mesh-tracer, of alone", "", speed(traced), Bound::AtLeast(0.95));
    report.add("connect storm beside empty programs, of alone", "", speed(idle));
    report.add("connect storm alone", "connections/s", figure(traced, |_, without| each / without.wall));
    Ok(())
}

/// Packets of a connection whose first payload was read long ago.
fn first_bytes(ground: &Ground, plan: Plan, report: &mut Report) -> Result<()> {
    let work = ["ping-pong", "--messages", &MESSAGES.to_string()];
    let [idle, traced] = rounds(ground, plan.pairs, [Beside::IdleProbes, Beside::MeshTracer], "small messages", &work)?;
    let each = MESSAGES as f64 * PACKETS;
    let cost = |pairs: &[Pair]| figure(pairs, |with, without| (with.work - without.work) * 1e9 / each);
    report.add("kernel, a packet after the first payload", "ns", cost(&traced));
    report.add("empty programs, a packet", "ns", cost(&idle));
    packet_programs(ground, plan, report)?;
    let work = ["bulk", "--bytes", &BULK.to_string()];
    let [traced] = rounds(ground, plan.pairs, [Beside::MeshTracer], "bulk", &work)?;
    let speed = figure(&traced, |with, without| without.wall / with.wall);
    report.add("bulk throughput with first bytes on, of off", "", speed);
    Ok(())
}

/// The same packets by the kernel's own clock, around each run of a program: two runs of the work differ by more than a
/// packet costs. What an empty program takes is the clock's own time.
fn packet_programs(ground: &Ground, plan: Plan, report: &mut Report) -> Result<()> {
    let _on = ProgramStatistics::on()?;
    let (mut work, mut both) = (Vec::new(), Vec::new());
    for _ in 0..plan.pairs {
        let mut took = [0.0; 2];
        for (took, flags) in took.iter_mut().zip([&["--scope", "all"][..], &["--scope", "all", "--idle-probes"]]) {
            let tracer = ground.tracer(flags)?;
            let before = packet_runs(tracer.pid())?;
            ground.work(&["ping-pong", "--messages", &MESSAGES.to_string()])?;
            let after = packet_runs(tracer.pid())?;
            ensure!(after.runs > before.runs, "no program ran on the packets of {MESSAGES} messages");
            *took = (after.nanoseconds - before.nanoseconds) / (after.runs - before.runs);
        }
        both.push(took[0]);
        work.push(took[0] - took[1]);
    }
    let what = "first bytes, a packet after the first payload, above an empty program";
    report.hold(what, "ns", Figure::new(work), Bound::AtMost(60.0));
    report.add("the same with the kernel's clock around it", "ns", Figure::new(both));
    Ok(())
}

/// A rate that a busy node has, for a while: nothing may be lost.
fn steady(ground: &Ground, report: &mut Report) -> Result<()> {
    eprintln!("{STEADY_RATE} connections/s for {} s", STEADY.as_secs());
    let tracer = ground.tracer(&["--scope", "all"])?;
    let connections = STEADY_RATE * u32::try_from(STEADY.as_secs()).context("a short while")?;
    let rate = STEADY_RATE.to_string();
    let before = cpu_time(tracer.pid())?;
    let took = ground.work(&["storm", "--connections", &connections.to_string(), "--rate", &rate])?;
    let status = settled(&tracer)?;
    let used = cpu_time(tracer.pid())?.saturating_sub(before).as_secs_f64();
    let wall = seconds(&took, "wall")?;
    report.add("steady storm", "connections/s", Figure::new([f64::from(connections) / wall]));
    report.hold("events lost in it", "", Figure::new([lost(&status) as f64]), Bound::AtMost(0.0));
    report.add("daemon in it, of a core", "%", Figure::new([used / wall * 100.0]));
    report.add("RssAnon after it", "MB", Figure::new([tracer.rss_anon()? as f64 / 1e6]));
    let stop = Figure::new([milliseconds_to_stop(ground, tracer, &rate)?]);
    report.hold("SIGTERM to exit, beside the same storm", "ms", stop, Bound::AtMost(2000.0));
    Ok(())
}

/// From SIGTERM to exit, in the middle of a storm.
fn milliseconds_to_stop(ground: &Ground, tracer: Tracer, rate: &str) -> Result<f64> {
    let connections = (STEADY_RATE * 3).to_string();
    thread::scope(|scope| {
        let storm = scope.spawn(|| ground.work(&["storm", "--connections", &connections, "--rate", rate]));
        pause();
        pause();
        let took = shell::stopwatch();
        drop(tracer);
        let took = took() * 1e3;
        match storm.join() {
            Ok(done) => done.map(|_| took),
            Err(_) => bail!("the storm's thread panicked"),
        }
    })
}

/// What it takes to start, and to do nothing.
fn starting(ground: &Ground, plan: Plan, report: &mut Report) -> Result<()> {
    let mut starts = Vec::new();
    let (mut peaks, mut kept, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.pairs.min(5) {
        let took = shell::stopwatch();
        let tracer = ground.tracer_without_facts()?;
        starts.push(took() * 1e3);
        kept.push(tracer.rss_anon()? as f64 / 1e6);
        peaks.push(peak(tracer.pid())? as f64 / 1e6);
        if idle.len() < IDLES {
            let before = cpu_time(tracer.pid())?;
            #[expect(
                clippy::disallowed_methods,
                reason = "what a daemon does while nothing happens is what is measured"
            )]
            thread::sleep(IDLE);
            let used = cpu_time(tracer.pid())?.saturating_sub(before);
            idle.push(used.as_secs_f64() / IDLE.as_secs_f64() * 100.0);
        }
    }
    report.hold("start to ready for events", "ms", Figure::new(starts), Bound::AtMost(300.0));
    report.hold("idle, of a core", "%", Figure::new(idle), Bound::AtMost(0.1));
    report.hold("RssAnon without facts", "MB", Figure::new(kept), Bound::AtMost(25.0));
    report.add("peak while starting (VmHWM, mapped files too)", "MB", Figure::new(peaks));
    Ok(())
}

/// The same work beside each in turn, and alone between any two. By `all`'s order.
fn rounds<const N: usize>(
    ground: &Ground,
    pairs: usize,
    all: [Beside; N],
    what: &str,
    work: &[&str],
) -> Result<[Vec<Pair>; N]> {
    let mut taken = all.map(|_| Vec::new());
    // The first run warms up what later ones find warm.
    beside(ground, Beside::Nothing, work)?;
    let mut before = beside(ground, Beside::Nothing, work)?;
    for round in 0..pairs {
        eprintln!("{what}: round {} of {pairs}", round + 1);
        // Each begins a round as often as the others: who comes first has an advantage, or the opposite.
        for turn in 0..N {
            let of = (turn + round) % N;
            let with = beside(ground, all[of], work)?;
            let after = beside(ground, Beside::Nothing, work)?;
            taken[of].push(Pair { with, without: before.mean(after) });
            before = after;
        }
    }
    Ok(taken)
}

fn beside(ground: &Ground, beside: Beside, work: &[&str]) -> Result<Taken> {
    let flags: &[&str] = match beside {
        Beside::Nothing => return taken(&ground.work(work)?, Duration::ZERO),
        Beside::IdleProbes => &["--scope", "all", "--idle-probes"],
        Beside::MeshTracer => &["--scope", "all"],
        Beside::OutOfScope => &["--pod-cidr", "10.244.0.0/16"],
    };
    let tracer: Tracer = ground.tracer(flags)?;
    let before = cpu_time(tracer.pid())?;
    let said = ground.work(work)?;
    taken(&said, cpu_time(tracer.pid())?.saturating_sub(before))
}

fn taken(said: &Value, tracer: Duration) -> Result<Taken> {
    Ok(Taken { wall: seconds(said, "wall")?, work: seconds(said, "cpu")?, tracer: tracer.as_secs_f64() })
}

fn figure(pairs: &[Pair], of: impl Fn(&Taken, &Taken) -> f64) -> Figure {
    Figure::new(pairs.iter().map(|pair| of(&pair.with, &pair.without)))
}

fn lost(status: &Value) -> u64 {
    let kinds = status["events"].as_array().into_iter().flatten();
    kinds.filter_map(|kind| Some(kind["lost"].as_u64()? + kind["malformed"].as_u64()?)).sum()
}

/// Bytes: the most that the process ever had in memory.
fn peak(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the tracer ended at once")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().context("an odd VmHWM")?;
    Ok(kilobytes * 1024)
}
