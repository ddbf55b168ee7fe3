//! The kernel as a source of inputs: loads the probes, reads their ring and decodes what it holds.
//!
//! Nothing outside this module knows aya, BTF or a wire byte. What leaves is `tracer_engine::socket::KernelEvent`.

mod btf;
mod capability;
mod cgroup2;
mod cgroups;
mod counts;
pub mod decode;
mod drops;
mod error;
mod jit;
mod offsets;
pub mod payload;
mod probes;
pub mod reasons;
mod ring;
mod scope;

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use crate::heap;
use ipnet::IpNet;
use tracer_engine::net::Ktime;
use tracer_engine::socket::{DropCount, KernelEvent, SocketChange};

use cgroups::Cgroups;
pub use counts::{EventCounts, EventKind, KindCount};
use decode::Decoder;
use drops::Drops;
pub use error::KernelError;
use probes::{Loaded, Probes, Sweep};
use reasons::Reasons;
use ring::Ring;
pub use scope::Scope;

/// What the probes shall do. Built once from flags and file; `Default` is what the daemon ships with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KernelConfig {
    /// Read the first payload bytes of every connection. `false` is honoured in the kernel: nothing looks at a packet.
    pub first_bytes: bool,
    /// Where cgroup2 is mounted. `None`: found in /proc/self/mountinfo.
    pub cgroup2: Option<PathBuf>,
    /// Bytes of the ring buffer: a power of two, at least a page.
    pub ring_bytes: u32,
    /// Live sockets that are followed at once, whatever their cookies are; with luck twice as many. A socket beyond that is
    /// counted as untracked.
    pub max_sockets: u32,
    /// Follow sockets in an array, which needs a kernel whose JIT has compare-and-swap; else in a hash map, which costs more.
    pub array: bool,
    /// Whose traffic is traced from the start; empty: everybody's. `Kernel::scope` changes it later.
    pub scope: Vec<IpNet>,
    /// Attach programs that do nothing: what attaching alone costs is measured by that.
    pub idle: bool,
}

/// The probes, attached. Dropping it detaches them.
#[derive(Debug)]
pub struct Kernel {
    probes: Probes,
    ring: Ring,
    cgroups: Cgroups,
    drops: Drops,
    /// Drops told and untold when they were last counted.
    dropped: u64,
    reasons: Reasons,
    scope: Option<Scope>,
    open_sockets: Option<File>,
    gone_sockets: Option<Sweep>,
    missing_fields: Vec<FieldStatus>,
}

/// One hook of the table and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HookStatus {
    /// The kernel's own name: `inet_sock_set_state`.
    pub name: &'static str,
    /// The daemon does not start without it.
    pub required: bool,
    pub state: HookState,
    /// What can no longer be told while it is not attached.
    pub without: &'static str,
    /// Runs that the kernel skipped, because they would have interrupted the program on its own cpu, and that nothing
    /// made up for: each an event that may be missing.
    pub missed: u64,
    /// Time spent in it; zero unless kernel.bpf_stats_enabled is 1.
    pub run_time: Duration,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HookState {
    Attached,
    /// Switched off by configuration.
    Off,
    /// Not possible here: why, in the kernel's own words where it had some.
    Absent {
        why: String,
    },
}

/// A field of a kernel structure that this kernel lacks: reading it is off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FieldStatus {
    pub structure: &'static str,
    pub path: &'static str,
    /// What can no longer be told.
    pub without: &'static str,
}

impl Default for KernelConfig {
    fn default() -> Self {
        Self {
            first_bytes: true,
            cgroup2: None,
            ring_bytes: 4 << 20,
            max_sockets: 65_536,
            array: jit::has_compare_and_swap(),
            scope: Vec::new(),
            idle: false,
        }
    }
}

