//! What tracing costs a machine that does nothing but connect: a storm of connections on loopback, in a network
//! namespace of its own, alone and beside each tracer in turn.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result};
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use serde_json::Value;

use crate::processes::{Process, Tracer, tied};
use crate::setup::{self, Part};
use crate::shell;
use crate::workspace::Workspace;

/// "A start", says the issue that asked for it.
const ENOUGH: f64 = 0.90;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Beside {
    Nothing,
    /// Everything is traced: the storm is no pod's, so the usual scope would leave it out.
    MeshTracer,
    /// The usual scope: the storm is nobody's business.
    OutOfScope,
    Tcplife,
    Tcpstates,
}

/// What one storm took.
struct Turn {
    per_second: f64,
    /// Processor time of the storm itself for one connection, the kernel's part of the tracing included.
    storm_ns: f64,
    /// Processor time of the tracer's own process for one connection.
    tracer_ns: f64,
}

/// Says whether the storm beside mesh-tracer is fast enough and every event is accounted for.
pub(crate) fn storm(workspace: &Workspace, connections: u32, rounds: u32) -> Result<bool> {
    setup::ensure(workspace, &Part::DEMO)?;
    setup::ensure(workspace, &[Part::BenchPrograms])?;
    shell::run(&mut workspace.cargo(&["build", "--release", "--locked", "-p", "tracer-daemon", "-p", "tracer-lab"]))?;
    mount_tracefs()?;
    let stage = Stage::new(workspace, connections)?;
    stage.turn(Beside::Nothing)?;

    let all = [Beside::Nothing, Beside::MeshTracer, Beside::OutOfScope, Beside::Tcplife, Beside::Tcpstates];
    let mut turns: Vec<Vec<Turn>> = all.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        for (beside, turns) in all.into_iter().zip(&mut turns) {
            turns.push(stage.turn(beside)?);
        }
        eprintln!("round {round} of {rounds}");
    }
    let alone = median(turns[0].iter().map(|turn| turn.per_second));
    let ratio = |turns: &[Turn]| median(turns.iter().map(|turn| turn.per_second)) / alone;
    println!("{}", table(&all, &turns, alone));
    let enough = ratio(&turns[1]) >= ENOUGH;
    println!("beside mesh-tracer: {:.2} of the storm alone; {ENOUGH:.2} is asked for", ratio(&turns[1]));
    Ok(stage.account()? && enough)
}

struct Stage {
    programs: PathBuf,
    folder: PathBuf,
    facts: PathBuf,
    connections: u32,
}

impl Stage {
    fn new(workspace: &Workspace, connections: u32) -> Result<Self> {
        let target = workspace.target()?;
        let folder = target.join("bench-storm");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let facts = workspace.root().join("tracer-lab/meshes/demo/cluster.yaml");
        Ok(Self { programs: target.join("release"), folder, facts, connections })
    }

    fn turn(&self, beside: Beside) -> Result<Turn> {
        let (storm, tracer) = match beside {
            Beside::Nothing => (self.storm()?, Duration::ZERO),
            Beside::MeshTracer => self.beside_mesh_tracer("all")?,
            Beside::OutOfScope => self.beside_mesh_tracer("pods")?,
            Beside::Tcplife => self.beside_peer("tcplife")?,
            Beside::Tcpstates => self.beside_peer("tcpstates")?,
        };
        let each = f64::from(self.connections);
        let seconds = |of: &str| duration(&storm[of]).map(|duration| duration.as_secs_f64());
        Ok(Turn {
            per_second: each / seconds("wall")?,
            storm_ns: seconds("cpu")? * 1e9 / each,
            tracer_ns: tracer.as_secs_f64() * 1e9 / each,
        })
    }

    fn beside_mesh_tracer(&self, scope: &str) -> Result<(Value, Duration)> {
        let tracer = Tracer::start(&self.programs, &self.folder, &self.facts, &["--scope", scope])?;
        let before = cpu_time(tracer.pid())?;
        let storm = self.storm()?;
        Ok((storm, cpu_time(tracer.pid())?.saturating_sub(before)))
    }

