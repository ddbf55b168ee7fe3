//! A pod's calling application, seen from its mesh.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};

use crate::inside::wire::{CallResult, Order, Outcome};
use crate::pod::Pod;
use crate::recipe::call::Request;
use crate::recipe::pod_name::PodName;
use crate::run::Run;

type Waiting = Arc<Mutex<HashMap<u64, SyncSender<CallResult>>>>;

pub(super) struct Caller {
    pod: PodName,
    stdin: Mutex<ChildStdin>,
    waiting: Waiting,
}

/// A call under way.
pub(super) struct Pending {
    pub(super) token: u64,
    pod: PodName,
    result: Receiver<CallResult>,
}

impl Caller {
    pub(super) fn start(run: &Run, pod: &Pod, uid: u32) -> Result<Caller> {
        let mut command = pod.own_command(uid, &pod.program);
        command.arg("pod-client").stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let process = run.spawn(command)?;
        let mut child = process.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the client of {} has no pipes", pod.name());
        };
        let waiting = Waiting::default();
        let reader = Arc::clone(&waiting);
        thread::spawn(move || deliver(stdout, &reader));
        Ok(Caller { pod: pod.name().clone(), stdin: Mutex::new(stdin), waiting })
    }

    pub(super) fn begin(&self, token: u64, request: Request, certificates: Option<PathBuf>) -> Result<Pending> {
        let (sender, result) = sync_channel(1);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(token, sender);
        let order = serde_json::to_string(&Order { token, request, certificates })?;
        let mut stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(stdin, "{order}").with_context(|| format!("the client of {} has ended", self.pod))?;
        Ok(Pending { token, pod: self.pod.clone(), result })
    }
}

impl Pending {
    pub(super) fn wait(self) -> Result<CallResult> {
        self.result.recv().map_err(|_| anyhow!("the client of {} has ended; its own words are above", self.pod))
    }
}

/// Hands out results as they come; when the client ends, those who still wait learn it by their channel's end.
fn deliver(stdout: ChildStdout, waiting: &Waiting) {
    for line in BufReader::new(stdout).lines() {
        let Ok(line) = line else { break };
        let Ok(Outcome { token, result }) = serde_json::from_str(&line) else {
            eprintln!("warning: a client says {line:?}: is the tracer-lab program as new as this one?");
            break;
        };
        let sender = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
        if let Some(sender) = sender {
            // Nobody waits for a call that its caller gave up.
            let _given_up = sender.send(result);
        }
    }
    waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
}
