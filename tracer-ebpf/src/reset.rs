//! `tcp_receive_reset` and `tcp_send_reset`: which end reset the connection.

use core::mem::MaybeUninit;

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::field::{Sock, is_idle};
use crate::live::{self, Live};
use crate::state::{CLOSE, LISTEN, SYN_SENT};

#[btf_tracepoint(function = "tcp_receive_reset")]
pub fn tcp_receive_reset(ctx: BtfTracePointContext) -> i32 {
    note(&ctx, |live| live.reset_received = 1);
    0
}

/// `sk` is NULL where no socket was there to reset.
#[btf_tracepoint(function = "tcp_send_reset")]
pub fn tcp_send_reset(ctx: BtfTracePointContext) -> i32 {
    note(&ctx, |live| live.reset_sent = 1);
    0
}

/// Marks the socket, which goes to CLOSE next; one that was never followed is adopted for that.
#[inline(always)]
fn note(ctx: &BtfTracePointContext, mark: impl Fn(&mut Live)) {
    if is_idle() {
        return;
    }
    let Some(sk) = Sock::new(ctx.arg(0)) else { return };
    let state = i32::from(sk.state());
    let cookie = live::cookie(sk);
    if let Some(live) = live::find(cookie) {
        return mark(live);
    }
    // A listener answers a stray segment with a reset of its own and lives on. A closed socket has told its end.
    if state == LISTEN || state == CLOSE || state == SYN_SENT {
        return;
    }
    let Some(tcp) = sk.tcp() else { return };
    let mut blank = MaybeUninit::uninit();
    let live = Live::blank(&mut blank);
    if live.adopt(sk, tcp) {
        mark(live);
        live::follow(ctx, cookie, live);
    }
}
