//! A real Prometheus (2.42, Debian 12's) beside whatever it scrapes, for as long as it lives.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::clock;

/// Where `cargo xtask setup` puts it.
const BUILT: &str = "../.setup/prometheus";

/// Nanoseconds between two questions, and how many are asked.
const AGAIN: u64 = 50_000_000;
const PATIENCE: u32 = 1200;

#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    at: SocketAddr,
}

impl Prometheus {
    /// Scrapes `target` every second as `job`; `rules` is a rule file. What it knows is kept in `folder`.
    pub fn scraping(job: &str, target: SocketAddr, rules: Option<&Path>, folder: &Path) -> Result<Self> {
        let rules = rules.map(|file| format!("rule_files: ['{}']\n", file.display())).unwrap_or_default();
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n{rules}\
             scrape_configs: [{{job_name: {job}, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        fs::write(folder.join("prometheus.yml"), config).context("cannot write Prometheus' configuration")?;
        let mut child = Command::new(program("prometheus")?)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"])
            .current_dir(folder)
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start Prometheus")?;
        // It says where it listens, and then goes on talking, which somebody has to hear.
        let mut lines =
            child.stderr.take().into_iter().flat_map(|log| BufReader::new(log).lines().map_while(Result::ok));
        let mut said = String::new();
        let at = lines.by_ref().find_map(|line| {
            said = said.clone() + &line + "\n";
            let address = line.split_once("msg=\"Listening on\" address=")?.1;
            address.split(' ').next()?.parse().ok()
        });
        let at = at.with_context(|| format!("Prometheus does not say where it listens:\n{said}"))?;
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, at })
    }

    /// What it answers to a query once it has an answer: its first scrape comes after a second.
    pub fn answer(&self, query: &str) -> Result<Vec<Value>> {
        let begun = clock::now();
        for asked in 0..PATIENCE {
            clock::sleep_until(begun + u64::from(asked) * AGAIN);
            let found = self.query(query)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        bail!("Prometheus knows nothing of {query}")
    }

    /// What it answers to a query now; nothing while it is not ready.
    fn query(&self, query: &str) -> Result<Vec<Value>> {
        let encoded = query.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02x}"));
        let mut stream = TcpStream::connect(self.at).context("Prometheus does not listen any more")?;
        write!(stream, "GET /api/v1/query?query={encoded} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let answer = serde_json::from_str::<Value>(body).unwrap_or_default();
        Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `prometheus` or `promtool`, as `cargo xtask setup` brings them.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(BUILT).join(name);
    ensure!(path.is_file(), "no {}: `cargo xtask setup` brings it", path.display());
    Ok(path)
}
