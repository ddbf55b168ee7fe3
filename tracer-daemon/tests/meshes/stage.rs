//! One performance: a mesh, the daemon beside it, and every recorded call.

use crate::judge::client;
use crate::perspective;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracer_daemon::sink::wire::{self, Line, Record};
use tracer_engine::net::NetNs;
use tracer_lab::{Call, CallResult, Mesh, Options, PodName};

/// Two meshes have pods of the same addresses, and the daemon sees the whole kernel.
static ALONE: Mutex<()> = Mutex::new(());

pub(crate) struct Performance {
    pub(crate) scenes: Vec<Scene>,
    pub(crate) pods: Vec<PodSeen>,
    pub(crate) tape: PathBuf,
    journal: Vec<Record>,
    _alone: MutexGuard<'static, ()>,
}

/// A call and what its application saw of it.
pub(crate) struct Scene {
    pub(crate) call: Call,
    pub(crate) result: CallResult,
}

pub(crate) struct PodSeen {
    pub(crate) name: PodName,
    pub(crate) netns: NetNs,
}

struct Daemon {
    child: Child,
    folder: PathBuf,
    listen: SocketAddr,
}

impl Performance {
    /// Every recorded call, at its recorded pace.
    pub(crate) fn of(name: &str) -> Self {
        Self::with(name, name, &Options::default(), Duration::from_millis(60), <[Call]>::to_vec)
    }

    /// As `of`, and nobody looks at payload.
    pub(crate) fn without_first_bytes(name: &str) -> Self {
        let flags = ["--first-bytes", "off"];
        let folder = format!("{name}-without-first-bytes");
        Self::traced(name, &folder, &flags, &Options::default(), Duration::from_millis(60), <[Call]>::to_vec)
    }

    /// The calls that `choose` makes of the recorded ones, one every `interval`. `folder`: as in `traced`.
    pub(crate) fn with(
        name: &str,
        folder: &str,
        on: &Options,
        interval: Duration,
        choose: impl Fn(&[Call]) -> Vec<Call>,
    ) -> Self {
        Self::traced(name, folder, &[], on, interval, choose)
    }

    /// `folder`: where its tape and its journal lie, until the next time.
    fn traced(
        name: &str,
        folder: &str,
        flags: &[&str],
        on: &Options,
        interval: Duration,
        choose: impl Fn(&[Call]) -> Vec<Call>,
    ) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mesh = Mesh::up(name, on).unwrap_or_else(|error| panic!("{error:#}"));
        let daemon = Daemon::start(folder, &mesh.facts(), flags);
        let calls = choose(mesh.calls());
        let results = mesh.call_all(&calls, interval).unwrap_or_else(|error| panic!("{error:#}"));
        let scenes = calls.into_iter().zip(results).map(|(call, result)| Scene { call, result }).collect();
        let pods = mesh.pods().iter().map(|pod| PodSeen {
            name: pod.name().clone(),
            netns: NetNs(u32::try_from(pod.netns_inode()).expect("inode numbers of namespaces are 32 bits wide")),
        });
        let pods = pods.collect();
        let folder = daemon.stop();
        let tape = folder.join("tape");
        let written = fs::read_to_string(folder.join("flows.jsonl")).expect("a journal is text");
        assert!(perspective::replayed(&tape) == written, "{} does not replay to its journal", tape.display());
        let mut journal = journal(&written);
        // The last word on a flow is its verdict: what hung and what was revised came before it.
        journal.reverse();
        Self { scenes, pods, tape, journal, _alone: alone }
    }

    /// One call of a mesh whose facts `edit` made old: what is told of it, and the metric with this name.
    pub(crate) fn stale(name: &str, call: &str, edit: impl Fn(&str) -> String, metric: &str) -> (Record, String) {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mesh = Mesh::up(name, &Options::default()).unwrap_or_else(|error| panic!("{error:#}"));
        let facts = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("stale-{name}.yaml"));
        let current = fs::read_to_string(mesh.facts()).expect("facts are text");
        let stale = edit(&current);
        assert_ne!(stale, current, "nothing is stale");
        fs::write(&facts, stale).expect("facts can be written");
        let daemon = Daemon::start(&format!("stale-{name}"), &facts, &[]);
        let call = crate::named(mesh.calls(), call);
        let result = mesh.call(&call).unwrap_or_else(|error| panic!("{error:#}"));
        let counted = daemon.metric(metric);
        let folder = daemon.stop();
        let written = fs::read_to_string(folder.join("flows.jsonl")).expect("a journal is text");
        let scene = Scene { call, result };
        let record = journal(&written).into_iter().rev().find(|record| scene.is_told_by(record));
        (record.unwrap_or_else(|| panic!("no record of {:?}", scene.result)), counted)
    }

    /// One call of a mesh, and what `look` sees at /metrics after it.
    pub(crate) fn scraped<T>(name: &str, call: &str, look: impl FnOnce(SocketAddr, &Path) -> T) -> T {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mesh = Mesh::up(name, &Options::default()).unwrap_or_else(|error| panic!("{error:#}"));
        let daemon = Daemon::start(&format!("scraped-{name}"), &mesh.facts(), &[]);
        mesh.call(&crate::named(mesh.calls(), call)).unwrap_or_else(|error| panic!("{error:#}"));
        let seen = look(daemon.listen, &daemon.folder);
        daemon.stop();
        seen
    }

    pub(crate) fn told_of(&self, scene: &Scene) -> Option<&Record> {
        self.journal.iter().find(|record| scene.is_told_by(record))
    }

    /// What is told of connections that no application made.
    pub(crate) fn strays(&self) -> Vec<&Record> {
        let apps = self.journal.iter().filter(|record| record.traffic == "app");
        apps.filter(|record| !self.scenes.iter().any(|scene| scene.is_told_by(record))).collect()
    }

    /// The handshake of the connection by which this call reached another pod: it is the same at both ends.
    pub(crate) fn handshake_of(&self, scene: &Scene) -> Option<&str> {
        self.told_of(scene)?.handshake.as_deref()
    }

    /// With `MESH_TRACER_KEEP_TAPES` this tape becomes the golden one.
    #[expect(clippy::disallowed_methods, reason = "a switch of this test, not of the product")]
    pub(crate) fn keep_tape(&self, mesh: &str) {
        if std::env::var_os("MESH_TRACER_KEEP_TAPES").is_none() {
            return;
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tapes").join(mesh);
        fs::create_dir_all(&folder).expect("tests/tapes can be written");
        let packed = File::open(&self.tape).expect("a tape");
        let lines = zstd::decode_all(packed).expect("a whole frame");
        fs::write(folder.join("input.jsonl"), lines).expect("tests/tapes can be written");
        fs::write(folder.join("expected.jsonl"), perspective::replayed(&self.tape))
            .expect("tests/tapes can be written");
    }
}

