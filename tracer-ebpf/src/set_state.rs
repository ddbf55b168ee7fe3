//! `inet_sock_set_state`: every change of a TCP socket's state. The spine of it all.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::field::{Sock, TcpSock, is_idle};
use crate::life;
use crate::live::{self, Live};
use crate::ring::Subject;
use crate::state::{CLOSE, ESTABLISHED, LISTEN, SYN_RECV, SYN_SENT};

#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    if !is_idle()
        && let Some(interest) = interest(&ctx)
    {
        interest.run(&ctx);
    }
    0
}

/// What an interesting change means.
#[derive(Clone, Copy)]
enum Interest {
    Connecting,
    Connected,
    Accepted,
    Closed { from: i32 },
}

#[inline(always)]
fn interest(ctx: &BtfTracePointContext) -> Option<Interest> {
    let from: i32 = ctx.arg(1);
    let to: i32 = ctx.arg(2);
    match to {
        SYN_SENT => Some(Interest::Connecting),
        ESTABLISHED if from == SYN_SENT => Some(Interest::Connected),
        ESTABLISHED if from == SYN_RECV => Some(Interest::Accepted),
        CLOSE if from != LISTEN && from != CLOSE => Some(Interest::Closed { from }),
        _ => None,
    }
}

impl Interest {
    /// Every handler stands here once: the verifier walks each copy that inlining makes.
    #[inline(always)]
    fn run(self, ctx: &BtfTracePointContext) {
        let Some(sk) = Sock::new(ctx.arg(0)) else { return };
        let Some(tcp) = sk.tcp() else { return };
        let cookie = live::cookie(sk);
        match self {
            Self::Connecting => connecting(ctx, cookie, sk, tcp),
            Self::Accepted if life::accepted(ctx, cookie, sk, tcp) => {}
            // SYN_SENT -> SYN_RECV -> ESTABLISHED: both ends dialled at once, or the socket dialled itself.
            Self::Connected | Self::Accepted => life::connected(cookie, sk, tcp),
            Self::Closed { from } => life::closed(cookie, sk, tcp, from),
        }
    }
}

/// In the caller's context: the only moment that knows the calling thread. The source port is not chosen yet (trap 1).
#[inline(always)]
fn connecting(ctx: &BtfTracePointContext, cookie: u64, sk: Sock, tcp: TcpSock) {
    let mut blank = MaybeUninit::uninit();
    let live = Live::blank(&mut blank);
    if !live.adopt(sk, tcp) {
        return;
    }
    live.since = life::now();
    live.socket.tid = bpf_get_current_pid_tgid() as u32;
    if let Some(before) = live::find(cookie) {
        // A second connect(2) on this socket. Between the two it was in CLOSE, and that was skipped.
        life::lost_sight(&Subject { at: live.since, cookie, socket: &before.socket }, before.lags());
        live::forget(cookie);
    }
    live::follow(ctx, cookie, live);
}
