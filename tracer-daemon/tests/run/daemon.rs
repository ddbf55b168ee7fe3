//! A daemon of its own for each test, and what it says.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::pods::Pods;

pub(crate) struct Daemon {
    pub(crate) child: Running,
    pub(crate) log: std::io::Lines<BufReader<ChildStderr>>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) listen: SocketAddr,
    pub(crate) pods: Pods,
}

/// Ends with the test, however that ends.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Daemon {
    pub(crate) fn start(more: &[&str]) -> Self {
        Self::of(Pods::new(), more)
    }

    /// Waits until it says that it is ready.
    pub(crate) fn of(pods: Pods, more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cluster.yaml"), pods.facts()).unwrap();
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"))
            .args(["run", "--facts", "cluster.yaml", "--journal", "flows.jsonl", "--socket", "flows.sock"])
            .args(["--node-name", "n1", "--listen", &listen.to_string()])
            .args(more)
            .env_remove("RUST_LOG")
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut daemon = Self { child: Running(child), log, dir, listen, pods };
        daemon.wait_for("INFO ready");
        daemon
    }

    /// The first line of the log that has these words.
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        let mut seen = String::new();
        for line in self.log.by_ref() {
            let line = line.unwrap();
            if line.contains(words) {
                return line;
            }
            seen = seen + &line + "\n";
        }
        panic!("no line with {words:?}:\n{seen}");
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.listen).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: n1\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn observe(&self, args: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
        command.args(["observe", "--all", "--socket"]).arg(self.path("flows.sock")).args(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The flow of this record, and none that never was.
    pub(crate) fn explains(&self, record: &str) {
        let id = record.split(r#""id":""#).nth(1).unwrap().split('"').next().unwrap();
        let explain = |id: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
            command.args(["explain", id, "--socket"]).arg(self.path("flows.sock")).output().unwrap()
        };
        let answer = explain(id);
        let text = String::from_utf8(answer.stdout).unwrap();
        assert_eq!(answer.status.code(), Some(0), "{}", String::from_utf8_lossy(&answer.stderr));
        assert!(text.starts_with("UNMESHED  not-in-mesh  observed, security none\nshop/caller"), "{text}");
        assert!(text.contains("  1. source ") && text.contains("  seen  first-bytes on the app leg"), "{text}");
        let other = explain("n1-0-1");
        assert_eq!(other.status.code(), Some(3));
        assert!(String::from_utf8_lossy(&other.stderr).contains("is no flow of n1"), "{other:?}");
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child.0), signal).unwrap();
    }

    #[expect(clippy::disallowed_methods, reason = "how long a stop takes is what is measured")]
    pub(crate) fn stop(mut self) -> (ExitStatus, Duration, String, tempfile::TempDir) {
        let asked = Instant::now();
        self.signal(rustix::process::Signal::TERM);
        let log: String = self.log.map(|line| line.unwrap() + "\n").collect();
        let status = self.child.0.wait().unwrap();
        (status, asked.elapsed(), log, self.dir)
    }
}

/// Asks until all that was emitted is accounted for: emitted = decoded + malformed + lost, of every kind. How many were
/// lost.
pub(crate) fn conserved(daemon: &Daemon) -> u64 {
    let accounted = || {
        let counts = counts(daemon);
        let whole = counts.iter().all(|[emitted, decoded, malformed, lost]| *emitted == decoded + malformed + lost);
        whole.then(|| counts.iter().map(|[_, _, _, lost]| lost).sum())
    };
    (0..500).find_map(|_| accounted()).unwrap_or_else(|| panic!("never accounted for: {:?}", counts(daemon)))
}

/// emitted, decoded, malformed, lost, of every kind.
pub(crate) fn counts(daemon: &Daemon) -> Vec<[u64; 4]> {
    let mut status = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
    status.args(["status", "-o", "json", "--socket"]).arg(daemon.path("flows.sock"));
    let status: serde_json::Value = serde_json::from_slice(&status.output().unwrap().stdout).unwrap();
    let kinds = status["events"].as_array().unwrap();
    let counts = |kind: &serde_json::Value| {
        ["emitted", "decoded", "malformed", "lost"].map(|stage| kind[stage].as_u64().unwrap())
    };
    kinds.iter().map(counts).collect()
}
