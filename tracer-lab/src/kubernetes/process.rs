//! A program of the server: killed when it is dropped, and by the kernel when its maker has ended.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{sleep, timeout};

use crate::keeper;

/// An idle machine needs three seconds, one that compiles beside it ten, and one with 100,000 pods on disk twenty.
const PATIENCE: Duration = Duration::from_mins(2);
const ASK_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct Process {
    child: Child,
    name: &'static str,
    log: PathBuf,
}

/// `program`, killed when the thread that starts it has ended: the keeper's, which lives as long as the process.
pub(super) fn tied(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

impl Process {
    /// What it says is added to `NAME.log` in `folder`.
    pub(super) fn start(mut command: Command, folder: &Path, name: &'static str) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("cannot create {}", log.display()))?;
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).process_group(0);
        let child = keeper::spawn(command).with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name, log })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Asks until the answer is yes.
    pub(super) async fn wait_until(&mut self, is_ready: impl AsyncFn() -> bool) -> Result<()> {
        let name = self.name;
        let asked = async {
            while !is_ready().await {
                if let Some(status) = self.child.try_wait().with_context(|| format!("{name} vanished"))? {
                    bail!("{name} ended with {status}");
                }
                sleep(ASK_AGAIN).await;
            }
            Ok(())
        };
        let asked = timeout(PATIENCE, asked).await.with_context(|| format!("{name} is not ready after {PATIENCE:?}"));
        asked.flatten().with_context(|| self.last_words())
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

/// Asks until the answer is yes, of something that no process of ours decides.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let asked = async {
        while !is_so().await? {
            sleep(ASK_AGAIN).await;
        }
        Ok(())
    };
    timeout(PATIENCE, asked).await.with_context(|| format!("{what}: still not so after {PATIENCE:?}")).flatten()
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a child that has been reaped.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
