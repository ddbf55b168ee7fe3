//! The table of hooks, and the one loop that attaches them.

mod attach;
mod hooks;
mod sweep;

use std::fs::File;

use aya::maps::{Map, PerCpuArray, RingBuf};
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use aya_log::EbpfLogger;
use tracer_common::NO_PLACES;

use super::drops::DropMaps;
use super::offsets::{Layout, Wanted};
use super::ring::Maps;
use super::scope::Scope;
use super::{HookState, HookStatus, KernelConfig, KernelError, capability, cgroup2};
use hooks::{HOOKS, Point};
pub(super) use sweep::Sweep;

/// The kernel side, as build.rs made it.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer-ebpf.o"));

/// The maps of live sockets: those that have a place of their own, and the others.
const LIVE: [&str; 2] = ["LIVE", "CROWDED_OUT"];

pub(super) struct Probes {
    /// `None` once detached.
    object: Option<Ebpf>,
    hooks: Vec<HookStatus>,
}

/// What loading leaves beside the probes.
pub(super) struct Loaded {
    pub probes: Probes,
    pub maps: Maps,
    pub drops: DropMaps,
    pub scope: Scope,
    /// Reads as the sockets that are open, where the iterator could be attached.
    pub open_sockets: Option<File>,
    /// Runs over the live sockets, where it could be attached.
    pub gone_sockets: Option<Sweep>,
}

/// The running kernel's layout, as far as the probes need it.
pub(super) fn layout() -> Result<Layout, KernelError> {
    let name = |point: fn(Point) -> Option<&'static str>| -> Vec<&'static str> {
        HOOKS.iter().filter_map(|hook| point(hook.point)).collect()
    };
    let tracepoints = name(|point| if let Point::Tracepoint(name) = point { Some(name) } else { None });
    let iterators =
        name(|point| if let Point::Iterator(name) | Point::Sweep(name) = point { Some(name) } else { None });
    Layout::of_this_kernel(&Wanted { tracepoints: &tracepoints, iterators: &iterators })
}

impl Probes {
    pub(super) fn load(config: &KernelConfig, layout: &Layout) -> Result<Loaded, KernelError> {
        if !config.ring_bytes.is_power_of_two() || !(4096..=1 << 30).contains(&config.ring_bytes) {
            return Err(KernelError::RingSize(config.ring_bytes));
        }
        let mut loader = EbpfLoader::new();
        // The object has no CO-RE relocations (offsets are globals), so the kernel's BTF need not stay.
        loader.btf(None);
        let sockets = config.max_sockets.max(1);
        // A place is the low bits of a cookie.
        let places = if config.array { sockets.next_power_of_two() } else { 1 };
        let mask = if config.array { places - 1 } else { NO_PLACES };
        loader.map_max_entries("EVENTS", config.ring_bytes);
        loader.map_max_entries(LIVE[0], places).map_max_entries(LIVE[1], sockets);
        loader.override_global("LIVE_MASK", &mask, true);
        let idle = u32::from(config.idle);
        loader.override_global("IDLE", &idle, true);
        let harmless = layout.reasons.harmless();
        loader.override_global("HARMLESS_REASONS", &harmless, true);
        for (name, offset) in &layout.offsets {
            loader.override_global(name, offset, true);
        }
        let mut object = loader.load(OBJECT).map_err(|error| refused(&error))?;
        drop(loader);
        let maps = maps(&mut object)?;
        let drops = drop_maps(&mut object)?;
        // Before anything is attached: what is out of scope is never told.
        let scope = Scope::open(take(&mut object, "SCOPE")?, &config.scope)
            .map_err(|error| KernelError::failed("tell the probes whom to trace")(error.to_string()))?;

        let cgroup = if !config.first_bytes {
            Err(HookState::Off)
        } else if capability::may_attach_to_cgroups() {
            cgroup2::open(config.cgroup2.as_deref()).map_err(|why| HookState::Absent { why })
        } else {
            Err(HookState::Absent { why: "capability NET_ADMIN is missing: grant it".to_owned() })
        };
        let mut hooks = Vec::with_capacity(HOOKS.len());
        let (mut open_sockets, mut gone_sockets) = (None, None);
        for hook in &HOOKS {
            let state = match (hook.point, &cgroup) {
                (Point::Tracepoint(name), _) => match layout.lacks(name) {
                    Some(why) => HookState::Absent { why: why.to_owned() },
                    None => attach::tracepoint(&mut object, hook, name, &layout.hooks)?,
                },
                (Point::Iterator(name), _) => {
                    let (state, file) = attach::iterator(&mut object, hook, name, &layout.hooks)?;
                    open_sockets = file;
                    state
                }
                (Point::Sweep(name), _) => {
                    let (state, sweep) = attach::sweep(&mut object, hook, name, &layout.hooks, LIVE)?;
                    gone_sockets = sweep;
                    state
                }
                (Point::Cgroup(direction), Ok(cgroup)) => attach::cgroup(&mut object, hook, cgroup, direction)?,
                (Point::Cgroup(_), Err(state)) => state.clone(),
            };
            hooks.push(hook.status(state)?);
        }
        Ok(Loaded { probes: Self { object: Some(object), hooks }, maps, drops, scope, open_sockets, gone_sockets })
    }

