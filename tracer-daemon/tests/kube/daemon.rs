//! `run --kube` from outside: ready once it knows the cluster, degraded where it may not see all of it. Needs root.

use crate::cluster::{account, kubeconfig_of, pod};
use crate::{shared, started};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tracer_lab::kubernetes::{ApiServer, Options, ServiceAccount};

struct Daemon {
    child: Child,
    log: std::io::Lines<BufReader<ChildStderr>>,
    dir: TempDir,
    listen: SocketAddr,
}

impl Daemon {
    fn start(dir: TempDir, mut command: Command) -> Self {
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        command.args(["--socket", "flows.sock", "--node-name", "n1", "--listen", &listen.to_string()]);
        command.env_remove("RUST_LOG").current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, log, dir, listen }
    }

    fn wait_for(&mut self, words: &str) {
        let mut seen = String::new();
        for line in self.log.by_ref() {
            let line = line.unwrap();
            if line.contains(words) {
                return;
            }
            seen = seen + &line + "\n";
        }
        panic!("no line with {words:?}:\n{seen}");
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.listen).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: n1\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn status(&self, format: &str) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
        command.args(["status", "--output", format, "--socket"]).arg(self.dir.path().join("flows.sock"));
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// What `status` says of one kind.
    fn facts(&self, kind: &str) -> Value {
        let status: Value = serde_json::from_str(&self.status("json").1).unwrap();
        status["facts"].as_array().unwrap().iter().find(|facts| facts["kind"] == kind).unwrap().clone()
    }

    fn stop(mut self) -> String {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let log: String = self.log.by_ref().map(|line| line.unwrap() + "\n").collect();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{log}");
        log
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let asked = tokio::time::timeout(Duration::from_mins(2), async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    });
    asked.await.expect(what);
}

