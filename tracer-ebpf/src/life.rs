//! What a socket lives through, and what is told of it: it is open, it has ended.
//!
//! Told by the tracepoint of each, `set_state`. But the kernel skips a tracing program that would interrupt itself on its own
//! cpu: a softirq that closes one connection while a process opens another. So an entry may lag behind its socket, and
//! whichever hook meets such a socket next tells what was skipped: a packet of it (`catch_up`), or its end (`destroyed`).

use core::mem::MaybeUninit;

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::bpf_ktime_get_ns;
use tracer_common::{Accept, Close, Connect, close_flags, connect_flags, counter, direction, kind};

use crate::child;
use crate::early;
use crate::field::{Sock, TcpSock};
use crate::live::{self, DONE, Live};
use crate::ring::{self, Subject};
use crate::state::{CLOSE, CLOSE_WAIT, CLOSING, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, LAST_ACK, SYN_RECV, SYN_SENT};

/// In place of the state that a socket was in before CLOSE, where that change was skipped.
pub const SKIPPED: i32 = 0;

/// Often in softirq, where the current thread is whoever was interrupted: it is not read here.
#[inline(always)]
pub fn connected(cookie: u64, sk: Sock, tcp: TcpSock) {
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

/// False: it was no listener's child. The cookie is the child's: the kernel copies the request's, where that has one, before
/// it tells of this change.
#[inline(always)]
pub fn accepted(ctx: &impl EbpfContext, cookie: u64, sk: Sock, tcp: TcpSock) -> bool {
    let at = now();
    if let Some(live) = live::find(cookie) {
        if live.child == 0 {
            return false;
        }
        let flags = if live.establish(at, tcp) { connect_flags::HANDSHAKE } else { 0 };
        open(cookie, live, tcp, at, flags);
        return true;
    }
    if child::is_out_of_scope(cookie) {
        return true;
    }
    let mut blank = MaybeUninit::uninit();
    let live = Live::blank(&mut blank);
    if live.adopt(sk, tcp) {
        let flags = if live.establish(at, tcp) { connect_flags::HANDSHAKE } else { 0 };
        live.child = 1;
        live::follow(ctx, cookie, live);
        open(cookie, live, tcp, at, flags);
    }
    true
}

#[inline(always)]
fn open(cookie: u64, live: &mut Live, tcp: TcpSock, at: u64, flags: u32) {
    let early = early::take(live);
    let (client_isn, server_isn) = (tcp.rcv_nxt().wrapping_sub(1), tcp.snd_una().wrapping_sub(1));
    if early.is_some() {
        live.seen[direction::RECEIVED as usize] = DONE;
    }
    let subject = Subject { at, cookie, socket: &live.socket };
    subject.emit(kind::ACCEPT, Accept { client_isn, server_isn, flags, padding: 0 });
    if let Some(early) = early {
        early.emit(&subject);
    }
}

/// A packet that a socket sends or receives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Packet {
    /// Without payload: the last of a handshake's three, if the socket is open only now.
    SentBare,
    Sent {
        payload: u32,
    },
    Received,
}

/// A packet of a socket whose entry says that it is not open yet. The kernel tells of a change before it makes it: so whoever
/// sees the state first and the entry then sees no entry that is only about to be told (two cpus that both meet it may both
/// tell, which the engine takes for once).
#[inline(always)]
pub fn catch_up(cookie: u64, live: &mut Live, sk: Sock, packet: Packet) {
    if matches!(i32::from(sk.state()), SYN_SENT | SYN_RECV | CLOSE) || !live.lags() {
        return;
    }
    let Some(tcp) = sk.tcp() else { return };
    let at = now();
    let sending = if let Packet::Sent { payload } = packet { payload } else { 0 };
    live.first = [tcp.snd_una(), tcp.rcv_nxt()];
    live.seen = [u8::from(tcp.bytes_sent() > u64::from(sending)), u8::from(tcp.bytes_received() != 0)];
    live.opened = at;
    sk.tuple(tcp, &mut live.socket);
    // Only the last of the three says when the socket opened.
    let since = if packet == Packet::SentBare { live.since } else { 0 };
    tell_late(&Subject { at, cookie, socket: &live.socket }, live.child != 0, tcp, since);
}

