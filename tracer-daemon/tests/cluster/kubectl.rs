//! The real kubectl, and what can be seen from the machine that the nodes are on.

use aya::programs::loaded_programs;
use rustix::process::Pid;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tracer_lab::cluster::Cluster;

pub(crate) struct Kubectl<'c>(&'c Cluster);

#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) ip: String,
}

/// Ends with whoever asked for it.
pub(crate) struct Running(Child);

impl<'c> Kubectl<'c> {
    pub(crate) fn new(cluster: &'c Cluster) -> Self {
        Self(cluster)
    }

    /// What it prints; it has to succeed.
    pub(crate) fn says(&self, args: &[&str]) -> String {
        let (done, said) = self.tried(args);
        assert!(done, "kubectl {args:?}: {said}");
        said
    }

    /// Whether it succeeds, and all that it says.
    pub(crate) fn tried(&self, args: &[&str]) -> (bool, String) {
        let output = self.0.kubectl().args(args).output().unwrap();
        let said = [&output.stdout[..], if output.status.success() { &[] } else { &output.stderr }].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }

    /// The one pod of this application that is on this node.
    pub(crate) fn pod(&self, namespace: &str, app: &str, node: u8) -> Pod {
        let label = if namespace == app { "app.kubernetes.io/name" } else { "app" };
        let pods = self.says(&[
            "get",
            "pods",
            "--namespace",
            namespace,
            "--selector",
            &format!("{label}={app}"),
            "--output=json",
        ]);
        let pods: Value = serde_json::from_str(&pods).unwrap();
        let ours = |pod: &&Value| {
            pod["spec"]["nodeName"] == format!("node{node}") && pod["metadata"]["deletionTimestamp"].is_null()
        };
        let pod = pods["items"].as_array().unwrap().iter().find(ours).unwrap_or_else(|| panic!("{app}: {pods}"));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Pod { namespace: namespace.to_owned(), name: text(&pod["metadata"]["name"]), ip: text(&pod["status"]["podIP"]) }
    }

    pub(crate) fn exec(&self, pod: &Pod, command: &[&str]) -> String {
        let args = ["exec", "--namespace", &pod.namespace, &pod.name, "--"];
        self.says(&[&args, command].concat())
    }

    /// What is not found was answered too.
    pub(crate) fn call(&self, from: &Pod, url: &str) {
        self.exec(from, &["sh", "-c", &format!("wget -q -O - {url} || true")]);
    }

    /// One after the other, until the result is dropped.
    pub(crate) fn calls(&self, from: &Pod, url: &str) -> Running {
        let script = format!("while wget -q -O - {url}; true; do :; done");
        self.follow(&["exec", "--namespace", &from.namespace, &from.name, "--", "sh", "-c", &script])
    }

