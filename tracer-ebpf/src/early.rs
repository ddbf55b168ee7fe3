//! Payload that comes before its socket (trap 18).
//!
//! With TCP_DEFER_ACCEPT, or when the third ACK was lost or carries data, the packet with the first payload is filtered
//! on the *listener*. The same softirq goes on to create the child and to bring it to ESTABLISHED, on the same cpu and
//! with nothing in between: so the payload is kept per cpu, and taken by the child whose next byte it is.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use aya_ebpf::programs::SkBuffContext;
use tracer_common::{Event, FirstBytes, MAX_FIRST_BYTES, direction, kind};

use crate::live::Live;
use crate::packet::Segment;
use crate::payload::{self, Record};
use crate::ring::Subject;

#[repr(C)]
pub struct Early {
    sequence: u32,
    local_port: u16,
    remote_port: u16,
    /// 0: nothing is kept.
    length: u32,
    bytes: [u8; MAX_FIRST_BYTES],
}

#[map]
static EARLY: PerCpuArray<Early> = PerCpuArray::with_max_entries(1, 0);

/// Keeps the payload of a packet that came in for a listener.
#[inline(always)]
pub fn keep(ctx: &SkBuffContext) {
    let Some(segment) = Segment::parse(ctx) else { return };
    let Some(early) = EARLY.get_ptr_mut(0) else { return };
    // SAFETY: memory of a per-cpu array, written in softirq only, which does not interrupt itself.
    unsafe {
        (*early).length = 0;
        (*early).sequence = segment.sequence;
        (*early).local_port = segment.destination_port;
        (*early).remote_port = segment.source_port;
        let bytes: *mut c_void = (&raw mut (*early).bytes).cast();
        if let Some(length) = payload::load::<MAX_FIRST_BYTES>(ctx, segment, bytes) {
            (*early).length = length;
        }
    }
}

/// What was kept for this new socket, if anything.
#[inline(always)]
pub fn take(live: &Live) -> Option<&'static Early> {
    let early = EARLY.get_ptr_mut(0)?;
    // SAFETY: as in `keep`.
    let early = unsafe { &mut *early };
    let meant = early.length != 0
        && early.sequence == live.first[direction::RECEIVED as usize]
        && early.remote_port == live.socket.remote_port
        && early.local_port == live.socket.local_port;
    meant.then_some(early)
}

impl Early {
    #[inline(always)]
    pub fn emit(&self, subject: &Subject<'_>) {
        subject.fill::<Record<MAX_FIRST_BYTES>>(kind::FIRST_BYTES, |record| {
            // SAFETY: `record` points at a reserved record of this very type, and both arrays have the same size. The
            // helper and not a copy of ours: that would be a loop, which the verifier walks byte by byte.
            unsafe {
                let body = FirstBytes { direction: direction::RECEIVED, length: self.length };
                (&raw mut (*record).event).write(Event { header: subject.header(kind::FIRST_BYTES), body });
                let to: *mut c_void = (&raw mut (*record).bytes).cast();
                bpf_probe_read_kernel(to, MAX_FIRST_BYTES as u32, (&raw const self.bytes).cast()) == 0
            }
        });
    }
}