    fn beside_peer(&self, program: &str) -> Result<(Value, Duration)> {
        let mut command = tied(Path::new(program));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let peer = Process::start(command)?;
        attached(peer.child.id())?;
        let before = cpu_time(peer.child.id())?;
        let storm = self.storm()?;
        Ok((storm, cpu_time(peer.child.id())?.saturating_sub(before)))
    }

    /// In a network namespace of its own: 200,000 sockets in TIME_WAIT are nobody else's.
    fn storm(&self) -> Result<Value> {
        let script = r#"ip link set lo up && exec "$0" storm --connections "$1""#;
        let mut storm = Command::new("unshare");
        storm.args(["--net", "sh", "-c", script]).arg(self.programs.join("tracer-lab"));
        let said = shell::read(storm.arg(self.connections.to_string()))?;
        serde_json::from_str(&said).context("the storm's own words are not JSON")
    }

    /// One more storm, after which the tracer says what became of its events.
    fn account(&self) -> Result<bool> {
        let tracer = Tracer::start(&self.programs, &self.folder, &self.facts, &["--scope", "all"])?;
        self.storm()?;
        let status = settled(&tracer)?;
        let mut conserved = true;
        println!("\nevents of {} connections at full speed:", self.connections);
        for row in status["events"].as_array().into_iter().flatten() {
            let count = |stage: &str| row[stage].as_u64().unwrap_or_default();
            let [emitted, decoded, malformed, lost] = ["emitted", "decoded", "malformed", "lost"].map(count);
            conserved &= emitted == decoded + malformed + lost;
            println!("{:<16} {emitted} emitted = {decoded} decoded + {malformed} malformed + {lost} lost", row["kind"]);
        }
        println!("daemon RssAnon after it: {:.1} MB", tracer.rss_anon()? as f64 / 1e6);
        Ok(conserved)
    }
}

/// The status once the ring is read empty: when its counts stand still.
fn settled(tracer: &Tracer) -> Result<Value> {
    let mut before = Value::Null;
    for _ in 0..50 {
        let status = tracer.status()?;
        if status["events"] == before {
            return Ok(status);
        }
        before = status["events"].clone();
        pause();
    }
    anyhow::bail!("mesh-tracer still reads events 25 s after the storm")
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

fn pause() {
    #[expect(clippy::disallowed_methods, reason = "asks again for what nobody announces")]
    thread::sleep(Duration::from_millis(500));
}

/// User and system time of a process. Of `setpriv`, which becomes the program that it starts.
fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the tracer ended at once")?;
    // The name may hold spaces and parentheses; what follows the last one is plain.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<u64>().ok()).context("an odd /proc/PID/stat");
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

fn duration(value: &Value) -> Result<Duration> {
    let part = |name: &str| value[name].as_u64().with_context(|| format!("the storm says no {name}"));
    Ok(Duration::new(part("secs")?, u32::try_from(part("nanos")?).context("nanos beyond a second")?))
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

fn table(all: &[Beside], turns: &[Vec<Turn>], alone: f64) -> Table {
    let mut table = Table::new();
    *table.style_mut() = UTF8_HORIZONTAL_ONLY;
    table.set_header(["beside", "connects/s", "of alone", "storm cpu/connect", "tracer cpu/connect"]);
    for (beside, turns) in all.iter().zip(turns) {
        let of = |figure: fn(&Turn) -> f64| median(turns.iter().map(figure));
        let per_second = of(|turn| turn.per_second);
        table.add_row([
            name(*beside).to_owned(),
            format!("{per_second:.0}"),
            format!("{:.2}", per_second / alone),
            format!("{:.1} us", of(|turn| turn.storm_ns) / 1e3),
            format!("{:.1} us", of(|turn| turn.tracer_ns) / 1e3),
        ]);
    }
    table
}

fn name(beside: Beside) -> &'static str {
    match beside {
        Beside::Nothing => "nothing",
        Beside::MeshTracer => "mesh-tracer --scope all",
        Beside::OutOfScope => "mesh-tracer --scope pods",
        Beside::Tcplife => "tcplife",
        Beside::Tcpstates => "tcpstates",
    }
}

fn median(of: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = of.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}
