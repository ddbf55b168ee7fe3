//! `tcp_cong_state_set`: the child of a listener, before it is open.
//!
//! Every child passes here, in SYN_RECV and with both its ends known, right after it was made (`tcp_ca_openreq_child`). What
//! is remembered of it now is told when it is open; were it remembered only then, and that very change skipped, nobody
//! could tell a child from a socket that is older than the probes.

use core::mem::MaybeUninit;

use aya_ebpf::macros::{btf_tracepoint, map};
use aya_ebpf::maps::PerCpuArray;
use aya_ebpf::programs::BtfTracePointContext;

use crate::field::{Sock, is_idle};
use crate::live::{self, Live};
use crate::state::SYN_RECV;

/// The cookie of this cpu's last child that nobody traces. It opens in the same softirq, and is not looked up once more.
#[map]
static OUT_OF_SCOPE: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

#[btf_tracepoint(function = "tcp_cong_state_set")]
pub fn tcp_cong_state_set(ctx: BtfTracePointContext) -> i32 {
    if is_idle() {
        return 0;
    }
    let Some(sk) = Sock::new(ctx.arg(0)) else { return 0 };
    if i32::from(sk.state()) != SYN_RECV {
        return 0;
    }
    let Some(tcp) = sk.tcp() else { return 0 };
    let cookie = live::cookie(sk);
    // It dialled itself, or passes here again.
    if live::find(cookie).is_some() {
        return 0;
    }
    let mut blank = MaybeUninit::uninit();
    let live = Live::blank(&mut blank);
    if live.adopt(sk, tcp) {
        live.child = 1;
        // Where there is no room it is counted when the child is open, which tries again.
        let _ = live::keep(cookie, live);
    } else if let Some(last) = OUT_OF_SCOPE.get_ptr_mut(0) {
        // SAFETY: memory of a per-cpu array.
        unsafe { last.write_volatile(cookie) };
    }
    0
}

#[inline(always)]
pub fn is_out_of_scope(cookie: u64) -> bool {
    // SAFETY: as above.
    OUT_OF_SCOPE.get_ptr(0).is_some_and(|last| unsafe { last.read_volatile() } == cookie)
}
