//! `cargo xtask demo`: mesh-tracer looks at a real mesh of seventeen stories, and has to name each of them.

mod live;
mod story;
mod table;
mod verdict;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::api_server::ApiServer;
use crate::processes::{self, Facts, Process, Tracer};
use crate::setup::{self, Part};
use crate::shell;
use crate::workspace::Workspace;

use self::verdict::{Call, Verdicts};

/// Longer than the daemon waits before it calls silence a stall.
const LAST_RECORD: Duration = Duration::from_secs(8);
/// Bytes (RssAnon) that the daemon may hold with the demo's facts and flows.
const MOST_MEMORY: u64 = 30_000_000;

/// Says whether every verdict was the expected one. `keep` leaves the mesh up afterwards, until Ctrl-C. `kube`: what the
/// cluster is, a real API server tells, and it changes.
pub(crate) fn demo(workspace: &Workspace, keep: bool, kube: bool) -> Result<bool> {
    setup::ensure(workspace, &Part::DEMO)?;
    if kube {
        setup::ensure(workspace, &Part::API)?;
    }
    shell::run(&mut workspace.cargo(&["build", "--release", "--locked", "-p", "tracer-daemon", "-p", "tracer-lab"]))?;
    let took = shell::stopwatch();
    let mesh = workspace.root().join("tracer-lab/meshes/demo");
    let expected = expected_calls(&mesh)?;
    let programs = workspace.target()?.join("release");
    let folder = fresh_folder(workspace)?;

    let cluster = mesh.join("cluster.yaml");
    let mut server = kube.then(|| served(workspace, &programs, &cluster)).transpose()?;
    let facts = server.as_ref().map_or(Facts::File(&cluster), |server| Facts::Kube(&server.kubeconfig));
    let tracer = Tracer::start(&programs, &folder, facts, &[])?;
    println!(
        "mesh-tracer runs, its probes attached. Now the mesh, and {expected} calls that it knows nothing about:\n"
    );
    let _live = tracer.observe(&["--follow"], Stdio::inherit())?;
    let mut records = tracer.observe(&["--follow", "--output", "json"], Stdio::piped())?;
    let records = lines(&mut records)?;

    let mut lab = processes::lab(&programs, keep || kube)?;
    let said = lines(&mut lab)?;
    let mut verdicts = Verdicts::new(calls(&said, expected)?);
    collect(&records, &mut verdicts);

    println!("\n{}", table::of(&verdicts, table::terminal_width()));
    let mut wrong = verdicts.wrong();
    let right = verdicts.len() - wrong.len();
    println!("{right} of {} verdicts are what the mesh really did, after {:.0} s.", verdicts.len(), took());
    if let Some(server) = &mut server {
        let changed = live::play(&tracer, server, &records)?;
        let all_well = if changed.is_empty() { "each verdict changed with it" } else { "not as it should" };
        println!("\nThe cluster changed six times, {all_well}, after {:.0} s.", took());
        wrong.extend(changed);
    }
    for line in &wrong {
        println!("NOT AS EXPECTED: {line}");
    }
    let memory = tracer.rss_anon()?;
    println!("mesh-tracer holds {:.1} MB of memory of its own.", memory as f64 / 1e6);
    if keep {
        invite(&tracer, workspace);
        lab.child.wait().context("the lab vanished")?;
    }
    Ok(wrong.is_empty() && memory < MOST_MEMORY)
}

/// A real API server with the demo's cluster, as it is written.
fn served(workspace: &Workspace, programs: &Path, cluster: &Path) -> Result<ApiServer> {
    println!("A Kubernetes API comes up, with the demo's cluster in it.");
    let cluster = cluster.to_str().context("a path that is no text")?;
    ApiServer::start(workspace, programs, &["--seed", cluster])
}

/// How many calls the mesh makes; each has a story.
fn expected_calls(mesh: &Path) -> Result<usize> {
    let file = mesh.join("calls.jsonl");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.lines().filter(|line| !line.trim().is_empty()).count())
}

/// `target/demo`: socket, journal and log of the last demo, to be looked at afterwards.
fn fresh_folder(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target()?.join("demo");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// What the lab says of its calls once they have ended: one line for each, and then it may stay up.
fn calls(said: &Receiver<String>, expected: usize) -> Result<Vec<Call>> {
    let calls = said.iter().take(expected).map(|line| Call::parse(&line)).collect::<Result<Vec<_>>>()?;
    if calls.len() < expected {
        bail!("the lab ended after {} of {expected} calls: see what it says above", calls.len());
    }
    Ok(calls)
}

/// Reads records until every call has its verdict, or none came for a while.
fn collect(records: &Receiver<String>, verdicts: &mut Verdicts) {
    while !verdicts.complete() {
        match records.recv_timeout(LAST_RECORD) {
            Ok(line) => verdicts.take(serde_json::from_str(&line).unwrap_or(Value::Null)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The lines that `process` prints, for as long as somebody holds the receiver; then its stdout is closed.
fn lines(process: &mut Process) -> Result<Receiver<String>> {
    let stdout = process.child.stdout.take().context("a process without a piped stdout")?;
    let (sender, receiver) = sync_channel(1024);
    thread::spawn(move || {
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        while lines.next().is_some_and(|line| sender.send(line).is_ok()) {}
    });
    Ok(receiver)
}

fn invite(tracer: &Tracer, workspace: &Workspace) {
    let from_here = |path: &Path| path.strip_prefix(workspace.root()).unwrap_or(path).display().to_string();
    let (programs, folder) = (from_here(&tracer.programs), from_here(&tracer.folder));
    println!("\nThe mesh stays up until Ctrl-C. In another terminal, in this folder:");
    println!("  {programs}/mesh-tracer observe -f --socket {folder}/flows.sock");
    println!("  {programs}/mesh-tracer observe --rejected -o wide --journal {folder}/flows.jsonl");
    println!("  {programs}/mesh-tracer status --socket {folder}/flows.sock");
    println!("  curl http://{}/metrics", tracer.listen);
    println!("  {programs}/tracer-lab exec --uid 2000 shop/cart-0 -- curl -sv http://10.244.1.70:8080/");
}
