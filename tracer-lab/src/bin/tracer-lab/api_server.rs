//! `tracer-lab api-server`: a Kubernetes API for as long as its standard input is open. What it says and is told are lines:
//! a JSON object out for each word in.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tracer_lab::kubernetes::{ApiServer, Load, Options, Proxy, ServiceAccount, documents, istio_crds, kubeconfig};

#[derive(Args)]
pub(super) struct ApiServerArgs {
    /// Objects to begin with, as their administrator would apply them
    #[arg(long, value_name = "FILE")]
    apply: Vec<PathBuf>,
    /// Objects to begin with, written to etcd as they are
    #[arg(long, value_name = "FILE")]
    seed: Vec<PathBuf>,
    /// Whose kubeconfig is printed
    #[arg(long, value_name = "NAMESPACE/NAME")]
    account: String,
    /// So many pods, made up, behind a fifth as many Services
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pods: u32,
}

impl ApiServerArgs {
    pub(super) fn run(self) -> Result<bool> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> Result<bool> {
        let Self { apply, seed, account, pods } = self;
        let (namespace, name) = account.split_once('/').context("--account: expected NAMESPACE/NAME")?;
        let account = ServiceAccount::new(namespace, name);
        let load = large(pods);
        let mut server = ApiServer::start(Options::default()).await?;
        server.install(istio_crds()?).await?;
        for file in &apply {
            for object in read(file)? {
                if let Some(namespace) = object["metadata"]["namespace"].as_str() {
                    let namespace =
                        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
                    server.admin().apply(&namespace).await?;
                }
                server.admin().apply(&object).await?;
            }
        }
        let mut seeded = 0;
        for file in &seed {
            seeded += server.etcd().seed(read(file)?).await?;
        }
        if pods > 0 {
            seeded += server.etcd().seed(load.objects()).await?;
        }
        let proxy = Proxy::start(server.admin()).await?;
        let token = account.token(&server).await?;
        let file = |name: &str, url: &str, ca: bool| {
            let ca = ca.then(|| server.ca());
            let file = server.folder().join(name);
            let text = kubeconfig(url, ca.as_deref(), &format!("{{token: {token}}}"));
            fs::write(&file, text).with_context(|| format!("cannot write {}", file.display())).map(|()| file)
        };
        let (direct, counted) = (file("kubeconfig", &server.url(), true)?, file("counted", &proxy.url(), false)?);
        say(&json!({ "kubeconfig": direct, "counted": counted, "seeded": seeded, "pids": server.pids() }))?;
        let mut words = BufReader::new(tokio::io::stdin()).lines();
        while let Some(line) = words.next_line().await? {
            let words: Vec<&str> = line.split(' ').collect();
            let said = match *words {
                ["bytes"] => json!({ "bytes": proxy.bytes(), "requests": proxy.requests().len() }),
                ["kill"] => {
                    server.kill();
                    json!({})
                }
                ["restart"] => {
                    server.restart().await?;
                    json!({})
                }
                ["catch-up"] => {
                    server.catch_up().await?;
                    json!({})
                }
                ["churn", rate, count] => churn(&server, load, rate.parse()?, count.parse()?).await?,
                ["put", file] => json!({ "put": server.etcd().seed(read(&PathBuf::from(file))?).await? }),
                ["delete", file] => {
                    for object in read(&PathBuf::from(file))? {
                        server.etcd().delete(&object).await?;
                    }
                    json!({})
                }
                _ => bail!(
                    "{line:?}: expected bytes, kill, restart, catch-up, churn RATE COUNT, put FILE or delete FILE"
                ),
            };
            say(&said)?;
        }
        Ok(true)
    }
}

fn large(pods: u32) -> Load {
    let services = (pods / 5).max(1);
    Load { pods, services, headless: services / 4, nodes: (pods / 100).max(1), namespaces: (pods / 500).clamp(1, 200) }
}

/// So many changes of pods, at most so many a second: each gets another label, as a rollout gives it.
async fn churn(server: &ApiServer, load: Load, rate: u32, count: u32) -> Result<Value> {
    // Few enough that a slice of time is not noticed, enough that the timer is.
    let slices = 20;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / slices);
    for (slice, first) in (0..count).step_by((rate / slices).max(1) as usize).enumerate() {
        ticks.tick().await;
        let last = (first + (rate / slices).max(1)).min(count);
        let changed = (first..last).map(|number| {
            let mut pod = load.pod(number % load.pods);
            pod["metadata"]["labels"]["version"] = json!(format!("v{}", slice + 2));
            pod
        });
        server.etcd().seed(changed).await?;
    }
    Ok(json!({ "changed": count }))
}

fn read(file: &PathBuf) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    documents(&text).with_context(|| format!("{} is no YAML", file.display()))
}

fn say(line: &Value) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}
