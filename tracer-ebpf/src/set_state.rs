//! `inet_sock_set_state`: every change of a TCP socket's state. The spine of it all.

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns};
use aya_ebpf::macros::{btf_tracepoint, map};
use aya_ebpf::maps::PerCpuArray;
use aya_ebpf::programs::BtfTracePointContext;
use tracer_common::{Accept, Close, Connect, close_flags, connect_flags, counter, kind};

use crate::early;
use crate::field::{Sock, TcpSock};
use crate::live::{self, Exists, Live};
use crate::ring::{self, Subject};
use crate::state::{
    CLOSE, CLOSE_WAIT, CLOSING, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, LAST_ACK, LISTEN, SYN_RECV, SYN_SENT,
};

/// The program that handles every change, but for those that interrupt it on its own cpu.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    if let Some(handle) = interest(&ctx) {
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
    if let Some(handle) = interest(&ctx)
        && Running::now()
    {
        ring::count(counter::NESTED);
        handle.run(&ctx);
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
    #[inline(always)]
    fn run(self, ctx: &BtfTracePointContext) {
        let Some(sk) = Sock::new(ctx.arg(0)) else { return };
        let Some(tcp) = sk.tcp() else { return };
        match self {
            Self::Connecting => connecting(ctx, sk),
            Self::Connected => connected(sk, tcp),
            Self::Accepted => accepted(ctx, sk, tcp),
            Self::Closed { from } => closed(sk, tcp, from),
        }
    }
}

/// Set on a cpu while the first program handles a change there.
struct Running(Option<*mut u32>);

#[map]
static RUNNING: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

impl Running {
    #[inline(always)]
    fn begin() -> Self {
        let flag = RUNNING.get_ptr_mut(0);
        if let Some(flag) = flag {
            // SAFETY: memory of a per-cpu array. Volatile, because who reads it interrupts us.
            unsafe { flag.write_volatile(1) };
        }
        Self(flag)
    }

    #[inline(always)]
    fn end(self) {
        if let Some(flag) = self.0 {
            // SAFETY: as above.
            unsafe { flag.write_volatile(0) };
        }
    }

    #[inline(always)]
    fn now() -> bool {
        // SAFETY: as above.
        RUNNING.get_ptr(0).is_some_and(|flag| unsafe { flag.read_volatile() } != 0)
    }
}

/// In the caller's context: the only moment that knows the calling thread. The source port is not chosen yet (trap 1).
#[inline(always)]
fn connecting(ctx: &BtfTracePointContext, sk: Sock) {
    let mut live = Live::new(sk);
    live.since = now();
    live.socket.tid = bpf_get_current_pid_tgid() as u32;
    // A cookie that exists would be a second connect(2) on a socket that never reached CLOSE: the kernel has none.
    let _ = live::follow(ctx, live::cookie(sk), &live);
}

/// Often in softirq, where the current thread is whoever was interrupted: it is not read here.
#[inline(always)]
fn connected(sk: Sock, tcp: TcpSock) {
    let cookie = live::cookie(sk);
    if let Some(live) = live::find(cookie) {
        return emit_connected(cookie, live, sk, tcp);
    }
    emit_connected(cookie, &mut Live::new(sk), sk, tcp);
}

#[inline(always)]
fn emit_connected(cookie: u64, live: &mut Live, sk: Sock, tcp: TcpSock) {
    let at = now();
    let flags = if live.establish(at, sk, tcp) { connect_flags::HANDSHAKE } else { 0 };
    let body = Connect {
        since: live.since,
        client_isn: tcp.snd_una().wrapping_sub(1),
        server_isn: tcp.rcv_nxt().wrapping_sub(1),
        flags,
        error: 0,
    };
    Subject { at, cookie, socket: &live.socket }.emit(kind::CONNECT, body);
}

/// The cookie is the child's: the kernel has copied it from the request before it told of this change.
#[inline(always)]
fn accepted(ctx: &BtfTracePointContext, sk: Sock, tcp: TcpSock) {
    let at = now();
    let cookie = live::cookie(sk);
    let mut live = Live::new(sk);
    let flags = if live.establish(at, sk, tcp) { connect_flags::HANDSHAKE } else { 0 };
    let early = early::take(&live);
    if early.is_some() {
        live.seen[1] = 1;
    }
    if let Err(Exists) = live::follow(ctx, cookie, &live) {
        // SYN_SENT -> SYN_RECV -> ESTABLISHED: both ends dialled at once, or the socket dialled itself.
        return connected(sk, tcp);
    }
    let body = Accept {
        client_isn: tcp.rcv_nxt().wrapping_sub(1),
        server_isn: tcp.snd_una().wrapping_sub(1),
        flags,
        padding: 0,
    };
    let subject = Subject { at, cookie, socket: &live.socket };
    subject.emit(kind::ACCEPT, body);
    if let Some(early) = early {
        early.emit(&subject);
    }
}

#[inline(always)]
fn closed(sk: Sock, tcp: TcpSock, old: i32) {
    let cookie = live::cookie(sk);
    match live::find(cookie) {
        Some(live) => {
            if live.opened == 0 {
                sk.tuple(tcp, &mut live.socket);
            }
            emit_closed(cookie, live, sk, tcp, old);
            live::forget(cookie);
        }
        // The child of a listener that failed before its handshake was complete: nobody was ever told of it.
        None if old == SYN_RECV => {}
        None => emit_closed(cookie, &Live::adopt(sk, tcp), sk, tcp, old),
    }
}

#[inline(always)]
fn emit_closed(cookie: u64, live: &Live, sk: Sock, tcp: TcpSock, old: i32) {
    let subject = Subject { at: now(), cookie, socket: &live.socket };
    let error = sk.error();
    if old == SYN_SENT || old == SYN_RECV {
        let body = Connect { since: live.since, client_isn: 0, server_isn: 0, flags: connect_flags::FAILED, error };
        return subject.emit(kind::CONNECT, body);
    }
    // A received FIN counts as one in `bytes_received` and in `rcv_nxt`.
    let fin = u32::from(sk.fin_received());
    // Whoever entered FIN_WAIT1 sent the first FIN, whoever entered CLOSE_WAIT received it; the last state still tells.
    let mut flags = match old {
        FIN_WAIT1 | FIN_WAIT2 | CLOSING => close_flags::FIRST_FIN_SENT,
        CLOSE_WAIT | LAST_ACK => close_flags::FIRST_FIN_RECEIVED,
        _ => 0,
    };
    if live.reset_received != 0 {
        flags |= close_flags::RESET_RECEIVED;
    } else if live.reset_sent != 0 {
        flags |= close_flags::RESET_SENT;
    } else if error == 0 && matches!(old, ESTABLISHED | CLOSE_WAIT | FIN_WAIT1) {
        // Straight to CLOSE, no error, no reset received: this end aborts. Its RST is sent only after this change.
        // FIN_WAIT2 -> CLOSE is a healthy active close (trap 2).
        flags |= close_flags::RESET_SENT;
        let unread = tcp.rcv_nxt().wrapping_sub(tcp.copied_seq()).wrapping_sub(fin) as i32;
        if old != FIN_WAIT1 && unread > 0 {
            flags |= close_flags::UNREAD;
        }
    }
    let received = tcp.bytes_received().saturating_sub(u64::from(fin));
    let body = Close { opened: live.opened, sent: tcp.bytes_sent(), received, flags, padding: 0 };
    subject.emit(kind::CLOSE, body);
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_ns() }
}
