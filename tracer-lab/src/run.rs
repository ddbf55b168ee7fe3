//! One run: the name that everything it makes bears, the folder of its files, and the end of it all.

pub(crate) mod live;
pub(crate) mod sweep;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};

use crate::recipe::pod_name::PodName;
use crate::{cgroup, keeper};

/// Where runs keep their files: sockets, certificates, configurations, logs.
const FOLDER: &str = "/run/tracer-lab";

/// Held for as long as the run lives: the kernel lets go of it however the owner ends.
const LOCK: &str = "lock";

pub(crate) struct Run {
    name: String,
    folder: PathBuf,
    cgroup: PathBuf,
    state: Mutex<State>,
    _lock: File,
}

/// A process of this run, reaped by it.
pub(crate) type Process = Arc<Mutex<Child>>;

#[derive(Default)]
struct State {
    over: bool,
    processes: Vec<Process>,
}

impl Run {
    pub(crate) fn begin() -> Result<Arc<Run>> {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let cgroups = cgroup::mount()?;
        let _gate = gate()?;
        let name = format!("mt{:x}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(FOLDER).join(&name);
        fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join(LOCK);
        let lock = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .with_context(|| format!("cannot lock {}", path.display()))?;
        let cgroup = cgroups.join(&name);
        Ok(Arc::new(Run { name, folder, cgroup, state: Mutex::default(), _lock: lock }))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn node_netns(&self) -> String {
        self.netns("node")
    }

    /// The network namespace of such a part of it.
    pub(crate) fn netns(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }

    pub(crate) fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    pub(crate) fn pod_netns(&self, pod: &PodName) -> String {
        self.netns(&pod.dotted())
    }

    /// The node's end of a pod's veth pair. A link's name has 15 characters at most.
    pub(crate) fn link(&self, pod: usize) -> String {
        format!("{}v{pod}", self.name)
    }

    /// Laid out as the kubelet lays out pods, so that a pod can be told from its cgroup.
    pub(crate) fn pod_cgroup(&self, uid: &str) -> PathBuf {
        self.cgroup.join("kubepods").join(format!("pod{uid}"))
    }

    /// Makes something that the sweep removes; refused once the sweep has begun.
    pub(crate) fn make<T>(&self, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let _state = self.state()?;
        make()
    }

    pub(crate) fn spawn(&self, command: Command) -> Result<Process> {
        let mut state = self.state()?;
        let program = command.get_program().to_string_lossy().into_owned();
        let child = keeper::spawn(command).with_context(|| format!("cannot start {program}"))?;
        let process = Arc::new(Mutex::new(child));
        state.processes.push(Arc::clone(&process));
        Ok(process)
    }

    /// Ends every process and removes everything that bears the run's name. The second time it does nothing.
    fn end(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.over {
            return Ok(());
        }
        state.over = true;
        // Killed one by one first: a process on its way into its cgroup is not there yet.
        for process in &state.processes {
            let mut child = process.lock().unwrap_or_else(PoisonError::into_inner);
            // Both fail only for a child that has been reaped.
            let _reaped = child.kill();
            let _reaped = child.wait();
        }
        sweep::sweep(&self.name)?;
        Ok(())
    }

    pub(crate) fn end_or_warn(&self) {
        if let Err(error) = self.end() {
            eprintln!("warning: run {} left something behind; `tracer-lab clean` removes it: {error:#}", self.name);
        }
    }

    fn state(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.over {
            bail!("run {} has ended", self.name);
        }
        Ok(state)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.end_or_warn();
    }
}

/// Keeps a sweep of the dead from meeting a run that is being born.
fn gate() -> Result<File> {
    fs::create_dir_all(FOLDER).with_context(|| format!("cannot create {FOLDER}"))?;
    let folder = File::open(FOLDER).with_context(|| format!("cannot open {FOLDER}"))?;
    flock(&folder, FlockOperation::LockExclusive).with_context(|| format!("cannot lock {FOLDER}"))?;
    Ok(folder)
}
