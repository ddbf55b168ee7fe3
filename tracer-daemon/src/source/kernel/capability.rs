//! Which capabilities this thread has: asked before the kernel refuses, because it answers EPERM to everything
//! (trap 12).

use std::fs;

use super::KernelError;

const NET_ADMIN: (u32, &str) = (12, "NET_ADMIN");
const SYS_ADMIN: (u32, &str) = (21, "SYS_ADMIN");
const PERFMON: (u32, &str) = (38, "PERFMON");
const BPF: (u32, &str) = (39, "BPF");

/// What tracing programs need.
pub(super) fn check() -> Result<(), KernelError> {
    match [BPF, PERFMON].into_iter().find(|capability| !has(*capability)) {
        Some((_, name)) => Err(KernelError::MissingCapability(name)),
        None => Ok(()),
    }
}

/// What programs on a cgroup need beyond that.
pub(super) fn may_attach_to_cgroups() -> bool {
    has(NET_ADMIN)
}

fn has((bit, _): (u32, &str)) -> bool {
    // No /proc, no knowledge: let the kernel judge.
    let Some(effective) = fs::read_to_string("/proc/thread-self/status").ok().and_then(|status| effective(&status))
    else {
        return true;
    };
    effective >> bit & 1 == 1 || effective >> SYS_ADMIN.0 & 1 == 1
}

fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::effective;

    #[test]
    fn the_effective_set_is_read_and_no_other() {
        let status = "CapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\nCapEff:\t000000c000001000\n";
        assert_eq!(effective(status), Some(0xc0_0000_1000));
    }
}