impl Kernel {
    /// Loads and attaches the probes. Fails only where a required hook or field does; `hooks` and `missing_fields` tell
    /// of the others. Must be called within a tokio runtime.
    pub fn load(config: &KernelConfig) -> Result<Self, KernelError> {
        capability::check()?;
        let kernel = {
            let layout = probes::layout()?;
            let Loaded { probes, maps, drops, scope, open_sockets, gone_sockets } = Probes::load(config, &layout)?;
            let decoder = Decoder { reasons: layout.reasons.clone(), sees_resets: probes.see_resets() };
            Self {
                probes,
                ring: Ring::open(maps, decoder)?,
                cgroups: Cgroups::new(cgroup2::path(config.cgroup2.as_deref()).ok()),
                drops: Drops::new(drops),
                dropped: 0,
                reasons: layout.reasons,
                scope: Some(scope),
                open_sockets,
                gone_sockets,
                missing_fields: layout.missing,
            }
        };
        // Reading BTF took tens of megabytes for a moment, in pieces too small for the allocator to give back by itself
        // (trap 9).
        heap::release_free();
        Ok(kernel)
    }

    /// Every hook of the table, attached or not.
    pub fn hooks(&self) -> &[HookStatus] {
        self.probes.hooks()
    }

    pub fn missing_fields(&self) -> &[FieldStatus] {
        &self.missing_fields
    }

    /// Whom the probes trace, for whoever knows the pods. Given away once.
    pub fn scope(&mut self) -> Option<Scope> {
        self.scope.take()
    }

    /// The sockets that were open before the probes were, as far as they can be found, listeners first; once. Whatever it
    /// takes: a few milliseconds for ten thousand open files.
    pub fn open_sockets(&mut self, out: &mut Vec<KernelEvent>) -> Result<(), KernelError> {
        let Some(mut file) = self.open_sockets.take() else { return Ok(()) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|error| KernelError::failed("read the open sockets")(error.to_string()))?;
        let already = out.len();
        self.ring.take_written(EventKind::Open, &bytes, out);
        let listens = |event: &KernelEvent| matches!(event, KernelEvent::Socket(event) if event.change == SocketChange::Listening);
        out[already..].sort_by_key(|event| !listens(event));
        self.cgroups.introduce(out);
        Ok(())
    }

    /// The sockets that were missed twice, now and the last time that this was asked: they are no more, and the kernel did
    /// not tell of it (trap 20). Takes half a microsecond for each live one.
    pub fn gone_sockets(&mut self, out: &mut Vec<KernelEvent>) -> Result<(), KernelError> {
        let Some(sweep) = &self.gone_sockets else { return Ok(()) };
        let written = sweep.run().map_err(|error| KernelError::failed("look for live sockets")(error.to_string()))?;
        self.ring.take_written(EventKind::Close, &written, out);
        Ok(())
    }

    /// Why this kernel drops packets, in its own words.
    pub fn reasons(&self) -> &Reasons {
        &self.reasons
    }

    /// What the kernel dropped since this was last asked.
    pub fn drop_counts(&mut self, at: Ktime) -> Result<Vec<DropCount>, KernelError> {
        let dropped = self.ring.dropped()?;
        if dropped == self.dropped && !self.drops.unsettled() {
            return Ok(Vec::new());
        }
        self.dropped = dropped;
        let counts = self.drops.since_last(at, &self.reasons);
        counts.map_err(|error| KernelError::failed("read the probes' counts of drops")(error.to_string()))
    }

    /// Waits until there is something to read, then appends decoded events in the kernel's order, a bounded batch at a
    /// time. Cancel safe: dropping the future loses nothing.
    pub async fn read(&mut self, out: &mut Vec<KernelEvent>) -> Result<(), KernelError> {
        self.ring.read(out).await?;
        self.cgroups.introduce(out);
        Ok(())
    }

    /// Takes what is there now without waiting. After `detach`: the rest.
    pub fn drain(&mut self, out: &mut Vec<KernelEvent>) {
        self.ring.drain(out);
        self.cgroups.introduce(out);
    }

    /// What was emitted, decoded and lost until now. Costs a dozen system calls: for a scrape and a tick, not for a batch.
    pub fn counts(&mut self) -> Result<EventCounts, KernelError> {
        let missed = self.probes.count_runs();
        self.ring.counts(missed)
    }

    /// Detaches every probe. What was emitted until then stays readable by `drain`.
    pub fn detach(&mut self) {
        self.probes.detach();
        self.gone_sockets = None;
    }
}
