//! What tracing costs a machine that does nothing but connect: a storm of connections on loopback, alone and beside each
//! tracer in turn.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::figures::{Bound, Figure, Report};
use super::ground::{Ground, cpu_time, pause, seconds, settled};
use crate::processes::{Process, tied};
use crate::setup::{self, Part};
use crate::shell;
use crate::workspace::Workspace;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Beside {
    Nothing,
    /// Everything is traced: the storm is no pod's, so the usual scope would leave it out.
    MeshTracer,
    Tcplife,
    Tcpstates,
}

const ALL: [Beside; 3] = [Beside::MeshTracer, Beside::Tcplife, Beside::Tcpstates];

/// What one storm took.
#[derive(Clone, Copy, Debug)]
struct Turn {
    per_second: f64,
    /// Microseconds of processor time of the storm itself for one connection, what the kernel does for it included.
    work: f64,
    /// And of the tracer's own process.
    tracer: f64,
}

/// A storm beside a tracer, and the mean of those alone right before and right after: a machine's speed drifts.
#[derive(Clone, Copy, Debug)]
struct Pair {
    with: Turn,
    alone: Turn,
}

impl Turn {
    fn mean(self, other: Self) -> Self {
        Self {
            per_second: f64::midpoint(self.per_second, other.per_second),
            work: f64::midpoint(self.work, other.work),
            tracer: f64::midpoint(self.tracer, other.tracer),
        }
    }
}

/// Says whether the storm beside mesh-tracer is fast enough and every event is accounted for.
pub(crate) fn storm(workspace: &Workspace, connections: u32, rounds: usize, json: Option<&Path>) -> Result<bool> {
    setup::ensure(workspace, &[Part::BenchPrograms])?;
    mount_tracefs()?;
    let ground = Ground::prepare(workspace, "bench-storm")?;
    turn(&ground, Beside::Nothing, connections)?;
    let mut pairs = ALL.map(|_| Vec::new());
    let mut before = turn(&ground, Beside::Nothing, connections)?;
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for at in 0..ALL.len() {
            let of = (at + round) % ALL.len();
            let with = turn(&ground, ALL[of], connections)?;
            let after = turn(&ground, Beside::Nothing, connections)?;
            pairs[of].push(Pair { with, alone: before.mean(after) });
            before = after;
        }
    }
    let report = report(&pairs);
    println!("\n{}", report.markdown());
    if let Some(file) = json {
        report.write_json(file)?;
    }
    Ok(account(&ground, connections)? && report.good())
}

fn report(pairs: &[Vec<Pair>; ALL.len()]) -> Report {
    let figure = |pairs: &[Pair], of: fn(&Pair) -> f64| Figure::new(pairs.iter().map(of));
    let of_alone = |pairs: &[Pair]| figure(pairs, |pair| pair.with.per_second / pair.alone.per_second);
    let [ours, tcplife, tcpstates] = pairs;
    let mut report = Report::default();
    report.add("alone", "connections/s", figure(ours, |pair| pair.alone.per_second));
    report.hold("beside mesh-tracer, of alone", "", of_alone(ours), Bound::AtLeast(0.95));
    report.add("beside tcplife, of alone", "", of_alone(tcplife));
    report.add("beside tcpstates, of alone", "", of_alone(tcpstates));
    // Of alone, both of them: a round is long enough for the machine to have become another.
    let [a, b] = [ours, tcplife]
        .map(|pairs| pairs.iter().map(|pair| pair.with.per_second / pair.alone.per_second).collect::<Vec<_>>());
    let beside_tcplife = Figure::of_pairs(&a, &b, |a, b| a / b);
    report.hold("beside mesh-tracer, of beside tcplife", "", beside_tcplife, Bound::AtLeast(1.5));
    for (pairs, beside) in pairs.iter().zip(ALL) {
        let kernel = figure(pairs, |pair| pair.with.work - pair.alone.work);
        report.add(format!("kernel beside {}, a connection", name(beside)), "us", kernel);
    }
    for (pairs, beside) in pairs.iter().zip(ALL) {
        report.add(format!("{} itself, a connection", name(beside)), "us", figure(pairs, |pair| pair.with.tracer));
    }
    report
}

fn turn(ground: &Ground, beside: Beside, connections: u32) -> Result<Turn> {
    let count = connections.to_string();
    let work = || ground.work(&["storm", "--connections", &count]);
    let (said, tracer) = match beside {
        Beside::Nothing => (work()?, Duration::ZERO),
        Beside::MeshTracer => {
            let tracer = ground.tracer(&["--scope", "all"])?;
            during(tracer.pid(), work)?
        }
        Beside::Tcplife | Beside::Tcpstates => {
            let mut command = tied(Path::new(name(beside)));
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let peer = Process::start(command)?;
            attached(peer.child.id())?;
            during(peer.child.id(), work)?
        }
    };
    let each = f64::from(connections);
    Ok(Turn {
        per_second: each / seconds(&said, "wall")?,
        work: seconds(&said, "cpu")? * 1e6 / each,
        tracer: tracer.as_secs_f64() * 1e6 / each,
    })
}

fn during(tracer: u32, work: impl FnOnce() -> Result<Value>) -> Result<(Value, Duration)> {
    let before = cpu_time(tracer)?;
    let said = work()?;
    Ok((said, cpu_time(tracer)?.saturating_sub(before)))
}

/// One more storm, after which the tracer says what became of its events.
fn account(ground: &Ground, connections: u32) -> Result<bool> {
    let tracer = ground.tracer(&["--scope", "all"])?;
    ground.work(&["storm", "--connections", &connections.to_string()])?;
    let status = settled(&tracer)?;
    let mut conserved = true;
    println!("events of {connections} connections at full speed:");
    for row in status["events"].as_array().into_iter().flatten() {
        let count = |stage: &str| row[stage].as_u64().unwrap_or_default();
        let [emitted, decoded, malformed, lost] = ["emitted", "decoded", "malformed", "lost"].map(count);
        conserved &= emitted == decoded + malformed + lost;
        println!("{:<16} {emitted} emitted = {decoded} decoded + {malformed} malformed + {lost} lost", row["kind"]);
    }
    println!("daemon RssAnon after it: {:.1} MB", tracer.rss_anon()? as f64 / 1e6);
    Ok(conserved)
}

/// Waits until a peer holds its probes: it has then opened more than its standard files.
fn attached(pid: u32) -> Result<()> {
    for _ in 0..50 {
        pause();
        let files = fs::read_dir(format!("/proc/{pid}/fd")).context("the peer ended at once")?;
        let probes = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        if probes.filter(|to| to.to_string_lossy().contains("bpf")).count() > 1 {
            return Ok(());
        }
    }
    anyhow::bail!("the peer attached nothing within 25 s")
}

/// libbpf-tools find their tracepoints there.
fn mount_tracefs() -> Result<()> {
    let tracefs = Path::new("/sys/kernel/tracing");
    if tracefs.join("events").exists() {
        return Ok(());
    }
    eprintln!("tracefs is not mounted: mounting it at {} for the peers", tracefs.display());
    shell::run(Command::new("mount").args(["-t", "tracefs", "tracefs"]).arg(tracefs))
}

fn name(beside: Beside) -> &'static str {
    match beside {
        Beside::Nothing => "nothing",
        Beside::MeshTracer => "mesh-tracer",
        Beside::Tcplife => "tcplife",
        Beside::Tcpstates => "tcpstates",
    }
}
