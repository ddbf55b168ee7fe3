//! The table of hooks, and the one loop that attaches them.

mod attach;
mod hooks;

use aya::maps::{PerCpuArray, RingBuf};
use aya::{Btf, Ebpf, EbpfLoader, include_bytes_aligned};
use aya_log::EbpfLogger;

use super::ring::Maps;
use super::{HookState, HookStatus, KernelConfig, KernelError, capability, cgroup2};
use hooks::{HOOKS, Point};

/// The kernel side, as build.rs made it.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer-ebpf.o"));

pub(super) struct Probes {
    /// `None` once detached.
    object: Option<Ebpf>,
    hooks: Vec<HookStatus>,
}

/// Tracepoints whose type numbers loading needs.
pub(super) fn tracepoints() -> Vec<&'static str> {
    let name = |hook: &hooks::Hook| match hook.point {
        Point::Tracepoint(name) => Some(name),
        Point::Cgroup(_) => None,
    };
    HOOKS.iter().filter_map(name).collect()
}

impl Probes {
    pub(super) fn load(
        config: &KernelConfig,
        offsets: &[(&'static str, u32)],
        tracepoints: &Btf,
    ) -> Result<(Self, Maps), KernelError> {
        if !config.ring_bytes.is_power_of_two() || !(4096..=1 << 30).contains(&config.ring_bytes) {
            return Err(KernelError::RingSize(config.ring_bytes));
        }
        let mut loader = EbpfLoader::new();
        // The object has no CO-RE relocations (offsets are globals), so the kernel's BTF need not stay.
        loader.btf(None);
        loader.map_max_entries("EVENTS", config.ring_bytes).map_max_entries("LIVE", config.max_sockets.max(1));
        for (name, offset) in offsets {
            loader.override_global(name, offset, true);
        }
        let mut object = loader.load(OBJECT).map_err(|error| refused(&error))?;
        drop(loader);
        let maps = maps(&mut object)?;

        let cgroup = if !config.first_bytes {
            Err(HookState::Off)
        } else if capability::may_attach_to_cgroups() {
            cgroup2::open(config.cgroup2.as_deref()).map_err(|why| HookState::Absent { why })
        } else {
            Err(HookState::Absent { why: "capability NET_ADMIN is missing: grant it".to_owned() })
        };
        let mut hooks = Vec::with_capacity(HOOKS.len());
        for hook in &HOOKS {
            let state = match (hook.point, &cgroup) {
                (Point::Tracepoint(name), _) => attach::tracepoint(&mut object, hook, name, tracepoints)?,
                (Point::Cgroup(direction), Ok(cgroup)) => attach::cgroup(&mut object, hook, cgroup, direction)?,
                (Point::Cgroup(_), Err(state)) => state.clone(),
            };
            hooks.push(hook.status(state)?);
        }
        Ok((Self { object: Some(object), hooks }, maps))
    }

    pub(super) fn hooks(&self) -> &[HookStatus] {
        &self.hooks
    }

    /// Reads how many runs the kernel skipped and nothing made up for, into the hooks; their sum. `nested`: how many of
    /// the first program's the second one did.
    pub(super) fn count_missed(&mut self, nested: u64) -> u64 {
        if let Some(object) = &self.object {
            for (hook, status) in HOOKS.iter().zip(&mut self.hooks) {
                if let Some(skipped) = object.program(hook.program).and_then(attach::skipped) {
                    status.missed = match hook.program {
                        hooks::FIRST_OF_TWO => skipped.saturating_sub(nested),
                        hooks::SECOND_OF_TWO => 0,
                        _ => skipped,
                    };
                }
            }
        }
        self.hooks.iter().map(|hook| hook.missed).sum()
    }

    pub(super) fn detach(&mut self, nested: u64) {
        self.count_missed(nested);
        self.object = None;
    }
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probes").field("hooks", &self.hooks).finish_non_exhaustive()
    }
}

fn maps(object: &mut Ebpf) -> Result<Maps, KernelError> {
    let failed = KernelError::failed("open the probes' maps");
    let mut take = |name: &str| object.take_map(name).ok_or_else(|| failed(format!("the object has no map {name}")));
    let events = RingBuf::try_from(take("EVENTS")?).map_err(|error| failed(error.to_string()))?;
    let counters = PerCpuArray::try_from(take("COUNTERS")?).map_err(|error| failed(error.to_string()))?;
    let logger = EbpfLogger::init(object)
        .inspect_err(|error| tracing::warn!(%error, "diagnostics of the kernel side are off"))
        .ok();
    Ok(Maps { events, counters, logger })
}

fn refused(error: &aya::EbpfError) -> KernelError {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = source {
        let os = cause.downcast_ref::<std::io::Error>();
        if os.and_then(std::io::Error::raw_os_error) == Some(libc::EPERM) {
            return KernelError::NotPermitted(cause.to_string());
        }
        source = cause.source();
    }
    KernelError::Failed { what: "create the probes' maps", why: error.to_string() }
}
