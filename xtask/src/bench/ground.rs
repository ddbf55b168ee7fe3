//! What benches of the running daemon stand on: built programs, a folder, the work in a network namespace of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

pub(super) use crate::processes::pause;
use crate::processes::{Facts, Tracer};
use crate::setup::{self, Part};
use crate::shell;
use crate::workspace::Workspace;

pub(super) struct Ground {
    programs: PathBuf,
    folder: PathBuf,
    facts: PathBuf,
    nothing: PathBuf,
}

impl Ground {
    pub(super) fn prepare(workspace: &Workspace, folder: &str) -> Result<Self> {
        setup::ensure(workspace, &Part::DEMO)?;
        let packages = ["build", "--release", "--locked", "-p", "tracer-daemon", "-p", "tracer-lab"];
        shell::run(&mut workspace.cargo(&packages))?;
        let target = workspace.target()?;
        let folder = target.join(folder);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let facts = workspace.root().join("tracer-lab/meshes/demo/cluster.yaml");
        let nothing = folder.join("nothing.yaml");
        fs::write(&nothing, "apiVersion: v1\nkind: List\nitems: []\n")
            .context("cannot write an empty list of facts")?;
        Ok(Self { programs: target.join("release"), folder, facts, nothing })
    }

    pub(super) fn tracer(&self, more: &[&str]) -> Result<Tracer> {
        Tracer::start(&self.programs, &self.folder, Facts::File(&self.facts), more)
    }

    pub(super) fn tracer_without_facts(&self) -> Result<Tracer> {
        Tracer::start(&self.programs, &self.folder, Facts::File(&self.nothing), &[])
    }

    /// `tracer-lab` with these arguments, in a network namespace of its own: its sockets in TIME_WAIT are nobody else's.
    /// What it says of itself.
    pub(super) fn work(&self, args: &[&str]) -> Result<Value> {
        let script = r#"ip link set lo up && exec "$0" "$@""#;
        let mut work = Command::new("unshare");
        work.args(["--net", "sh", "-c", script]).arg(self.programs.join("tracer-lab")).args(args);
        serde_json::from_str(&shell::read(&mut work)?).context("what the work says of itself is not JSON")
    }
}

/// A time that the work says of itself.
pub(super) fn seconds(said: &Value, of: &str) -> Result<f64> {
    let part = |name: &str| said[of][name].as_f64().with_context(|| format!("the work says no {name} of {of}"));
    Ok(part("secs")? + part("nanos")? / 1e9)
}

/// The status once the ring is read empty: when its counts stand still.
pub(super) fn settled(tracer: &Tracer) -> Result<Value> {
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

/// The kernel counts what programs take (`kernel.bpf_stats_enabled`), for as long as this lives.
pub(super) struct ProgramStatistics(String);

impl ProgramStatistics {
    const SYSCTL: &str = "/proc/sys/kernel/bpf_stats_enabled";

    pub(super) fn on() -> Result<Self> {
        let before = fs::read_to_string(Self::SYSCTL).with_context(|| format!("cannot read {}", Self::SYSCTL))?;
        fs::write(Self::SYSCTL, "1").with_context(|| format!("cannot write {}: root may", Self::SYSCTL))?;
        Ok(Self(before))
    }
}

impl Drop for ProgramStatistics {
    fn drop(&mut self) {
        // Nobody could do anything about a failure, and it costs some nanoseconds a run until the next boot.
        let _ = fs::write(Self::SYSCTL, self.0.trim());
    }
}

/// What the kernel counted of a process's programs on packets.
pub(super) struct PacketRuns {
    pub(super) nanoseconds: f64,
    pub(super) runs: f64,
}

pub(super) fn packet_runs(pid: u32) -> Result<PacketRuns> {
    const CGROUP_SKB: f64 = 8.0;
    let mut sum = PacketRuns { nanoseconds: 0.0, runs: 0.0 };
    for file in fs::read_dir(format!("/proc/{pid}/fdinfo")).context("the tracer ended at once")?.flatten() {
        let Ok(info) = fs::read_to_string(file.path()) else { continue };
        let number = |key: &str| info.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<f64>().ok());
        // A link's text names its program's type as well, and counts nothing.
        if number("prog_type:") == Some(CGROUP_SKB)
            && let (Some(nanoseconds), Some(runs)) = (number("run_time_ns:"), number("run_cnt:"))
        {
            sum.nanoseconds += nanoseconds;
            sum.runs += runs;
        }
    }
    Ok(sum)
}

/// Processor time of a process's threads. Of `setpriv`, which becomes the program that it starts.
pub(super) fn cpu_time(pid: u32) -> Result<Duration> {
    let mut total = Duration::ZERO;
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).context("the tracer ended at once")?;
    for task in tasks.flatten() {
        let Ok(stat) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        let on_cpu = stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
        total += Duration::from_nanos(on_cpu.context("an odd /proc/PID/task/TID/schedstat")?);
    }
    Ok(total)
}
