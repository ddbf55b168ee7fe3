//! cgroup_skb on the root of cgroup2: the first payload of each direction of each socket.
//!
//! `bpf_skb_load_bytes` is the only safe reader of payload: what is sent lies in page fragments, and reading past the linear head
//! by any other means yields unrelated kernel memory. Both programs always let the packet pass. And both meet sockets whose
//! opening was skipped (`life`).

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::bpf_sock;
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::helpers::generated::bpf_get_socket_cookie;
use aya_ebpf::macros::cgroup_skb;
use aya_ebpf::programs::SkBuffContext;
use tracer_common::direction::{self, CONTINUED};
use tracer_common::{FirstBytes, MAX_FIRST_BYTES, kind, tcp_flags};

use crate::early;
use crate::field::{Sock, is_idle};
use crate::life::{self, Packet};
use crate::listener;
use crate::live::{self, DONE, Live};
use crate::packet::{self, Segment};
use crate::payload::{self, Record};
use crate::ring::Subject;
use crate::state::{ESTABLISHED, LISTEN};

const PASS: i32 = 1;

/// `Live::seen`, beyond `DONE`: an HTTP/2 preface was read and its HEADERS are looked for.
const PREFACE: u8 = 2;
/// A client's SETTINGS and its acknowledgement of the server's may each come before the HEADERS in segments of their own.
const LAST: u8 = PREFACE + 2;

/// Records come in three sizes, because the verifier wants constants and the ring is not to be wasted: nearly every
/// HTTP head and every plaintext greeting is small, a ClientHello is not.
const SMALL: usize = 128;
const MIDDLE: usize = 640;

/// Most packets of short connections are handshakes, acknowledgements and ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Glance {
    Payload,
    /// And no payload.
    Syn,
    Nothing,
}

#[cgroup_skb(egress)]
pub fn first_bytes_sent(ctx: SkBuffContext) -> i32 {
    if is_idle() {
        return PASS;
    }
    let glance = glance(&ctx);
    // What has no payload is looked up too where it may be the last of a handshake's three.
    if glance == Glance::Payload || (glance == Glance::Nothing && state(&ctx) == ESTABLISHED) {
        let cookie = cookie(&ctx);
        if let Some(live) = live::find(cookie) {
            if live.lags() {
                let packet = match glance {
                    Glance::Payload => {
                        Packet::Sent { payload: Segment::parse(&ctx).map_or(0, |segment| segment.length) }
                    }
                    _ => Packet::SentBare,
                };
                catch_up(&ctx, cookie, live, packet);
            }
            if glance == Glance::Payload {
                read(&ctx, cookie, live, direction::SENT);
            }
        }
    }
    PASS
}

#[cgroup_skb(ingress)]
pub fn first_bytes_received(ctx: SkBuffContext) -> i32 {
    if is_idle() {
        return PASS;
    }
    match glance(&ctx) {
        Glance::Payload => {
            let cookie = cookie(&ctx);
            match live::find(cookie) {
                Some(live) => {
                    if live.lags() {
                        catch_up(&ctx, cookie, live, Packet::Received);
                    }
                    read(&ctx, cookie, live, direction::RECEIVED);
                }
                None => for_listener(&ctx),
            }
        }
        Glance::Syn => for_listener(&ctx),
        Glance::Nothing => {}
    }
    PASS
}

/// What a packet may hold, before anything is looked up for it.
#[inline(always)]
fn glance(ctx: &SkBuffContext) -> Glance {
    match packet::bare(ctx) {
        Some(flags) if flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN => Glance::Syn,
        Some(_) => Glance::Nothing,
        None => Glance::Payload,
    }
}

/// A packet of no followed socket: it may be a listener's.
#[inline(always)]
fn for_listener(ctx: &SkBuffContext) {
    if state(ctx) == LISTEN {
        listener::watch(ctx, sk(ctx).cast());
        early::keep(ctx);
    }
}

/// Of the packet's socket; 0 where it has none.
#[inline(always)]
fn state(ctx: &SkBuffContext) -> i32 {
    let sk = sk(ctx);
    // SAFETY: the verifier rewrites this into a checked load, of a socket that is not NULL.
    if sk.is_null() { 0 } else { unsafe { (*sk).state as i32 } }
}

#[inline(always)]
fn sk(ctx: &SkBuffContext) -> *mut bpf_sock {
    // SAFETY: the verifier rewrites this into a checked load of the context.
    unsafe { (*ctx.skb.skb).__bindgen_anon_2.sk }
}

/// Tells that the socket is open, where that was skipped.
#[inline(always)]
fn catch_up(ctx: &SkBuffContext, cookie: u64, live: &mut Live, packet: Packet) {
    let sk = sk(ctx);
    if !sk.is_null()
        && let Some(sk) = Sock::of_context(sk.cast())
    {
        life::catch_up(cookie, live, sk, packet);
    }
}

/// Runs for every packet of a followed socket that may have payload: after the first one it is one compare.
#[inline(always)]
fn read(ctx: &SkBuffContext, cookie: u64, live: &mut Live, direction: u32) {
    let index = (direction & 1) as usize;
    let seen = live.seen[index];
    if seen == DONE || live.opened == 0 {
        return;
    }
    let Some(segment) = Segment::parse(ctx) else { return };
    // A segment that overtook the first one, or a keep-alive probe: wait for the first.
    if segment.sequence != live.first[index] {
        return;
    }
    live.seen[index] = match seen {
        0 if begins_with_preface(ctx, segment) => PREFACE,
        PREFACE..LAST => seen + 1,
        _ => DONE,
    };
    live.first[index] = segment.sequence.wrapping_add(segment.length);
    let direction = if seen < PREFACE { direction } else { direction | CONTINUED };
    // SAFETY: a helper without arguments.
    let at = unsafe { bpf_ktime_get_ns() };
    let subject = Subject { at, cookie, socket: &live.socket };
    if segment.length <= SMALL as u32 {
        copy::<SMALL>(ctx, &subject, segment, direction);
    } else if segment.length <= MIDDLE as u32 {
        copy::<MIDDLE>(ctx, &subject, segment, direction);
    } else {
        copy::<MAX_FIRST_BYTES>(ctx, &subject, segment, direction);
    }
}

/// `PRI * HTTP/2.0`
#[inline(always)]
fn begins_with_preface(ctx: &SkBuffContext, segment: Segment) -> bool {
    ctx.load::<[u8; 4]>(segment.offset as usize).is_ok_and(|bytes| bytes == *b"PRI ")
}

#[inline(always)]
fn copy<const N: usize>(ctx: &SkBuffContext, subject: &Subject<'_>, segment: Segment, direction: u32) {
    subject.fill::<Record<N>>(kind::FIRST_BYTES, |record| {
        // SAFETY: `record` points at a reserved record of this very type; `load` writes at most N bytes into `bytes`.
        unsafe {
            (&raw mut (*record).event.header).write(subject.header(kind::FIRST_BYTES));
            match payload::load::<N>(ctx, segment, (&raw mut (*record).bytes).cast()) {
                Some(length) => {
                    (&raw mut (*record).event.body).write(FirstBytes { direction, length });
                    true
                }
                None => false,
            }
        }
    });
}

#[inline(always)]
fn cookie(ctx: &SkBuffContext) -> u64 {
    // SAFETY: the helper takes the program's own context.
    unsafe { bpf_get_socket_cookie(ctx.as_ptr()) }
}
