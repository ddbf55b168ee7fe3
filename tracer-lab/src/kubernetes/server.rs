//! etcd and kube-apiserver as processes: two, so that one can die without the other.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PublicKeyData};
use rustix::process::Signal;
use serde_json::Value;

use super::api::Api;
use super::assets::Programs;
use super::etcd::Etcd;
use super::folder::Folder;
use super::process::{Process, tied, until};

/// The administrator's token.
const ADMIN: &str = "admin-token";

/// What a server is started with beside the usual.
#[derive(Clone, Default, Debug)]
pub struct Options {
    /// More flags for kube-apiserver.
    pub flags: Vec<String>,
}

/// A Kubernetes API that dies with whoever made it.
pub struct ApiServer {
    programs: Programs,
    options: Options,
    port: u16,
    etcd: Process,
    serving: Option<Process>,
    /// Dropped last: the processes write in it.
    folder: Folder,
}

impl ApiServer {
    /// Starts it and waits until it serves.
    pub async fn start(options: Options) -> Result<Self> {
        let programs = Programs::locate()?;
        let folder = Folder::create()?;
        write_settings(folder.path())?;
        let mut etcd = start_etcd(&programs, folder.path())?;
        let socket = etcd_socket(folder.path());
        etcd.wait_until(async || UnixStream::connect(&socket).is_ok()).await?;
        let mut server = Self { programs, options, port: free_port()?, etcd, serving: None, folder };
        server.restart().await?;
        Ok(server)
    }

    /// SIGKILL: nothing is said to anybody. etcd goes on.
    pub fn kill(&mut self) {
        self.serving = None;
    }

    /// Starts it again over the same data, at the same address, and waits until it serves.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill();
        let mut process = self.start_api_server()?;
        let api = self.admin();
        process.wait_until(async || api.get("/readyz").await.is_ok_and(|answer| answer.status == 200)).await?;
        self.serving = Some(process);
        Ok(())
    }

    /// SIGSTOP and SIGCONT: it takes connections and answers none.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let process = self.serving.as_ref().context("no kube-apiserver runs")?;
        process.signal(if frozen { Signal::STOP } else { Signal::CONT })
    }

    /// Adds CustomResourceDefinitions and waits until each of their versions is served.
    pub async fn install(&self, definitions: Vec<Value>) -> Result<()> {
        for definition in &definitions {
            self.admin().apply(definition).await?;
        }
        for definition in &definitions {
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (group, plural) = (word(&definition["spec"]["group"]), word(&definition["spec"]["names"]["plural"]));
            let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
            for version in versions.filter(|version| version["served"] == true) {
                let path = format!("/apis/{group}/{}/{plural}?limit=1", word(&version["name"]));
                until(&path, async || Ok(self.admin().get(&path).await?.status == 200)).await?;
            }
        }
        Ok(())
    }

    /// Waits until a token that was made void is refused: the server remembers for ten seconds whom it let in.
    pub async fn refuses(&self, token: &str) -> Result<()> {
        let api = self.api_with(token);
        until("the token is void", async || Ok(api.get("/api").await?.status == 401)).await
    }

    /// Waits until it has heard from etcd of everything that is there: after many changes at once it lags behind, and
    /// whoever asks for a list as of now is turned away with `504 Too large resource version`.
    pub async fn catch_up(&self) -> Result<()> {
        let admin = self.admin();
        for path in ["/api/v1/pods", "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices"] {
            let newest = admin.get(&format!("{path}?limit=1")).await?.object()?;
            let version = newest["metadata"]["resourceVersion"].as_str();
            let version = version.with_context(|| format!("{path}: a list without a resourceVersion"))?;
            // A list with a limit would be etcd's own answer.
            let nothing = format!(
                "{path}?labelSelector=nothing=at-all&resourceVersion={version}&resourceVersionMatch=NotOlderThan"
            );
            until(&nothing, async || Ok(admin.get(&nothing).await?.status == 200)).await?;
        }
        Ok(())
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address())
    }

    /// The certificate that verifies it, as PEM.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("certificates/apiserver.crt")
    }

    /// A folder that goes with the server.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What its clients did, one JSON object a line (`audit.k8s.io/v1 Event`, level Metadata).
    pub fn audit_log(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    /// As its administrator.
    pub fn admin(&self) -> Api {
        self.api_with(ADMIN)
    }

    /// As whoever has this token.
    pub fn api_with(&self, token: &str) -> Api {
        Api::new(self.address(), self.ca(), token)
    }

    pub fn etcd(&self) -> Etcd {
        Etcd::new(etcd_socket(self.folder.path()))
    }

    /// Process ids of etcd and, where it runs, kube-apiserver.
    pub fn pids(&self) -> Vec<u32> {
        [Some(&self.etcd), self.serving.as_ref()].into_iter().flatten().map(Process::id).collect()
    }

    fn start_api_server(&self) -> Result<Process> {
        let folder = self.folder.path();
        let of = |file: &str| folder.join(file).display().to_string();
        let mut command = tied(&self.programs.api_server);
        command.args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"]);
        command.arg(format!("--secure-port={}", self.port));
        command.arg(format!("--cert-dir={}", of("certificates")));
        command.arg(format!("--etcd-servers=unix://{}", etcd_socket(folder).display()));
        command.arg(format!("--token-auth-file={}", of("tokens.csv"))).arg("--authorization-mode=RBAC");
        command.arg("--service-account-issuer=https://kubernetes.default.svc");
        command.arg(format!("--service-account-key-file={}", of("service-account.pub")));
        command.arg(format!("--service-account-signing-key-file={}", of("service-account.key")));
        command.args(["--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none"]);
        // Pods whose ServiceAccount nobody makes are let in.
        command.args(["--disable-admission-plugins=ServiceAccount", "--enable-priority-and-fairness=false"]);
        command.arg(format!("--audit-policy-file={}", of("audit.yaml")));
        command.arg(format!("--audit-log-path={}", of("audit.log"))).args(&self.options.flags);
        Process::start(command, folder, "kube-apiserver")
    }
}

