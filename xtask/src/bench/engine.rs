//! `cargo xtask bench engine`: how fast the engine is, what an open flow costs it, and how fast what-if answers. Figures
//! are processor time of one thread: a neighbour's turn is nobody's slowness.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::figures::{Bound, Figure, Report};
use super::ground::{Ground, settled};
use crate::shell;
use crate::workspace::Workspace;

const PODS: u32 = 100_000;
/// Each has as many pods behind it.
const SERVICES: u32 = 20_000;
const CALLS: u32 = 100_000;
const STORM: u32 = 100_000;
/// Under `target`.
const FOLDER: &str = "bench-engine";

/// Says whether every figure is good enough.
pub(crate) fn engine(workspace: &Workspace, rounds: usize, json: Option<&Path>) -> Result<bool> {
    let bench = ["bench", "-p", "tracer-engine", "--bench", "engine"];
    shell::run(workspace.cargo(&bench).arg("--no-run"))?;
    shell::run(&mut workspace.cargo(&["build", "--release", "--locked", "-p", "tracer-daemon"]))?;
    let target = workspace.target()?;
    let what_if = WhatIf::prepare(&target)?;
    let (mut said, mut answers) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        let one: Value = serde_json::from_str(shell::read(&mut workspace.cargo(&bench))?.trim())
            .context("what the bench says is not JSON")?;
        said.push(one);
        answers.push(what_if.calls_per_second()?);
    }
    let mut report = report(&said, answers)?;
    let ground = Ground::prepare(workspace, FOLDER)?;
    tape(&ground, rounds, &mut report)?;
    println!("\n{}", report.markdown());
    if let Some(file) = json {
        report.write_json(file)?;
    }
    Ok(report.good())
}

fn report(said: &[Value], answers: Vec<f64>) -> Result<Report> {
    let all = |name: &str| {
        let values = said.iter().map(|one| one[name].as_f64().with_context(|| format!("the bench says no {name}")));
        values.collect::<Result<Vec<f64>>>()
    };
    let figure = |name: &str| all(name).map(Figure::new);
    let mut report = Report::default();
    report.hold("events, first payloads included", "/s", figure("events_per_second")?, Bound::AtLeast(2e6));
    let bare = all("bare_events_per_second")?;
    report.add("the same through a bare hash map of sockets", "/s", Figure::new(bare.iter().copied()));
    let ratio = Figure::of_pairs(&bare, &all("events_per_second")?, |bare, ours| bare / ours);
    report.add("an event, of one in the bare map", "times", ratio);
    report.hold("strike out and name, walk known", "ns", figure("strike_out_ns")?, Bound::AtMost(250.0));
    report.add("a whole look: evidence and facts read too", "ns", figure("look_ns")?);
    report.add("the same, told with its evidence in words", "ns", figure("verdict_ns")?);
    let bytes = "bytes an open flow, 1,000,000 open";
    report.hold(format!("{bytes}, source's node"), "B", figure("bytes_per_flow_source")?, Bound::AtMost(400.0));
    report.hold(format!("{bytes}, both ends here"), "B", figure("bytes_per_flow_both")?, Bound::AtMost(400.0));
    report.add("longest step while they open", "ms", figure("longest_open_ms")?);
    report.add("longest step while they close", "ms", figure("longest_close_ms")?);
    report.add("longest step, 400,000 deadlines at once", "ms", figure("longest_expiry_ms")?);
    report.hold("explain --batch, 100,000 pods", "calls/s", Figure::new(answers), Bound::AtLeast(20_000.0));
    Ok(report)
}

/// A storm of connections beside a daemon that records every input, and beside one that does not, in turns.
fn tape(ground: &Ground, rounds: usize, report: &mut Report) -> Result<()> {
    let turn = |flags: &[&str]| -> Result<f64> {
        let tracer = ground.tracer(&[&["--scope", "all"], flags].concat())?;
        let wall = &ground.work(&["storm", "--connections", &STORM.to_string()])?["wall"];
        settled(&tracer)?;
        let part = |name: &str| wall[name].as_f64().with_context(|| format!("the storm says no {name}"));
        Ok(f64::from(STORM) / (part("secs")? + part("nanos")? / 1e9))
    };
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        eprintln!("tape, round {} of {rounds}", round + 1);
        without.push(turn(&[])?);
        with.push(turn(&["--tape", "storm.tape"])?);
    }
    let ratio = Figure::of_pairs(&with, &without, |with, without| with / without);
    report.hold("connect storm beside run --tape, of run", "", ratio, Bound::AtLeast(0.95));
    Ok(())
}

/// A cluster in a file, and questions about it.
struct WhatIf {
    program: PathBuf,
    folder: PathBuf,
}

