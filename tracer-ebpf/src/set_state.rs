//! `inet_sock_set_state`: every change of a TCP socket's state. The spine of it all.

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use tracer_common::{Accept, Close, Connect, close_flags, connect_flags, kind};

use crate::early;
use crate::field::{Sock, TcpSock};
use crate::live::{self, Exists, Live};
use crate::ring::Subject;

/// States as `include/net/tcp_states.h` numbers them; user-visible in /proc/net/tcp, so they do not change.
pub const ESTABLISHED: i32 = 1;
pub const SYN_SENT: i32 = 2;
const SYN_RECV: i32 = 3;
const FIN_WAIT1: i32 = 4;
const FIN_WAIT2: i32 = 5;
pub const CLOSE: i32 = 7;
const CLOSE_WAIT: i32 = 8;
const LAST_ACK: i32 = 9;
pub const LISTEN: i32 = 10;
const CLOSING: i32 = 11;

#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    let old: i32 = ctx.arg(1);
    let new: i32 = ctx.arg(2);
    match new {
        SYN_SENT => change(&ctx, connecting),
        ESTABLISHED if old == SYN_SENT => change(&ctx, connected),
        ESTABLISHED if old == SYN_RECV => change(&ctx, accepted),
        CLOSE if old != LISTEN && old != CLOSE => change(&ctx, |ctx, sk, tcp| closed(ctx, sk, tcp, old)),
        _ => {}
    }
    0
}

#[inline(always)]
fn change(ctx: &BtfTracePointContext, then: impl FnOnce(&BtfTracePointContext, Sock, TcpSock)) {
    if let Some(sk) = Sock::new(ctx.arg(0))
        && let Some(tcp) = sk.tcp()
    {
        then(ctx, sk, tcp);
    }
}

/// In the caller's context: the only moment that knows the calling thread. The source port is not chosen yet (trap 1).
#[inline(always)]
fn connecting(ctx: &BtfTracePointContext, sk: Sock, _tcp: TcpSock) {
    let mut live = Live::new(sk);
    live.since = now();
    live.socket.tid = bpf_get_current_pid_tgid() as u32;
    // A cookie that exists would be a second connect(2) on a socket that never reached CLOSE: the kernel has none.
    let _ = live::follow(ctx, live::cookie(sk), &live);
}

/// Often in softirq, where the current thread is whoever was interrupted: it is not read here.
#[inline(always)]
fn connected(_ctx: &BtfTracePointContext, sk: Sock, tcp: TcpSock) {
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
        return connected(ctx, sk, tcp);
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
fn closed(_ctx: &BtfTracePointContext, sk: Sock, tcp: TcpSock, old: i32) {
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
