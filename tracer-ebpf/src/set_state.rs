//! `inet_sock_set_state`: every change of a TCP socket's state. The spine of it all.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use tracer_common::{Accept, Close, Connect, close_flags, connect_flags, counter, direction, kind};

use crate::early;
use crate::field::{Sock, TcpSock, is_idle};
use crate::first_bytes;
use crate::live::{self, Exists, Live};
use crate::ring::{self, Subject};
use crate::running::Running;
use crate::state::{
    CLOSE, CLOSE_WAIT, CLOSING, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, LAST_ACK, LISTEN, SYN_RECV, SYN_SENT,
};

/// The program that handles every change, but for those that interrupt it on its own cpu.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    if !is_idle()
        && let Some(handle) = interest(&ctx)
    {
        let running = Running::begin();
        handle.run(&ctx);
        running.end();
    }
    0
}

/// The kernel skips a tracing program that would interrupt itself: a softirq that closes one connection while this cpu
/// opens another for a process. So the same tracepoint has this second program, which runs after the first one and does
/// its work exactly where the first could not: where it is still in the middle of another change.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn inet_sock_set_state_nested(ctx: BtfTracePointContext) -> i32 {
    if !is_idle() && Running::now() {
        // Every run that it makes up for, so that what the kernel skipped and this did not is what was missed.
        ring::count(counter::NESTED);
        if let Some(handle) = interest(&ctx) {
            handle.run(&ctx);
        }
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
            Self::Accepted if accepted(ctx, cookie, sk, tcp).is_ok() => {}
            // SYN_SENT -> SYN_RECV -> ESTABLISHED: both ends dialled at once, or the socket dialled itself.
            Self::Connected | Self::Accepted => connected(cookie, sk, tcp),
            Self::Closed { from } => closed(cookie, sk, tcp, from),
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
    live.since = now();
    live.socket.tid = bpf_get_current_pid_tgid() as u32;
    // A cookie that exists would be a second connect(2) on a socket that never reached CLOSE: the kernel has none.
    let _ = live::follow(ctx, cookie, live);
}

/// Often in softirq, where the current thread is whoever was interrupted: it is not read here.
#[inline(always)]
fn connected(cookie: u64, sk: Sock, tcp: TcpSock) {
    let mut blank = MaybeUninit::uninit();
    let live = if let Some(live) = live::find(cookie) {
        // The source port was not chosen at SYN_SENT (trap 1).
        sk.tuple(tcp, &mut live.socket);
        live
    } else {
        let untracked = Live::blank(&mut blank);
        if !untracked.adopt(sk, tcp) {
            return;
        }
        untracked
    };
    let at = now();
    let flags = if live.establish(at, tcp) { connect_flags::HANDSHAKE } else { 0 };
    let (client_isn, server_isn) = (tcp.snd_una().wrapping_sub(1), tcp.rcv_nxt().wrapping_sub(1));
    let body = Connect { since: live.since, client_isn, server_isn, flags, error: 0 };
    Subject { at, cookie, socket: &live.socket }.emit(kind::CONNECT, body);
}

/// The cookie is the child's: the kernel has copied it from the request before it told of this change.
#[inline(always)]
fn accepted(ctx: &BtfTracePointContext, cookie: u64, sk: Sock, tcp: TcpSock) -> Result<(), Exists> {
    let at = now();
    let mut blank = MaybeUninit::uninit();
    let live = Live::blank(&mut blank);
    if !live.adopt(sk, tcp) {
        return Ok(());
    }
    let flags = if live.establish(at, tcp) { connect_flags::HANDSHAKE } else { 0 };
    let early = early::take(live);
    if early.is_some() {
        live.seen[direction::RECEIVED as usize] = first_bytes::DONE;
    }
    live::follow(ctx, cookie, live)?;
    let (client_isn, server_isn) = (tcp.rcv_nxt().wrapping_sub(1), tcp.snd_una().wrapping_sub(1));
    let subject = Subject { at, cookie, socket: &live.socket };
    subject.emit(kind::ACCEPT, Accept { client_isn, server_isn, flags, padding: 0 });
    if let Some(early) = early {
        early.emit(&subject);
    }
    Ok(())
}

#[inline(always)]
fn closed(cookie: u64, sk: Sock, tcp: TcpSock, from: i32) {
    let mut blank = MaybeUninit::uninit();
    let live = match live::find(cookie) {
        Some(live) => live,
        // The child of a listener that failed before its handshake was complete: nobody was ever told of it.
        None if from == SYN_RECV => return,
        None => {
            let adopted = Live::blank(&mut blank);
            if !adopted.adopt(sk, tcp) {
                return;
            }
            adopted
        }
    };
    if live.opened == 0 {
        sk.tuple(tcp, &mut live.socket);
    }
    let subject = Subject { at: now(), cookie, socket: &live.socket };
    if from == SYN_SENT || from == SYN_RECV {
        let reset = if live.reset_received == 0 { 0 } else { connect_flags::RESET_RECEIVED };
        let (flags, error, client_isn) = (connect_flags::FAILED | reset, sk.error(), tcp.snd_una());
        subject.emit(kind::CONNECT, Connect { since: live.since, client_isn, server_isn: 0, flags, error });
    } else {
        subject.emit(kind::CLOSE, ending(live, sk, tcp, from));
    }
    live::forget(cookie);
}

#[inline(always)]
fn ending(live: &Live, sk: Sock, tcp: TcpSock, from: i32) -> Close {
    // A received FIN counts as one in `bytes_received` and in `rcv_nxt`.
    let fin = u32::from(sk.fin_received());
    // Whoever entered FIN_WAIT1 sent the first FIN, whoever entered CLOSE_WAIT received it; the last state still tells.
    let mut flags = match from {
        FIN_WAIT1 | FIN_WAIT2 | CLOSING => close_flags::FIRST_FIN_SENT,
        CLOSE_WAIT | LAST_ACK => close_flags::FIRST_FIN_RECEIVED,
        _ => 0,
    };
    if live.reset_received != 0 {
        flags |= close_flags::RESET_RECEIVED;
    } else if live.reset_sent != 0 {
        flags |= close_flags::RESET_SENT;
    } else if sk.error() == 0 && matches!(from, ESTABLISHED | CLOSE_WAIT | FIN_WAIT1) {
        // Straight to CLOSE, no error, no reset received: this end aborts. Its RST is sent only after this change.
        // FIN_WAIT2 -> CLOSE is a healthy active close (trap 2).
        flags |= close_flags::RESET_SENT;
        let unread = tcp.rcv_nxt().wrapping_sub(tcp.copied_seq()).wrapping_sub(fin) as i32;
        if from != FIN_WAIT1 && unread > 0 {
            flags |= close_flags::UNREAD;
        }
    }
    let received = tcp.bytes_received().saturating_sub(u64::from(fin));
    Close { opened: live.opened, sent: tcp.bytes_sent(), received, flags, padding: 0 }
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_ns() }
}
