//! The way out: the ring, its counters, and when to wake the reader.

use core::cell::UnsafeCell;
use core::intrinsics::{AtomicOrdering, atomic_xadd};
use core::mem::MaybeUninit;

use aya_ebpf::bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use tracer_common::{Event, Header, Socket, counter};

/// Resized by the daemon (`KernelConfig::ring_bytes`).
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 22, 0);

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::COUNT, 0);

/// When the reader was last woken, of all cpus. A race costs one wake-up more.
static LAST_WAKE: Shared = Shared(UnsafeCell::new(0));

/// A wake-up costs more than the event it tells of, so there is at most one in this time. The reader looks once more
/// `SETTLE` (tracer-daemon, source/kernel/ring.rs; longer than this) after it was woken, and so misses nothing.
const QUIET_NS: u64 = 10_000_000;

/// A word that every cpu reads and writes with plain accesses: LLVM's BPF has no atomic load.
struct Shared(UnsafeCell<u64>);

/// Everything of an event that is known before its body.
pub struct Subject<'a> {
    pub at: u64,
    pub cookie: u64,
    pub socket: &'a Socket,
}

// SAFETY: all accesses are volatile and of one aligned word.
unsafe impl Sync for Shared {}

impl Subject<'_> {
    /// Submits one event, or counts it as lost where the ring is full.
    #[inline(always)]
    pub fn emit<B: Copy + 'static>(&self, kind: u32, body: B) {
        self.fill::<Event<B>>(kind, |event| {
            // SAFETY: `event` points at a reserved record of this very type; only its fields are written.
            unsafe {
                (&raw mut (*event).header).write(self.header(kind));
                (&raw mut (*event).body).write(body);
            }
            true
        });
    }

    /// Reserves a record, lets `fill` write it, and submits it. Where `fill` says no, or the ring is full, the event is
    /// counted as lost.
    #[inline(always)]
    pub fn fill<R: 'static>(&self, kind: u32, fill: impl FnOnce(*mut R) -> bool) {
        count(counter::EMITTED + kind);
        let Some(mut record) = EVENTS.reserve::<R>(0) else {
            count(counter::LOST + kind);
            return;
        };
        if fill(MaybeUninit::as_mut_ptr(&mut record)) {
            record.submit(wake(self.at));
        } else {
            count(counter::LOST + kind);
            record.discard(u64::from(BPF_RB_NO_WAKEUP));
        }
    }

    #[inline(always)]
    pub fn header(&self, kind: u32) -> Header {
        Header { at: self.at, cookie: self.cookie, kind, padding: 0, socket: *self.socket }
    }
}

/// Counts an event that there was and that nobody can tell any more.
#[inline(always)]
pub fn lose(kind: u32) {
    count(counter::EMITTED + kind);
    count(counter::LOST + kind);
}

/// Adds one to a slot of `tracer_common::counter`. Atomic although it is per cpu: a softirq may interrupt a program
/// that runs for a process, and the law emitted = decoded + malformed + lost has no tolerance.
#[inline(always)]
pub fn count(slot: u32) {
    if let Some(value) = COUNTERS.get_ptr_mut(slot) {
        // SAFETY: the map's values are aligned to 8 and live as long as the program. The intrinsic because core offers
        // no `fetch_add` on a target without compare-and-swap, while BPF has the addition.
        unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(value, 1) };
    }
}

/// What this cpu counted in a slot so far.
#[inline(always)]
pub fn counted(slot: u32) -> u64 {
    COUNTERS.get(slot).copied().unwrap_or(0)
}

#[inline(always)]
fn wake(now: u64) -> u64 {
    let last = LAST_WAKE.0.get();
    // SAFETY: see `Shared`.
    if now.wrapping_sub(unsafe { last.read_volatile() }) < QUIET_NS {
        return u64::from(BPF_RB_NO_WAKEUP);
    }
    // SAFETY: see `Shared`.
    unsafe { last.write_volatile(now) };
    u64::from(BPF_RB_FORCE_WAKEUP)
}