impl WhatIf {
    fn prepare(target: &Path) -> Result<Self> {
        let folder = target.join(FOLDER);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let this = Self { program: target.join("release/mesh-tracer"), folder };
        this.write("cluster.json", |out| {
            for service in 0..SERVICES {
                writeln!(out, "{}\n---", json!({"apiVersion": "v1", "kind": "List", "items": objects(service)}))?;
            }
            Ok(())
        })?;
        this.write("calls.jsonl", |out| (0..CALLS).try_for_each(|number| writeln!(out, "{}", call(number))))?;
        this.write("none.jsonl", |_| Ok(()))?;
        Ok(this)
    }

    fn write(&self, name: &str, lines: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<()> {
        let path = self.folder.join(name);
        let written = File::create(&path).and_then(|file| {
            let mut out = BufWriter::new(file);
            lines(&mut out)?;
            out.flush()
        });
        written.with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reading the facts takes longer than any answer, so the time without a question is taken off.
    fn calls_per_second(&self) -> Result<f64> {
        let without = self.processor_seconds("none.jsonl")?;
        let with = self.processor_seconds("calls.jsonl")?;
        Ok(f64::from(CALLS) / (with - without))
    }

    fn processor_seconds(&self, calls: &str) -> Result<f64> {
        // The shell's own `times` of what it waited for.
        let script = r#""$0" "$@" >/dev/null; times"#;
        let mut timed = Command::new("bash");
        timed.args(["-c", script]).arg(&self.program).args(["explain", "--log", "error", "-o", "json"]);
        timed.args(["--facts", "cluster.json", "--batch", calls]).current_dir(&self.folder).stderr(Stdio::inherit());
        let said = shell::read(&mut timed)?;
        let children = said.lines().last().context("`times` says nothing")?;
        children.split_whitespace().map(minutes).sum()
    }
}

/// `1m2.345s`
fn minutes(text: &str) -> Result<f64> {
    let Some((minutes, seconds)) = text.trim_end_matches('s').split_once('m') else { bail!("{text:?} is no time") };
    let number = |text: &str| text.parse::<f64>().with_context(|| format!("{text:?} is no number"));
    Ok(number(minutes)? * 60.0 + number(seconds)?)
}

/// A headless Service and the pods behind it, each with a sidecar.
fn objects(service: u32) -> Vec<Value> {
    let (namespace, app) = (namespace(service), format!("app-{service}"));
    let labels = json!({"app": app, "security.istio.io/tlsMode": "istio"});
    let pods: Vec<u32> = (service..PODS).step_by(SERVICES as usize).collect();
    let mut all = vec![
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": app, "namespace": namespace},
               "spec": {"clusterIP": "None", "selector": {"app": app},
                        "ports": [{"name": "http", "port": 8080}, {"name": "tcp", "port": 9000}]}}),
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
               "metadata": {"name": app, "namespace": namespace, "labels": {"kubernetes.io/service-name": app}},
               "ports": [{"name": "http", "port": 8080}, {"name": "tcp", "port": 9000}],
               "endpoints": pods.iter().map(|pod| json!({"addresses": [ip(*pod)]})).collect::<Vec<_>>()}),
    ];
    all.extend(pods.iter().map(|pod| {
        json!({"apiVersion": "v1", "kind": "Pod",
               "metadata": {"name": format!("pod-{pod}"), "namespace": namespace, "uid": format!("u{pod}"), "labels": labels,
                            "annotations": {"sidecar.istio.io/status": r#"{"containers": ["istio-proxy"]}"#}},
               "spec": {"containers": [{"name": "app"}, {"name": "istio-proxy"}]},
               "status": {"phase": "Running", "podIP": ip(*pod), "podIPs": [{"ip": ip(*pod)}]}})
    }));
    all
}

/// Every pod dials another: a declared port or one that nobody declares, by its ip or by its Service.
fn call(number: u32) -> Value {
    let pod = |factor: u32| number.wrapping_mul(factor) % PODS;
    let (from, to) = (pod(7919), pod(104_729));
    let port = [8080, 9000, 9999][number as usize % 3];
    let host = if number.is_multiple_of(2) { ip(to) } else { format!("app-{}", to % SERVICES) };
    let send = if port == 9000 { "tcp" } else { "http" };
    json!({"id": number, "from": format!("{}/pod-{from}", namespace(from % SERVICES)),
           "to": format!("{}:{port}", ip(to)), "send": send, "host": host})
}

fn namespace(service: u32) -> String {
    format!("team-{}", service % 200)
}

fn ip(pod: u32) -> String {
    format!("10.{}.{}.{}", 64 + (pod >> 16), pod >> 8 & 255, pod & 255)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A few pods over and over would be answered from the processor's caches.
    #[test]
    fn questions_are_about_most_pods() {
        let calls: Vec<Value> = (0..CALLS).map(call).collect();
        for end in ["from", "to"] {
            let pods: BTreeSet<_> = calls.iter().map(|call| call[end].to_string()).collect();
            assert!(pods.len() > PODS as usize / 2, "{end}: {}", pods.len());
        }
    }

    #[test]
    fn what_the_shell_says_of_time_is_read() {
        assert!((minutes("1m2.5s").expect("a time") - 62.5).abs() < 1e-9);
        assert!(minutes("soon").is_err());
    }
}