async fn by_kubeconfig(server: &ApiServer, account: &ServiceAccount) -> Daemon {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
    command.args(["run", "--kube"]).env("KUBECONFIG", kubeconfig_of(server, account, &server.url()).await);
    Daemon::start(tempfile::tempdir().unwrap(), command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_ready_once_it_knows_the_cluster_and_tells_each_kind() {
    let server = shared().await;
    let of_test = pod("daemon", "web-0", "10.7.0.1");
    server.etcd().put(&of_test).await.unwrap();
    let mut daemon = by_kubeconfig(server, &account()).await;
    daemon.wait_for("INFO ready");
    assert!(daemon.get("/readyz").starts_with("HTTP/1.1 200"));
    let facts = daemon.facts("Pod");
    assert!(facts["objects"].as_u64().unwrap() >= 1 && facts["synced"] == true, "{facts}");
    assert!(facts["state"] == "watching" && facts["why"].is_null() && facts["heard_seconds"].is_u64(), "{facts}");
    let metrics = daemon.get("/metrics");
    for line in [r#"facts_synced{kind="Pod"} 1"#, r#"facts_received_bytes_total{kind="Pod"} "#] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let (_, text) = daemon.status("text");
    assert!(text.lines().any(|line| line.starts_with("facts    Pod: ") && line.contains(", watching")), "{text}");
    let log = daemon.stop();
    assert!(log.contains("stopped: "), "{log}");
    server.etcd().delete(&of_test).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_may_not_see_is_not_waited_for_and_makes_it_degraded() {
    let server = shared().await;
    let nobody = ServiceAccount::new("default", "default");
    let account = serde_json::json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default", "namespace": "default" },
    });
    server.admin().apply(&account).await.unwrap();
    let mut daemon = by_kubeconfig(server, &nobody).await;
    daemon.wait_for("add to a role: {apiGroups: [\"\"], resources: [pods], verbs: [list, watch]}");
    daemon.wait_for("INFO ready");
    let facts = daemon.facts("Pod");
    assert!(facts["state"] == "forbidden" && facts["synced"] == false, "{facts}");
    assert!(facts["why"].as_str().unwrap().contains("resources: [pods]"), "{facts}");
    assert_eq!(daemon.status("text").0, Some(1), "degraded");
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_api_server_is_down_facts_are_kept_and_their_age_is_told() {
    let mut server = started(Options::default()).await;
    server.etcd().put(&pod("down", "web-0", "10.7.1.1")).await.unwrap();
    let mut daemon = by_kubeconfig(&server, &account()).await;
    daemon.wait_for("INFO ready");
    assert_eq!(daemon.facts("Pod")["objects"], 1);

    server.kill();
    daemon.wait_for("Pod: failing, what is known gets older: ");
    let facts = daemon.facts("Pod");
    assert!(facts["state"] == "failing" && facts["objects"] == 1 && facts["synced"] == true, "{facts}");
    assert!(facts["heard_seconds"].is_u64() && facts["why"].as_str().unwrap().contains("gets older"), "{facts}");
    let (status, text) = daemon.status("text");
    assert!(status == Some(1) && text.lines().any(|line| line.contains("Pod: ") && line.contains("failing")), "{text}");
    assert!(daemon.get("/readyz").starts_with("HTTP/1.1 200"), "old facts are facts");
    let age = |daemon: &Daemon| daemon.facts("Pod")["heard_seconds"].as_u64().unwrap();
    let before = age(&daemon);
    until("it gets older", || age(&daemon) > before).await;

    server.restart().await.unwrap();
    server.etcd().put(&pod("down", "web-1", "10.7.1.2")).await.unwrap();
    until("it goes on", || daemon.facts("Pod")["objects"] == 2).await;
    assert_eq!(daemon.facts("Pod")["state"], "watching");
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_answer_keeps_nobody_from_reading_the_ring() {
    let server = shared().await;
    // The kernel accepts for it; nobody ever says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
    command.args(["run", "--kube", "--scope", "all"]).env("KUBECONFIG", kubeconfig_of(server, &account(), &url).await);
    let mut daemon = Daemon::start(tempfile::tempdir().unwrap(), command);
    daemon.wait_for("tracing on n1");
    let decoded = |daemon: &Daemon| {
        let status: Value = serde_json::from_str(&daemon.status("json").1).unwrap();
        // There are none before the first sample.
        let mut events = status["events"].as_array().unwrap().iter();
        events.find(|events| events["kind"] == "connect").map_or(0, |connects| connects["decoded"].as_u64().unwrap())
    };
    drop(TcpStream::connect(silent.local_addr().unwrap()).unwrap());
    until("the call is read", || decoded(&daemon) > 0).await;
    let ready = daemon.get("/readyz");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("the facts"), "{ready}");
    assert!(daemon.get("/livez").starts_with("HTTP/1.1 200"));
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inside_a_pod_it_asks_with_the_pods_own_account() {
    let server = shared().await;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("token"), account().token(server).await.unwrap()).unwrap();
    fs::write(dir.path().join("namespace"), "mesh-tracer").unwrap();
    fs::copy(server.ca(), dir.path().join("ca.crt")).unwrap();
    // As a kubelet shows it to a pod, in a mount namespace that goes with the daemon.
    let script = r#"mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io && ln -s "$0" /run/secrets/kubernetes.io/serviceaccount && exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(dir.path()).args([env!("CARGO_BIN_EXE_mesh-tracer"), "run"]);
    let (host, port) = server
        .url()
        .strip_prefix("https://")
        .unwrap()
        .split_once(':')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    command.env("KUBERNETES_SERVICE_HOST", host).env("KUBERNETES_SERVICE_PORT", port).env_remove("KUBECONFIG");
    assert!(Path::new("/var/run").canonicalize().unwrap() == Path::new("/run"));
    let mut daemon = Daemon::start(dir, command);
    daemon.wait_for("INFO ready");
    assert_eq!(daemon.facts("Pod")["state"], "watching");
    daemon.stop();
}

#[test]
fn facts_are_told_by_one_or_by_the_other() {
    let run = |args: &[&str], pod: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
        command.arg("run").args(args).env_remove("KUBERNETES_SERVICE_HOST").env("KUBECONFIG", "/nonexistent/config");
        if pod {
            command.env("KUBERNETES_SERVICE_HOST", "10.96.0.1").env_remove("KUBECONFIG");
        }
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (args, pod, words) in [
        (&["--kube", "--facts", "x.yaml"][..], false, "--facts and --kube are given together"),
        (&[][..], false, "ask the cluster with --kube"),
        (&["--facts", "x.yaml", "--pods", "node"][..], false, "--pods node is given without --kube"),
        (&["--kube"][..], false, "cannot read kubeconfig /nonexistent/config"),
        (&["--kube=other"][..], false, "/nonexistent/config"),
        (&[][..], true, "this is no pod of a cluster"),
    ] {
        let (status, said) = run(&[args, &["--socket", "/nonexistent-dir-of-tests/x.sock"]].concat(), pod);
        // Where the socket cannot be is found before the cluster is asked; what cannot be meant is found before that.
        assert!(said.contains(words) || said.contains("nonexistent-dir-of-tests"), "{args:?}: {said}");
        assert!(matches!(status, Some(2 | 3)), "{args:?}: {status:?}");
    }
}
