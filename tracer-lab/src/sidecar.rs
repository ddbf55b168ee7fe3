//! A pod's sidecar: a real Envoy on the configuration that Istio generated for it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::clock;
use crate::identity::Authority;
use crate::pod::Pod;
use crate::recipe::pod_name::PodName;
use crate::recipe::proxies::Proxies;
use crate::run::{Process, Run};

/// Who Istio's capture rules leave alone.
pub(crate) const UID: u32 = 1337;

/// Thirteen start together in a second on two cores; a machine that is busy otherwise needs longer.
const PATIENCE: Duration = Duration::from_mins(1);
const ASK_AGAIN: Duration = Duration::from_millis(10);

pub(crate) struct Envoy {
    pub(crate) program: PathBuf,
    pub(crate) concurrency: u32,
}

pub(crate) struct Sidecar {
    pod: PodName,
    process: Process,
    admin: PathBuf,
    log: PathBuf,
}

impl Envoy {
    /// Starts a pod's proxy. `number` tells it from the other proxies of the run.
    pub(crate) fn start(
        &self,
        run: &Run,
        pod: &Pod,
        service_account: &str,
        number: u32,
        proxies: &Proxies,
        authority: &Authority,
    ) -> Result<Sidecar> {
        let name = pod.name();
        let [certificates, config, admin, log] =
            ["certificates", "envoy.json", "admin.sock", "envoy.log"].map(|file| pod.folder.join(file));
        authority.issue(name.namespace(), service_account, &certificates)?;
        let bootstrap = proxies.bootstrap(name, &certificates, &admin)?;
        fs::write(&config, bootstrap).with_context(|| format!("cannot write {}", config.display()))?;
        // It makes its admin socket there.
        chown(&pod.folder, Some(UID), Some(UID)).with_context(|| format!("cannot give {name} its folder"))?;
        let output = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut command = pod.own_command(UID, &self.program);
        command.arg("-c").arg(&config);
        command.arg("--concurrency").arg(self.concurrency.to_string());
        // Hot restart is off, so the id names nothing shared; unique all the same, as on a node with many proxies.
        command.arg("--disable-hot-restart").arg("--base-id").arg(base_id(number).to_string());
        command.args(["--log-level", "error"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).process_group(0);
        let process = run.spawn(command)?;
        Ok(Sidecar { pod: name.clone(), process, admin, log })
    }
}

impl Sidecar {
    pub(crate) fn wait_until_ready(&self) -> Result<()> {
        let deadline = clock::now() + PATIENCE.as_nanos() as u64;
        while !is_ready(&self.admin).unwrap_or(false) {
            let ended = self.process.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
            if let Some(status) = ended.with_context(|| format!("cannot watch the proxy of {}", self.pod))? {
                bail!("the proxy of {} has ended: {status}: {}", self.pod, self.last_words());
            }
            if clock::now() > deadline {
                bail!("the proxy of {} is not ready after {PATIENCE:?}: {}", self.pod, self.last_words());
            }
            clock::sleep(ASK_AGAIN);
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

/// An error means: not listening yet.
fn is_ready(admin: &Path) -> std::io::Result<bool> {
    let mut stream = UnixStream::connect(admin)?;
    stream.write_all(b"GET /ready HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200 "))
}

/// Envoy multiplies it by ten and keeps the rest for epochs.
fn base_id(number: u32) -> u32 {
    const PROXIES_PER_RUN: u32 = 64;
    std::process::id() % 1_000_000 * PROXIES_PER_RUN + number
}
