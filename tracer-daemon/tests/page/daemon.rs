//! A daemon's socket with the flows that a test wants, and the page in front of it.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Zeros: the end of what is remembered, or of the stream.
pub(crate) const MARK: &str =
    r#"{"version":"v1","time":"2026-11-24T04:57:00.000000000Z","node":"n1","lost":{"events":0,"records":0}}"#;
const STATUS: &str = r#"{"version":"v1","program":"mesh-tracer","node":"n1","kernel":"6.18","pid":1,"started":"2026-11-24T04:00:00Z","time":"2026-11-24T05:00:00Z","ready":true,"waiting_for":[],"hooks":[],"events":[],"untracked_sockets":0,"facts":[],"records":{"made":0,"journal_written":0,"journal_lost":0,"readers":0,"readers_dropped":0,"readers_skipped":0},"memory":{"rss_anon_bytes":0,"rss_bytes":0}}"#;

/// Answers until it is dropped with its folder.
pub(crate) struct Daemon {
    dir: tempfile::TempDir,
    /// What each reader that follows is told further; dropped, its stream ends.
    pub(crate) readers: Receiver<SyncSender<String>>,
}

impl Daemon {
    /// `backlog`: lines, without the mark. `explain`: the answer to every such request.
    pub(crate) fn start(backlog: String, explain: String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("flows.sock")).unwrap();
        let (tell, readers) = sync_channel(64);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (backlog, explain, tell) = (backlog.clone(), explain.clone(), tell.clone());
                // A reader that leaves ends its thread with an error, which is its own business.
                thread::spawn(move || answer(&stream?, &backlog, &explain, &tell));
            }
        });
        Self { dir, readers }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("flows.sock")
    }
}

fn answer(
    mut stream: &UnixStream,
    backlog: &str,
    explain: &str,
    tell: &SyncSender<SyncSender<String>>,
) -> std::io::Result<()> {
    let mut request = String::new();
    BufReader::new(stream).read_line(&mut request)?;
    if request.contains("status") {
        return writeln!(stream, "{STATUS}");
    }
    if request.contains("explain") {
        return writeln!(stream, "{explain}");
    }
    let (more, lines) = sync_channel::<String>(64);
    writeln!(stream, "{backlog}{MARK}")?;
    tell.send(more).unwrap();
    for line in lines {
        stream.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// `mesh-tracer page`, ended with the test.
pub(crate) struct Page {
    child: Child,
    pub(crate) address: SocketAddr,
    /// `http://127.0.0.1:PORT/SECRET/`
    pub(crate) url: String,
}

pub(crate) fn command(socket: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
    command.arg("page").arg("--socket").arg(socket).args(args).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

impl Page {
    pub(crate) fn open(daemon: &Daemon) -> Self {
        Self::of(&mut command(&daemon.socket(), &[]))
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let url = url.trim_end().to_owned();
        let address = url.split('/').nth(2).unwrap().parse().unwrap();
        Self { child, address, url }
    }

    /// With slashes around it.
    pub(crate) fn secret(&self) -> &str {
        &self.url[self.url.len() - 34..]
    }

    pub(crate) fn resident_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
