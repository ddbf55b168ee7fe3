//! Copying a segment's payload into a record: by `bpf_skb_load_bytes`, its only safe reader (see `first_bytes`).

use core::ffi::c_void;

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::generated::bpf_skb_load_bytes;
use aya_ebpf::programs::SkBuffContext;
use tracer_common::{Event, FirstBytes};

use crate::packet::Segment;

/// A record with room for N bytes of payload.
#[repr(C)]
pub struct Record<const N: usize> {
    pub event: Event<FirstBytes>,
    pub bytes: [u8; N],
}

/// Copies the first N bytes of the payload, or all where there are fewer; how many, or `None` where the helper failed.
///
/// # Safety
/// `to` must have room for N bytes.
#[inline(always)]
pub unsafe fn load<const N: usize>(ctx: &SkBuffContext, segment: Segment, to: *mut c_void) -> Option<u32> {
    let length = if segment.length > N as u32 { N as u32 } else { segment.length };
    // LLVM knows these bounds and would drop the check, the verifier does not and wants it: so LLVM has to forget them.
    // And one less than the length is compared, not the length: below 6.8 the verifier learns nothing from `!= 0`.
    let last = length.wrapping_sub(1);
    // SAFETY: a value on the stack.
    let last = unsafe { core::ptr::read_volatile(&raw const last) };
    if last >= N as u32 {
        return None;
    }
    let length = last + 1;
    // SAFETY: the caller's promise; the verifier checks the bound too.
    let status = unsafe { bpf_skb_load_bytes(ctx.as_ptr(), segment.offset, to, length) };
    (status == 0).then_some(length)
}
