//! `tcp_destroy_sock`: a socket is no more, and nobody told that it was closed.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::field::{Sock, is_idle};
use crate::life;
use crate::live;

/// A socket is followed until CLOSE is told. One that is followed still was skipped then.
#[btf_tracepoint(function = "tcp_destroy_sock")]
pub fn tcp_destroy_sock(ctx: BtfTracePointContext) -> i32 {
    if is_idle() {
        return 0;
    }
    let Some(sk) = Sock::new(ctx.arg(0)) else { return 0 };
    let cookie = sk.cookie_if_given();
    if cookie == 0 || live::find(cookie).is_none() {
        return 0;
    }
    let Some(tcp) = sk.tcp() else { return 0 };
    life::closed(cookie, sk, tcp, life::SKIPPED);
    0
}