    pub(super) fn see_resets(&self) -> bool {
        self.is_attached(hooks::SEES_RESETS)
    }

    fn is_attached(&self, name: &str) -> bool {
        self.hooks.iter().any(|hook| hook.name == name && hook.state == HookState::Attached)
    }

    pub(super) fn hooks(&self) -> &[HookStatus] {
        &self.hooks
    }

    /// Reads how many runs the kernel skipped and nothing makes up for, into the hooks; the sum of those that may have been
    /// events of sockets.
    pub(super) fn count_runs(&mut self) -> u64 {
        let made_up_for = hooks::MAKE_UP_FOR_STATES.iter().all(|name| self.is_attached(name));
        if let Some(object) = &self.object {
            for (hook, status) in HOOKS.iter().zip(&mut self.hooks) {
                if let Some(attach::Runs { skipped, time }) = object.program(hook.program).and_then(attach::runs) {
                    status.run_time = time;
                    status.missed = match hook.program {
                        hooks::STATES if made_up_for => 0,
                        _ => skipped,
                    };
                }
            }
        }
        let of_sockets = self.hooks.iter().filter(|hook| hook.name != hooks::DROPS);
        of_sockets.map(|hook| hook.missed).sum()
    }

    pub(super) fn detach(&mut self) {
        self.count_runs();
        self.object = None;
    }
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probes").field("hooks", &self.hooks).finish_non_exhaustive()
    }
}

fn maps(object: &mut Ebpf) -> Result<Maps, KernelError> {
    let events: RingBuf<_> = take(object, "EVENTS")?;
    let counters: PerCpuArray<_, u64> = take(object, "COUNTERS")?;
    let logger = EbpfLogger::init(object)
        .inspect_err(|error| tracing::warn!(%error, "diagnostics of the kernel side are off"))
        .ok();
    Ok(Maps { events, counters, logger })
}

fn drop_maps(object: &mut Ebpf) -> Result<DropMaps, KernelError> {
    Ok(DropMaps { pairs: take(object, "DROPS")?, reasons: take(object, "REASONS")? })
}

fn take<M: TryFrom<Map>>(object: &mut Ebpf, name: &str) -> Result<M, KernelError>
where
    M::Error: std::fmt::Display,
{
    let failed = KernelError::failed("open the probes' maps");
    let map = object.take_map(name).ok_or_else(|| failed(format!("the object has no map {name}")))?;
    M::try_from(map).map_err(|error| failed(format!("{name}: {error}")))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn has(section: &str) -> bool {
        OBJECT.windows(section.len()).any(|bytes| bytes == section.as_bytes())
    }

    /// Their context's arrays cannot be indexed by a variable: `struct sock` is read instead, by BTF tracepoints.
    #[test]
    fn trap_10_no_program_is_on_a_classic_tracepoint() {
        assert!(has("\0tp_btf/inet_sock_set_state\0"), "this looks at the object's section names");
        for classic in ["\0tracepoint/", "\0tp/", "\0raw_tp/", "\0kprobe/", "\0fentry/"] {
            assert!(!has(classic), "{classic}");
        }
    }
}
