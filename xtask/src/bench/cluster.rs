//! `cargo xtask bench cluster`: what a large cluster costs a node, read from a real API server: time until everything is
//! known, memory, bytes that are asked for, and the processor time of its changes; all pods beside those of one node.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::figures::{Bound, Figure, Report};
use super::ground::cpu_time;
use crate::api_server::ApiServer;
use crate::processes::{Facts, Tracer, pause};
use crate::setup::{self, Part};
use crate::shell;
use crate::workspace::Workspace;

/// Changes of pods in a second, and how many.
const RATE: u32 = 1000;
const CHANGES: u32 = 20_000;

/// What one daemon took.
struct Taken {
    synced: f64,
    anon: f64,
    peak: f64,
    bytes: f64,
    /// Of one core, in percent, while `RATE` changes a second were applied.
    busy: f64,
    changes: f64,
}

/// Says whether every figure is good enough.
pub(crate) fn cluster(workspace: &Workspace, pods: u32, json: Option<&Path>) -> Result<bool> {
    setup::ensure(workspace, &Part::DEMO)?;
    setup::ensure(workspace, &Part::API)?;
    shell::run(&mut workspace.cargo(&["build", "--release", "--locked", "-p", "tracer-daemon", "-p", "tracer-lab"]))?;
    let target = workspace.target()?;
    let (programs, folder) = (target.join("release"), target.join("bench-cluster"));
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;

    println!("The engine by itself:\n");
    shell::run(&mut workspace.cargo(&["bench", "--locked", "-p", "tracer-engine", "--bench", "cluster"]))?;
    println!("\nA Kubernetes API comes up and is filled with {pods} pods behind {} Services.", pods / 5);
    let mut server = ApiServer::start(workspace, &programs, &["--pods", &pods.to_string()])?;
    // The server's own caches are filled by whoever asks first.
    one(&programs, &folder, &mut server, "all", 0)?;
    let mut report = Report::default();
    for scope in ["all", "node"] {
        let taken = one(&programs, &folder, &mut server, scope, CHANGES)?;
        tell(&mut report, scope, &taken);
    }
    println!("\n{}", report.markdown());
    if let Some(file) = json {
        report.write_json(file)?;
    }
    Ok(report.good())
}

/// A daemon from its start until everything is known, and then through so many changes.
fn one(programs: &Path, folder: &Path, server: &mut ApiServer, scope: &str, changes: u32) -> Result<Taken> {
    println!("--pods {scope}: a daemon starts, learns the cluster, and follows {changes} changes");
    server.tell("catch-up")?;
    let took = shell::stopwatch();
    let tracer = Tracer::start(programs, folder, Facts::Kube(&server.kubeconfig), &["--pods", scope])?;
    let synced = took();
    let peak = anon_peak(tracer.pid())?;
    let settled = || -> Result<f64> {
        // Freed pages go back a moment later.
        pause();
        Ok(tracer.rss_anon()? as f64)
    };
    let (anon, bytes) = (settled()?, received(&tracer)?);
    let before = cpu_time(tracer.pid())?;
    let took = shell::stopwatch();
    if changes > 0 {
        server.tell(&format!("churn {RATE} {changes}"))?;
    }
    let wall = took();
    let busy = cpu_time(tracer.pid())?.saturating_sub(before).as_secs_f64();
    let per_second = if changes > 0 { f64::from(changes) / wall } else { f64::NAN };
    Ok(Taken {
        synced,
        anon,
        peak,
        bytes,
        busy: 100.0 * busy / wall.max(Duration::from_millis(1).as_secs_f64()),
        changes: per_second,
    })
}

fn tell(report: &mut Report, scope: &str, taken: &Taken) {
    let Taken { synced, anon, peak, bytes, busy, changes } = *taken;
    let one = |value: f64| Figure::new([value]);
    let name = |what: &str| format!("--pods {scope}: {what}");
    report.hold(name("from the start until everything is known"), "s", one(synced), Bound::AtMost(15.0));
    report.hold(name("RssAnon once it is"), "MB", one(anon / 1e6), Bound::AtMost(60.0));
    report.hold(name("RssAnon at its peak until then"), "MB", one(peak / 1e6), Bound::AtMost(120.0));
    report.add(name("asked of the API server until then"), "MB", one(bytes / 1e6));
    report.hold(name("busy while pods change"), "% of a core", one(busy), Bound::AtMost(10.0));
    report.add(name("changes of pods meanwhile"), "/s", one(changes));
}

/// The most that the process ever held, less what is of files.
fn anon_peak(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the tracer ended at once")?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kilobytes.map(|kilobytes| kilobytes * 1024.0).with_context(|| format!("no {name} in /proc/PID/status"))
    };
    Ok(bytes("VmHWM")? - bytes("RssFile")? - bytes("RssShmem")?)
}

/// Bytes of answers, of all kinds.
fn received(tracer: &Tracer) -> Result<f64> {
    let metrics = tracer.metrics()?;
    let of = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
    let lines = metrics.lines().filter(|line| line.starts_with("meshtracer_facts_received_bytes_total{"));
    Ok(lines.filter_map(of).sum())
}
