//! A pod's answering application, seen from its mesh.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::inside::wire::{Question, Received};
use crate::pod::Pod;
use crate::recipe::Kind;
use crate::recipe::pod_name::PodName;
use crate::run::Run;

const UID: u32 = 2001;

pub(super) struct Listener {
    pod: PodName,
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Listener {
    pub(super) fn start(run: &Run, pod: &Pod, ports: &BTreeMap<u16, Kind>) -> Result<Listener> {
        let mut command = pod.own_command(UID, &pod.program);
        command.arg("pod-server").arg("--pod").arg(pod.name().to_string());
        command.arg("--ports").arg(serde_json::to_string(ports)?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let process = run.spawn(command)?;
        let mut child = process.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the application of {} has no pipes", pod.name());
        };
        Ok(Listener { pod: pod.name().clone(), talk: Mutex::new((stdin, BufReader::new(stdout))) })
    }

    pub(super) fn wait_until_listening(&self) -> Result<()> {
        let (_, stdout) = &mut *self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        self.read(stdout).map(drop)
    }

    /// Which of these requests its application got.
    pub(super) fn received(&self, tokens: &[u64]) -> Result<Vec<u64>> {
        let (stdin, stdout) = &mut *self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        let question = serde_json::to_string(&Question { tokens: tokens.to_vec() })?;
        writeln!(stdin, "{question}").with_context(|| format!("the application of {} has ended", self.pod))?;
        Ok(self.read(stdout)?.tokens)
    }

    pub(super) fn pod(&self) -> &PodName {
        &self.pod
    }

    fn read(&self, stdout: &mut BufReader<ChildStdout>) -> Result<Received> {
        let mut line = String::new();
        stdout.read_line(&mut line).with_context(|| format!("cannot hear the application of {}", self.pod))?;
        if line.is_empty() {
            bail!("the application of {} has ended; its own words are above", self.pod);
        }
        serde_json::from_str(&line).with_context(|| format!("the application of {} says {line:?}", self.pod))
    }
}
