//! A mesh that is up: its pods, and the calls that its applications make.

mod caller;
mod listener;
mod rise;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::clock;
use crate::identity::Authority;
use crate::inside::wire::CallResult;
use crate::interrupt::Held;
use crate::pod::Pod;
use crate::recipe::call::Call;
use crate::recipe::pod_name::PodName;
use caller::{Caller, Pending};
use listener::Listener;

#[derive(Clone, Debug)]
pub struct Options {
    /// The Envoy to run; by default the one that `cargo xtask setup` installed.
    pub envoy: Option<PathBuf>,
    /// Envoy's worker threads.
    pub concurrency: u32,
    /// The `tracer-lab` program, which runs inside the pods; by default the one beside the running program.
    pub program: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options { envoy: None, concurrency: 1, program: None }
    }
}

/// Everything goes when this is dropped: also by a panic, and by a signal that ends the process.
pub struct Mesh {
    calls: Vec<Call>,
    folder: PathBuf,
    pods: Vec<Pod>,
    listeners: Vec<Listener>,
    callers: Mutex<BTreeMap<(PodName, u32), Arc<Caller>>>,
    authority: Authority,
    tokens: AtomicU64,
    run: Held,
}

impl Mesh {
    /// Brings up the mesh of `meshes/NAME`, and returns when every application listens and every proxy is ready.
    /// Before that it removes what killed runs have left.
    pub fn up(name: &str, options: &Options) -> Result<Mesh> {
        rise::rise(name, options).with_context(|| format!("cannot bring up mesh {name}"))
    }

    /// The name that everything of this mesh bears.
    pub fn run(&self) -> &str {
        self.run.name()
    }

    /// What a cluster would answer, as a tracer's facts.
    pub fn facts(&self) -> PathBuf {
        self.folder.join("cluster.yaml")
    }

    /// The recorded calls, in the order in which they were made.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    pub fn pods(&self) -> &[Pod] {
        &self.pods
    }

    pub fn pod(&self, name: &PodName) -> Result<&Pod> {
        self.pods.iter().find(|pod| pod.name() == name).with_context(|| format!("no pod {name} in this mesh"))
    }

    /// Makes one call and waits for its end.
    pub fn call(&self, call: &Call) -> Result<CallResult> {
        let results = self.finish(vec![self.begin(call)?])?;
        results.into_iter().next().context("a call without a result")
    }

    /// Begins a call every `interval`, whether or not the earlier ones have ended; zero is all at once. Results in the
    /// order of the calls.
    pub fn call_all(&self, calls: &[Call], interval: Duration) -> Result<Vec<CallResult>> {
        // Clients are started before the first call, or the later ones would lag behind it.
        calls.iter().try_for_each(|call| self.caller(call).map(drop))?;
        let start = clock::now();
        let mut pending = Vec::with_capacity(calls.len());
        for (at, call) in calls.iter().enumerate() {
            clock::sleep_until(start + at as u64 * interval.as_nanos() as u64);
            pending.push(self.begin(call)?);
        }
        self.finish(pending)
    }

    fn begin(&self, call: &Call) -> Result<Pending> {
        let certificates = call.request.cert.as_deref().map(|identity| self.certificates(identity)).transpose()?;
        let token = self.tokens.fetch_add(1, Ordering::Relaxed);
        self.caller(call)?.begin(token, call.request.clone(), certificates)
    }

    fn finish(&self, pending: Vec<Pending>) -> Result<Vec<CallResult>> {
        let tokens: Vec<_> = pending.iter().map(|pending| pending.token).collect();
        let mut results = pending.into_iter().map(Pending::wait).collect::<Result<Vec<_>>>()?;
        for listener in &self.listeners {
            let received: BTreeSet<_> = listener.received(&tokens)?.into_iter().collect();
            let own = tokens.iter().zip(&mut results).filter(|(token, _)| received.contains(token));
            own.for_each(|(_, result)| result.receivers.push(listener.pod().clone()));
        }
        Ok(results)
    }

    /// The client of the call's pod and uid, started when it is first needed.
    fn caller(&self, call: &Call) -> Result<Arc<Caller>> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (call.from.clone(), call.request.uid);
        if let Some(caller) = callers.get(&key) {
            return Ok(Arc::clone(caller));
        }
        let caller = Arc::new(Caller::start(&self.run, self.pod(&call.from)?, call.request.uid)?);
        callers.insert(key, Arc::clone(&caller));
        Ok(caller)
    }

    /// Where the certificate of `namespace.serviceaccount` lies.
    fn certificates(&self, identity: &str) -> Result<PathBuf> {
        let (namespace, service_account) = identity
            .split_once('.')
            .with_context(|| format!("{identity:?} is no certificate: write namespace.serviceaccount"))?;
        let folder = self.run.folder().join("identities").join(identity);
        if !Path::exists(&folder.join("ca.pem")) {
            self.authority.issue(namespace, service_account, &folder)?;
        }
        Ok(folder)
    }
}
