//! A node from outside: its namespaces, its cgroup, and the process that is the first in them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::PoisonError;

use anyhow::{Context, Result, bail};

use super::programs::Programs;
use super::settings;
use crate::cgroup;
use crate::netns::Netns;
use crate::run::{Process, Run};

/// Every namespace but that of the network, which is there already. What is killed from outside takes all with it.
const NAMESPACES: [&str; 8] =
    ["--mount", "--uts", "--ipc", "--cgroup", "--pid", "--mount-proc", "--fork", "--kill-child=SIGKILL"];

pub(super) struct Node {
    number: u8,
    process: Process,
    log: PathBuf,
}

impl Node {
    pub(super) fn start(run: &Run, netns: &Netns, lab: &Path, settings: &settings::Node) -> Result<Self> {
        settings.write()?;
        let own = settings.own();
        let file = own.join("node.json");
        let text = serde_json::to_string(settings).context("cannot say what a node is")?;
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        let cgroup = run.cgroup().join(format!("node{}", settings.number));
        run.make(|| cgroup::create(&cgroup))?;
        let log = own.join("log/node.log");
        let output = fs::File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        // It enters the cgroup first: its cgroup namespace begins where it then is.
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#]).arg(&cgroup);
        command.arg("nsenter").arg(format!("--net={}", netns.path().display()));
        command.arg("unshare").args(NAMESPACES).arg(lab).arg("cluster-node").arg(&file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let process = run.spawn(command)?;
        Ok(Self { number: settings.number, process, log })
    }

    /// Says what it died of.
    pub(super) fn must_run(&self) -> Result<()> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(status) = process.try_wait().context("a node vanished")? else { return Ok(()) };
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        bail!("node{} ended with {status}:\n{last}", self.number)
    }
}

/// runc, or where this machine's cgroup2 has no controllers a word before it: runc refuses limits that it cannot set.
pub(super) fn runc(folder: &Path, lab: &Path, programs: &Programs) -> Result<PathBuf> {
    let real = programs.runtime("runc");
    let controllers = cgroup::mount()?.join("cgroup.controllers");
    let controllers =
        fs::read_to_string(&controllers).with_context(|| format!("cannot read {}", controllers.display()))?;
    if controllers.split_whitespace().any(|name| name == "cpu") {
        return Ok(real);
    }
    let script = folder.join("runc");
    // containerd calls it by a path and nothing else.
    let text = format!("#!/bin/sh\nexec '{}' cluster-runc '{}' -- \"$@\"\n", lab.display(), real.display());
    fs::write(&script, text).with_context(|| format!("cannot write {}", script.display()))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).context("cannot make it a program")?;
    Ok(script)
}
