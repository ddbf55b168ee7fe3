//! Counting what the kernel drops, exactly, and telling it one by one up to a rate.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{LruHashMap, PerCpuArray};
use tracer_common::{Drop, DropKey, Socket, counter, drop_reason, kind};

use crate::packet::Header;
use crate::ring::{self, Subject};
use crate::scope;

/// By reason and both addresses. The least recently used entry makes room for a new one; what it had counted stays in
/// `REASONS`, so that a total is exact whoever is behind it.
#[map]
static DROPS: LruHashMap<DropKey, u64> = LruHashMap::with_max_entries(8192, 0);

/// By `drop_reason::slot` alone.
#[map]
static REASONS: PerCpuArray<u64> = PerCpuArray::with_max_entries(drop_reason::SLOTS, 0);

/// What each network namespace may still tell.
#[map]
static ALLOWANCES: LruHashMap<u32, Allowance> = LruHashMap::with_max_entries(1024, 0);

#[repr(C)]
#[derive(Clone, Copy)]
struct Allowance {
    second: u64,
    told: u64,
}

/// Drops that one network namespace tells one by one in a second: enough for every flow that a person would look at.
const A_SECOND: u64 = 200;
const SECOND_NS: u64 = 1_000_000_000;

/// A segment that the kernel drops now. `cookie`: 0 where no socket is known. `owner` is asked only where it is told.
#[inline(always)]
pub fn tell(header: &Header, reason: u32, cookie: u64, owner: impl FnOnce(&mut Socket)) {
    if !scope::covers(&header.source, &header.destination) {
        return;
    }
    count(header, reason);
    let mut socket = Socket {
        cgroup: 0,
        netns: 0,
        uid: 0,
        tid: 0,
        mark: 0,
        local: header.source,
        remote: header.destination,
        local_port: header.source_port,
        remote_port: header.destination_port,
        padding: 0,
    };
    owner(&mut socket);
    // SAFETY: a helper without arguments.
    let at = unsafe { bpf_ktime_get_ns() };
    if !allowed(socket.netns, at) {
        return ring::count(counter::UNTOLD);
    }
    let Header { sequence, acknowledgement, flags, .. } = *header;
    let body = Drop { reason, sequence, acknowledgement, flags: u32::from(flags) };
    Subject { at, cookie, socket: &socket }.emit(kind::DROP, body);
}

#[inline(always)]
fn count(header: &Header, reason: u32) {
    if let Some(total) = REASONS.get_ptr_mut(drop_reason::slot(reason)) {
        add(total);
    }
    let key = DropKey { reason, padding: 0, source: header.source, destination: header.destination };
    if let Some(count) = DROPS.get_ptr_mut(key) {
        return add(count);
    }
    // Another cpu may have come first: then the entry is there.
    if DROPS.insert(key, 1, u64::from(BPF_NOEXIST)).is_err()
        && let Some(count) = DROPS.get_ptr_mut(key)
    {
        add(count);
    }
}

/// A race of two cpus at the turn of a second lets a few more through, and that is all.
#[inline(always)]
fn allowed(netns: u32, now: u64) -> bool {
    let second = now / SECOND_NS;
    if let Some(allowance) = ALLOWANCES.get_ptr_mut(netns) {
        // SAFETY: an entry of a map, read and written word by word.
        unsafe {
            if (*allowance).second != second {
                (*allowance).second = second;
                (*allowance).told = 0;
            }
            (*allowance).told += 1;
            return (*allowance).told <= A_SECOND;
        }
    }
    let _ = ALLOWANCES.insert(netns, Allowance { second, told: 1 }, u64::from(BPF_ANY));
    true
}

#[inline(always)]
fn add(to: *mut u64) {
    // SAFETY: an aligned word of a map's value. The intrinsic as in `ring::count`.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(to, 1) };
}