impl Scene {
    /// The record is about this call's own connection.
    pub(crate) fn is_told_by(&self, record: &Record) -> bool {
        let dialled = SocketAddr::new(record.server.ip, record.server.port);
        self.result.local == Some(client(record)) && self.call.request.to == dialled
    }
}

impl Daemon {
    fn start(mesh: &str, facts: &Path, flags: &[&str]) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("mesh-{mesh}"));
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("the folder of the last run can be removed");
        }
        fs::create_dir_all(&folder).expect("a folder for this run");
        let listen = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
        command.args(["run", "--node-name", "node-1", "--journal", "flows.jsonl", "--tape", "tape"]);
        // A socket's path has at most 108 characters, a checkout's may have more: a relative one always fits.
        command.args(["--socket", "flows.sock", "--listen", &listen.to_string(), "--facts"]).arg(facts).args(flags);
        let child = command.current_dir(&folder).stderr(Stdio::piped()).spawn().expect("mesh-tracer starts");
        let mut daemon = Self { child, folder, listen };
        daemon.wait_until_ready();
        daemon
    }

    /// It says so itself, in its log.
    fn wait_until_ready(&mut self) {
        let mut log = BufReader::new(self.child.stderr.take().expect("a piped stderr"));
        let mut said = String::new();
        while log.read_line(&mut said).expect("a readable log") > 0 {
            if said.lines().last().is_some_and(|line| line.contains("tracing on")) {
                // Read on, or the daemon would stop at a full pipe.
                let mut rest = File::create(self.folder.join("log")).expect("a log file");
                std::thread::spawn(move || std::io::copy(&mut log, &mut rest));
                return;
            }
        }
        panic!("mesh-tracer did not become ready:\n{said}");
    }

    /// The first line of /metrics that begins so, as soon as there is one.
    fn metric(&self, name: &str) -> String {
        let scrape = || {
            let mut stream = TcpStream::connect(self.listen).expect("/metrics is served");
            write!(stream, "GET /metrics HTTP/1.1\r\nhost: n\r\nconnection: close\r\n\r\n").expect("it listens");
            let mut page = String::new();
            stream.read_to_string(&mut page).expect("a page");
            page.lines().find(|line| line.starts_with(name)).map(str::to_owned)
        };
        (0..20_000).find_map(|_| scrape()).unwrap_or_else(|| panic!("no {name} on /metrics"))
    }

    fn stop(mut self) -> PathBuf {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(asked.success(), "the daemon ended before it was asked to");
        let ended = self.child.wait().expect("the daemon ends");
        assert!(ended.success(), "the daemon ended with {ended}: see {}", self.folder.join("log").display());
        std::mem::take(&mut self.folder)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn journal(text: &str) -> Vec<Record> {
    let lines = text.lines().map(|line| wire::read(line).unwrap_or_else(|garbage| panic!("{garbage}: {line}")));
    let records = lines.filter_map(|line| match line {
        Line::Record(record) => Some(*record),
        // It makes verdicts careful; whether they are then the recorded ones is what is judged.
        Line::Lost(loss) => {
            println!("something was lost: {loss:?}");
            None
        }
    });
    records.collect()
}
