//! Loading and attaching one program, and the kernel's words when it refuses.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use aya::maps::Map;
use aya::programs::iter::Iter;
use aya::programs::{BtfTracePoint, CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, Program, ProgramError};
use aya::{Btf, Ebpf};

use super::hooks::Hook;
use super::sweep::Sweep;
use super::{HookState, KernelError};

/// Lines of the verifier's log that are shown: its verdict stands at the end.
const VERIFIER_LINES: usize = 3;

pub(super) fn tracepoint(
    object: &mut Ebpf,
    hook: &Hook,
    name: &str,
    tracepoints: &Btf,
) -> Result<HookState, KernelError> {
    let program: &mut BtfTracePoint = program(object, hook)?;
    state(program.load(name, tracepoints).and_then(|()| program.attach()))
}

pub(super) fn cgroup(
    object: &mut Ebpf,
    hook: &Hook,
    cgroup: &File,
    direction: CgroupSkbAttachType,
) -> Result<HookState, KernelError> {
    let program: &mut CgroupSkb = program(object, hook)?;
    // Links share a cgroup with whoever else is attached there, and take no flag to say so (EINVAL).
    state(program.load().and_then(|()| program.attach(cgroup, direction, CgroupAttachMode::Single)))
}

/// The file reads as what the iterator writes, from the start, once.
pub(super) fn iterator(
    object: &mut Ebpf,
    hook: &Hook,
    name: &str,
    functions: &Btf,
) -> Result<(HookState, Option<File>), KernelError> {
    let program: &mut Iter = program(object, hook)?;
    let attached = program.load(name, functions).and_then(|()| program.attach());
    let link = match attached.and_then(|link| program.take_link(link)) {
        Ok(link) => link,
        Err(error) => return Ok((state::<()>(Err(error))?, None)),
    };
    Ok(match link.into_file() {
        Ok(file) => (HookState::Attached, Some(file)),
        Err(error) => (HookState::Absent { why: error.to_string() }, None),
    })
}

/// As `iterator`, of a map's elements, and to be read as often as one likes.
pub(super) fn sweep(
    object: &mut Ebpf,
    hook: &Hook,
    name: &str,
    functions: &Btf,
    maps: [&str; 2],
) -> Result<(HookState, Option<Sweep>), KernelError> {
    let [first, second] = maps.map(|map| descriptor(object, map));
    let maps = [first?, second?];
    let program: &mut Iter = program(object, hook)?;
    if let Err(error) = program.load(name, functions) {
        return Ok((state::<()>(Err(error))?, None));
    }
    Ok(match program.fd().map_err(io::Error::other).and_then(|program| Sweep::attach(program.as_fd(), &maps)) {
        Ok(sweep) => (HookState::Attached, Some(sweep)),
        Err(error) => (HookState::Absent { why: error.to_string() }, None),
    })
}

fn descriptor(object: &Ebpf, map: &str) -> Result<OwnedFd, KernelError> {
    let failed = KernelError::failed("open the probes' maps");
    match object.map(map) {
        Some(Map::Array(map) | Map::HashMap(map)) => {
            map.fd().as_fd().try_clone_to_owned().map_err(|error| failed(error.to_string()))
        }
        _ => Err(failed(format!("there is no {map}"))),
    }
}

/// What the kernel counted of one program.
#[derive(Clone, Copy, Default)]
pub(super) struct Runs {
    /// Runs that it skipped, because they would have interrupted the program on its own cpu.
    pub skipped: u64,
    /// Time spent; counted only while kernel.bpf_stats_enabled is 1.
    pub time: Duration,
}

pub(super) fn runs(program: &Program) -> Option<Runs> {
    let fd = program.fd().ok()?.as_fd().as_raw_fd();
    // A text of some 200 bytes, in one read: this is done once a second and more.
    let mut info = [0; 1024];
    let length = File::open(format!("/proc/self/fdinfo/{fd}")).and_then(|mut file| file.read(&mut info)).ok()?;
    let info = str::from_utf8(&info[..length]).ok()?;
    let number = |key: &str| info.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
    Some(Runs {
        skipped: number("recursion_misses:")?,
        time: Duration::from_nanos(number("run_time_ns:").unwrap_or_default()),
    })
}

fn program<'a, P>(object: &'a mut Ebpf, hook: &Hook) -> Result<&'a mut P, KernelError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let failed = KernelError::failed("find the probes' programs");
    let program = object.program_mut(hook.program).ok_or_else(|| failed(format!("there is no {}", hook.program)))?;
    program.try_into().map_err(|error: ProgramError| failed(format!("{}: {error}", hook.program)))
}

fn state<L>(attached: Result<L, ProgramError>) -> Result<HookState, KernelError> {
    match attached {
        Ok(_) => Ok(HookState::Attached),
        // The verifier's refusals are EACCES, EINVAL or E2BIG.
        Err(ProgramError::LoadError { io_error, .. }) if io_error.raw_os_error() == Some(libc::EPERM) => {
            Err(KernelError::NotPermitted(io_error.to_string()))
        }
        Err(ProgramError::LoadError { io_error, verifier_log }) => Ok(HookState::Absent {
            why: format!("{io_error}; the verifier says: {}", verdict(&verifier_log.to_string())),
        }),
        Err(ProgramError::Btf(_)) => Ok(HookState::Absent { why: "this kernel has no such hook".to_owned() }),
        Err(error) => {
            // aya's own message of a failed system call does not say how it failed.
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            Ok(HookState::Absent { why: format!("{error}{cause}") })
        }
    }
}

/// The last lines of the verifier's log that are words and no statistics.
fn verdict(log: &str) -> String {
    let statistics = ["processed ", "verification time", "stack depth"];
    let words: Vec<&str> = log
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !statistics.iter().any(|statistic| line.starts_with(statistic)))
        .collect();
    words[words.len().saturating_sub(VERIFIER_LINES)..].join("; ")
}

#[cfg(test)]
mod tests {
    use super::verdict;

    #[test]
    fn the_verifiers_verdict_is_its_last_words() {
        let log = "0: R1=ctx()\n1: (79) r6 = *(u64 *)(r1 +0)\n2: (61) r1 = *(u32 *)(r6 +9000)\n\
                   access beyond struct sock at off 9000 size 4\nverification time 12 usec\nstack depth 0\n\
                   processed 3 insns (limit 1000000)\n";
        assert_eq!(
            verdict(log),
            "1: (79) r6 = *(u64 *)(r1 +0); 2: (61) r1 = *(u32 *)(r6 +9000); access beyond struct sock at off 9000 size 4"
        );
    }
}
