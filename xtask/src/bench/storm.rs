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

const ALL: [Beside; 4] = [Beside::Nothing, Beside::MeshTracer, Beside::Tcplife, Beside::Tcpstates];

/// What one storm took.
#[derive(Clone, Copy, Debug)]
struct Turn {
    per_second: f64,
    /// Microseconds of processor time of the storm itself for one connection, what the kernel does for it included.
    work: f64,
    /// And of the tracer's own process.
    tracer: f64,
}

/// Says whether the storm beside mesh-tracer is fast enough and every event is accounted for.
pub(crate) fn storm(workspace: &Workspace, connections: u32, pairs: usize, json: Option<&Path>) -> Result<bool> {
    setup::ensure(workspace, &[Part::BenchPrograms])?;
    mount_tracefs()?;
    let ground = Ground::prepare(workspace, "bench-storm")?;
    turn(&ground, Beside::Nothing, connections)?;
    let mut turns = ALL.map(|_| Vec::new());
    for round in 0..pairs {
        eprintln!("round {} of {pairs}", round + 1);
        for at in 0..ALL.len() {
            let of = (at + round) % ALL.len();
            turns[of].push(turn(&ground, ALL[of], connections)?);
        }
    }
    let report = report(&turns);
    println!("\n{}", report.markdown());
    if let Some(file) = json {
        report.write_json(file)?;
    }
    Ok(account(&ground, connections)? && report.good())
}

fn report(turns: &[Vec<Turn>; ALL.len()]) -> Report {
    let speeds = turns.each_ref().map(|turns| turns.iter().map(|turn| turn.per_second).collect::<Vec<_>>());
    let [alone, ours, tcplife, tcpstates] = &speeds;
    let ratio = |a: &[f64], b: &[f64]| Figure::of_pairs(a, b, |a, b| a / b);
    let mut report = Report::default();
    report.add("alone", "connections/s", Figure::new(alone.iter().copied()));
    report.hold("beside mesh-tracer, of alone", "", ratio(ours, alone), Bound::AtLeast(0.95));
    report.add("beside tcplife, of alone", "", ratio(tcplife, alone));
    report.add("beside tcpstates, of alone", "", ratio(tcpstates, alone));
    report.hold("beside mesh-tracer, of beside tcplife", "", ratio(ours, tcplife), Bound::AtLeast(1.5));
    let work = |of: usize| turns[of].iter().map(|turn| turn.work).collect::<Vec<_>>();
    for (of, beside) in ALL.iter().enumerate().skip(1) {
        let kernel = Figure::of_pairs(&work(of), &work(0), |with, without| with - without);
        report.add(format!("kernel beside {}, a connection", name(*beside)), "us", kernel);
    }
    for (beside, turns) in ALL.iter().zip(turns).skip(1) {
        let tracer = Figure::new(turns.iter().map(|turn| turn.tracer));
        report.add(format!("{} itself, a connection", name(*beside)), "us", tracer);
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
