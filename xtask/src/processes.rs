//! The programs of demo and bench: the tracer, who watches it, the lab.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const LOG: &str = "mesh-tracer.log";
const SOCKET: &str = "flows.sock";
/// Tenths of a second until it must be ready: a cluster of 100,000 pods takes its time.
const PATIENCE: u32 = 600;

/// A program that is told to end when this is dropped, and by the kernel when the demo is killed.
pub(crate) struct Process {
    pub(crate) child: Child,
}

/// The daemon, ready.
pub(crate) struct Tracer {
    pub(crate) programs: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) listen: SocketAddr,
    daemon: Process,
}

/// Who tells the daemon what the cluster is.
#[derive(Clone, Copy)]
pub(crate) enum Facts<'a> {
    File(&'a Path),
    /// The API server that this kubeconfig leads to.
    Kube(&'a Path),
}

/// Brings up the demo's mesh and makes its calls; says what became of them as JSON lines.
pub(crate) fn lab(programs: &Path, keep: bool) -> Result<Process> {
    let mut lab = tied(&programs.join("tracer-lab"));
    lab.args(["run", "demo", "--json"]).args(keep.then_some("--keep")).stdout(Stdio::piped());
    Process::start(lab)
}

impl Tracer {
    /// `more`: flags of `run` beside the usual ones.
    pub(crate) fn start(programs: &Path, folder: &Path, facts: Facts<'_>, more: &[&str]) -> Result<Self> {
        let listen = free_address()?;
        let log = folder.join(LOG);
        let mut daemon = tied(&programs.join("mesh-tracer"));
        match facts {
            Facts::File(file) => daemon.args(["run", "--facts"]).arg(file),
            Facts::Kube(kubeconfig) => daemon.args(["run", "--kube"]).env("KUBECONFIG", kubeconfig),
        };
        daemon.args(["--node-name", "node-1", "--journal", "flows.jsonl"]);
        // A socket's path has at most 108 characters, a checkout's may have more: a relative one always fits.
        daemon.args(["--socket", SOCKET, "--listen", &listen.to_string()]).args(more).current_dir(folder);
        daemon.stderr(File::create(&log).with_context(|| format!("cannot create {}", log.display()))?);
        let daemon = Process::start(daemon)?;
        let mut tracer = Self { programs: programs.to_path_buf(), folder: folder.to_path_buf(), listen, daemon };
        tracer.wait_until_ready()?;
        Ok(tracer)
    }

    /// What the daemon says of itself.
    pub(crate) fn status(&self) -> Result<Value> {
        let mut status = Command::new(self.programs.join("mesh-tracer"));
        status.args(["status", "--socket", SOCKET, "--output", "json"]).current_dir(&self.folder);
        // Its exit status says whether all is well; what is not is in the answer too.
        let output = status.output().context("cannot start mesh-tracer status")?;
        serde_json::from_slice(&output.stdout).context("mesh-tracer status is not JSON")
    }

    /// Bytes of memory that are the daemon's alone.
    pub(crate) fn rss_anon(&self) -> Result<u64> {
        self.status()?["memory"]["rss_anon_bytes"].as_u64().context("mesh-tracer's status names no memory")
    }

    /// What a scrape gets.
    pub(crate) fn metrics(&self) -> Result<String> {
        get(self.listen, "/metrics").context("mesh-tracer answers no scrape")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.daemon.child.id()
    }

    pub(crate) fn observe(&self, args: &[&str], stdout: Stdio) -> Result<Process> {
        let mut observe = tied(&self.programs.join("mesh-tracer"));
        observe.args(["observe", "--socket", SOCKET]).args(args).current_dir(&self.folder);
        observe.stdout(stdout).stderr(Stdio::null());
        Process::start(observe)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        for _ in 0..PATIENCE {
            if let Some(status) = self.daemon.child.try_wait().context("mesh-tracer vanished")? {
                bail!("mesh-tracer ended with {status}:\n{}", self.said());
            }
            if get(self.listen, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Ok(());
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "readiness is asked for over HTTP, which tells nobody by itself"
            )]
            thread::sleep(Duration::from_millis(100));
        }
        bail!("mesh-tracer is not ready after {} s:\n{}", PATIENCE / 10, self.said())
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.join(LOG)).unwrap_or_default()
    }
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child })
    }
}

impl Drop for Process {
    /// SIGTERM, so that it can tidy up, and then its end.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let told = Command::new("kill").arg(self.child.id().to_string()).status();
            if told.is_ok_and(|status| status.success()) {
                let _ended = self.child.wait();
            }
        }
    }
}

pub(crate) fn pause() {
    #[expect(clippy::disallowed_methods, reason = "asks again for what nobody announces")]
    thread::sleep(Duration::from_millis(500));
}

/// `program`, told to end by the kernel when the thread that started it has ended.
pub(crate) fn tied(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

/// An address that nobody listens on at the moment.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    listener.local_addr().context("a bound socket has an address")
}

fn get(listen: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&listen, Duration::from_secs(1))?;
    connection.set_read_timeout(Some(Duration::from_secs(1)))?;
    write!(connection, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}