/// Both initial sequence numbers can be told at any time, from how far both directions have got.
#[inline(always)]
fn tell_late(subject: &Subject<'_>, is_child: bool, tcp: TcpSock, since: u64) {
    ring::count(counter::LATE);
    let (sent, received) = (tcp.snd_una(), tcp.rcv_nxt());
    // The ACK of the client's SYN counts as a byte acknowledged: its SYN was sent by the socket itself, not for a request.
    let acknowledged = sent.wrapping_sub(tcp.bytes_acked() as u32);
    let peer = received.wrapping_sub(tcp.bytes_received() as u32).wrapping_sub(1);
    // Who receives a packet does not hold the socket: another cpu may be at it.
    let is_still = sent == tcp.snd_una() && received == tcp.rcv_nxt();
    let flags = if is_still { connect_flags::HANDSHAKE } else { 0 };
    if is_child {
        let server_isn = acknowledged.wrapping_sub(1);
        subject.emit(kind::ACCEPT, Accept { client_isn: peer, server_isn, flags, padding: 0 });
    } else {
        subject.emit(kind::CONNECT, Connect { since, client_isn: acknowledged, server_isn: peer, flags, error: 0 });
    }
}

/// `from`: the state that CLOSE was entered from, or `SKIPPED`.
#[inline(always)]
pub fn closed(cookie: u64, sk: Sock, tcp: TcpSock, from: i32) {
    let mut blank = MaybeUninit::uninit();
    let live = match live::find(cookie) {
        // Another child of the same handshake came first, and has the cookie.
        Some(live) if live.address != sk.address() => return,
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
    let lags = live.lags();
    let was_open = match from {
        SYN_SENT | SYN_RECV => false,
        SKIPPED if !lags => true,
        // A client has received no sequence number before it is open; and of a child nobody knows that exchanged nothing.
        SKIPPED if live.child == 0 => tcp.rcv_nxt() != 0 && tcp.bytes_acked() != 0,
        SKIPPED => tcp.bytes_received() != 0 || tcp.bytes_sent() != 0,
        _ => true,
    };
    if from == SKIPPED {
        // The rest may be gone: a connect(2) that fails takes it away.
        live.socket.local_port = tcp.local_port();
    } else if live.opened == 0 {
        sk.tuple(tcp, &mut live.socket);
    }
    let subject = Subject { at: now(), cookie, socket: &live.socket };
    if was_open {
        if lags {
            // When it was is not known any more: no latency is claimed.
            tell_late(&subject, live.child != 0, tcp, 0);
        }
        subject.emit(kind::CLOSE, ending(live, sk, tcp, from));
    } else if live.child == 0 {
        failed(&subject, live, sk, tcp, from);
    }
    if from == SKIPPED {
        ring::count(counter::LATE);
    }
    live::forget(cookie);
}

/// A connect that came to nothing.
#[inline(always)]
fn failed(subject: &Subject<'_>, live: &Live, sk: Sock, tcp: TcpSock, from: i32) {
    const ECONNREFUSED: u32 = 111;
    let reset = live.reset_received != 0;
    let error = match sk.error() {
        // By now its owner has fetched the error. `tcp_reset` and `tcp_write_err` tell what it was.
        0 if from == SKIPPED && reset => ECONNREFUSED,
        0 if from == SKIPPED => sk.soft_error(),
        error => error,
    };
    if from == SKIPPED && error == 0 {
        // It timed out, or was abandoned.
        return lost_sight(subject, true);
    }
    let flags = connect_flags::FAILED | if reset { connect_flags::RESET_RECEIVED } else { 0 };
    let body = Connect { since: live.since, client_isn: tcp.snd_una(), server_isn: 0, flags, error };
    subject.emit(kind::CONNECT, body);
}

/// A socket has ended, and it is not known how. `lags`: nor what became of its connect, which is an event that is missing.
#[inline(always)]
pub fn lost_sight(subject: &Subject<'_>, lags: bool) {
    if lags {
        ring::lose(kind::CONNECT);
    }
    subject.emit(kind::CLOSE, Close { opened: 0, sent: 0, received: 0, flags: close_flags::UNSEEN, padding: 0 });
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
pub fn now() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_ns() }
}
