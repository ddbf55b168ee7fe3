//! What the programs have in common that user space reads like a file: `open` and `gone`.

use core::ffi::c_void;
use core::ptr::read_volatile;

use aya_ebpf::helpers::generated::bpf_seq_write;
use tracer_common::{Event, counter};

use crate::ring::{self, Subject};

/// `struct bpf_iter_meta`, which is part of the kernel's ABI.
#[repr(C)]
pub struct Meta {
    seq: *mut c_void,
}

/// Writes an event into what is read. False: the page is full, which is no loss, because the kernel then comes back with
/// this very element.
#[inline(always)]
pub fn write<B>(meta: *const Meta, subject: &Subject<'_>, kind: u32, body: B) -> bool {
    let event = Event { header: subject.header(kind), body };
    // SAFETY: the verifier knows the type of what `meta` points at; the event lives during the call.
    let status = unsafe {
        let seq = read_volatile(&raw const (*meta).seq);
        bpf_seq_write(seq.cast(), (&raw const event).cast(), size_of::<Event<B>>() as u32)
    };
    if status == 0 {
        ring::count(counter::EMITTED + kind);
    }
    status == 0
}