    /// `kubectl mesh-tracer ...`: exit status, stdout, stderr.
    pub(crate) fn plugin(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = self.as_plugin(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// The same, for what has no end.
    pub(crate) fn following(&self, args: &[&str]) -> Running {
        Running(self.as_plugin(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// A command as a person types it into a shell at the top of the checkout.
    pub(crate) fn types(&self, line: &str) {
        let mut shell = Command::new("sh");
        shell.args(["-ec", line]).env("IMAGE", "localhost/mesh-tracer:0.1.0").current_dir(crate::here(".."));
        let output = self.beside(&mut shell).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{line}: {said}");
    }

    /// With kubectl, its plugin and mesh-tracer on the PATH, and this cluster for both.
    pub(crate) fn beside<'s>(&self, shell: &'s mut Command) -> &'s mut Command {
        let kubectl = self.as_plugin(&[]);
        for (name, value) in kubectl.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let folder = |program: &OsStr| Path::new(program).parent().unwrap().display().to_string();
        let [kubectl, ours] = [kubectl.get_program(), OsStr::new(env!("CARGO_BIN_EXE_mesh-tracer"))].map(folder);
        shell.env("PATH", format!("{kubectl}:{ours}:{}:/usr/sbin:/usr/bin:/sbin:/bin", self.plugins().display()))
    }

    /// Goes with the cluster.
    pub(crate) fn folder(&self) -> &Path {
        self.0.folder()
    }

    /// An overlay, with the image that is on the nodes.
    pub(crate) fn overlay(&self, name: &str) -> PathBuf {
        let folder = self.0.folder().join(name);
        fs::create_dir_all(&folder).unwrap();
        let up = "../".repeat(folder.canonicalize().unwrap().components().count() - 1);
        let overlays = crate::here("../manifests/overlays").canonicalize().unwrap();
        let text = format!(
            "resources: [{up}{}/{name}]\nimages: [{{name: mesh-tracer, newName: localhost/mesh-tracer, newTag: 0.1.0}}]\n",
            overlays.display().to_string().trim_start_matches('/')
        );
        fs::write(folder.join("kustomization.yaml"), text).unwrap();
        folder
    }

    fn plugins(&self) -> PathBuf {
        self.0.folder().join("plugins")
    }

    fn as_plugin(&self, args: &[&str]) -> Command {
        let plugins = self.plugins();
        fs::create_dir_all(&plugins).unwrap();
        let plugin = plugins.join("kubectl-mesh_tracer");
        if !plugin.exists() {
            symlink(env!("CARGO_BIN_EXE_mesh-tracer"), plugin).unwrap();
        }
        let mut kubectl = self.0.kubectl();
        kubectl.env("PATH", &plugins).env_remove("RUST_LOG").arg("mesh-tracer").args(args);
        kubectl
    }

    pub(crate) fn follow(&self, args: &[&str]) -> Running {
        let mut kubectl = self.0.kubectl();
        Running(kubectl.args(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Running {
    pub(crate) fn first_line(mut self) -> String {
        self.line()
    }

    /// One line, while it goes on.
    pub(crate) fn line(&mut self) -> String {
        BufReader::new(self.0.stdout.take().unwrap()).lines().next().unwrap().unwrap()
    }

    /// All that it says until it ends by itself.
    pub(crate) fn until_it_ends(mut self) -> String {
        let mut said = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Every mesh-tracer on this machine, by process id.
pub(crate) fn daemons() -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let is_ours =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "mesh-tracer");
    ids.filter(is_ours).collect()
}

/// The one of this node.
pub(crate) fn daemon_of(node: &str) -> Pid {
    let told = format!("NODE_NAME={node}\0");
    let is_its = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/environ")).is_ok_and(|all| all.contains(&told));
    let pid = daemons().into_iter().find(is_its).unwrap();
    Pid::from_raw(pid.cast_signed()).unwrap()
}

/// mesh-tracer's programs in the kernel, whoever holds them.
pub(crate) fn probes() -> Vec<String> {
    let names = loaded_programs().map(|program| program.unwrap().name_as_str().unwrap_or_default().to_owned());
    names.filter(|name| ["first_bytes", "inet_sock_set"].iter().any(|ours| name.starts_with(ours))).collect()
}

/// The commands that a page shows below a heading.
pub(crate) fn shown(page: &str, heading: &str) -> Vec<String> {
    let text = fs::read_to_string(crate::here("..").join(page)).unwrap();
    let below = text.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("{page} has no {heading}")).1;
    let section = below.split("\n## ").next().unwrap_or_default();
    let lines = section.split("```\n").skip(1).step_by(2).flat_map(str::lines);
    let is_typed =
        |line: &&str| ["cargo ", "kubectl ", "ln ", "mesh-tracer "].iter().any(|word| line.starts_with(word));
    lines.filter(is_typed).map(str::to_owned).collect()
}

/// One request, and all of the answer.
pub(crate) fn get(address: &str, path: &str) -> String {
    let mut answer = String::new();
    asked(address, path).read_to_string(&mut answer).unwrap();
    answer
}

/// One request, and an answer that has no end.
pub(crate) fn streamed(address: &str, path: &str) -> Lines<BufReader<TcpStream>> {
    BufReader::new(asked(address, path)).lines()
}

fn asked(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    // Each node's daemon is asked by a `kubectl exec` of its own, and speaks when something happens there.
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    stream
}
