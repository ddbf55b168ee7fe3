//! A real Kubernetes API beside demo and bench: a `tracer-lab api-server`, which is told what to do line by line.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::processes::{Process, tied};
use crate::workspace::Workspace;

/// As the roles have it that are shipped.
const ACCOUNT: &str = "mesh-tracer/mesh-tracer";

/// Lives until it is dropped.
pub(crate) struct ApiServer {
    _process: Process,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    /// Of mesh-tracer's own account.
    pub(crate) kubeconfig: PathBuf,
}

impl ApiServer {
    /// `more`: what is in the cluster, as flags of `tracer-lab api-server`. The roles are there.
    pub(crate) fn start(workspace: &Workspace, programs: &Path, more: &[&str]) -> Result<Self> {
        let mut command = tied(&programs.join("tracer-lab"));
        command.args(["api-server", "--account", ACCOUNT]);
        command.arg("--apply").arg(workspace.root().join("manifests/base/rbac.yaml")).args(more);
        let mut process = Process::start({
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            command
        })?;
        let no_pipe = "an API server without pipes";
        let stdin = process.child.stdin.take().context(no_pipe)?;
        let stdout = BufReader::new(process.child.stdout.take().context(no_pipe)?).lines();
        let mut server = Self { _process: process, stdin, stdout, kubeconfig: PathBuf::new() };
        let said = server.answer()?;
        server.kubeconfig = said["kubeconfig"].as_str().context("the API server named no kubeconfig")?.into();
        Ok(server)
    }

    /// Does it and comes back with what became of it.
    pub(crate) fn tell(&mut self, words: &str) -> Result<Value> {
        writeln!(self.stdin, "{words}").context("the API server has ended: see what it says above")?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Value> {
        let line = self.stdout.next().context("the API server has ended: see what it says above")??;
        serde_json::from_str(&line).with_context(|| format!("the API server said what is not JSON: {line}"))
    }
}