fn start_etcd(programs: &Programs, folder: &Path) -> Result<Process> {
    let mut command = tied(&programs.etcd);
    command.args(etcd_flags(folder));
    Process::start(command, folder, "etcd")
}

/// etcd as a single member on sockets in `folder`.
pub(crate) fn etcd_flags(folder: &Path) -> Vec<String> {
    let socket = |name: &str| format!("unix://{}", folder.join(name).display());
    // What is lost with the machine is lost with the test anyway.
    let fixed = [
        "--advertise-client-urls=http://127.0.0.1:0",
        "--unsafe-no-fsync",
        "--quota-backend-bytes=8589934592",
        "--log-level=error",
        "--heartbeat-interval=20",
        "--election-timeout=200",
    ];
    let mut flags = fixed.map(str::to_owned).to_vec();
    flags.push(format!("--data-dir={}", folder.join("etcd").display()));
    flags.push(format!("--listen-client-urls={}", socket("etcd.sock")));
    flags.push(format!("--listen-peer-urls={}", socket("peer.sock")));
    flags
}

fn etcd_socket(folder: &Path) -> PathBuf {
    folder.join("etcd.sock")
}

fn write_settings(folder: &Path) -> Result<()> {
    let [private, public] = service_account_keys()?;
    let files = [
        ("service-account.key", private),
        ("service-account.pub", public),
        ("tokens.csv", format!("{ADMIN},admin,admin,\"system:masters\"\n")),
        ("audit.yaml", AUDIT.to_owned()),
    ];
    for (file, text) in files {
        fs::write(folder.join(file), text).with_context(|| format!("cannot write {file}"))?;
    }
    Ok(())
}

/// What ServiceAccounts ask for; the administrator and the server itself are of no interest.
const AUDIT: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [ResponseStarted, ResponseComplete, Panic]
rules:
- level: Metadata
  userGroups: [system:serviceaccounts]
- level: None
";

/// What ServiceAccounts' tokens are signed with, and verified with.
pub(crate) fn service_account_keys() -> Result<[String; 2]> {
    let key = KeyPair::generate().context("cannot make a key")?;
    Ok([key.serialize_pem(), pem("PUBLIC KEY", &key.subject_public_key_info())])
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// kube-apiserver takes no port 0.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr().context("a bound socket has an address")?.port())
}
