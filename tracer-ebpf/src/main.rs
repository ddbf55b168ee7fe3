//! The kernel side of mesh-tracer: reads a socket, fills an event, submits it. Thin by design: whatever can be
//! decided later is decided in user space.
//!
//! A state change that is not interesting costs two compares. An interesting one looks at one place of an array, and emits
//! at most one event: `connect`, `accept`, `first bytes` (once per direction), `close`, and rarely `SYN retransmit`.
//!
//! `set_state` the spine: connect, accept, close · `life` what is told of them, in time or late · `child` a listener's,
//! before it is open · `destroyed` sockets whose close was skipped · `reset` who reset · `retransmit` unanswered SYNs ·
//! `first_bytes` payload · `early` payload that came before its socket · `kfree_skb` and `listener` what is dropped,
//! `dropped` how it is counted and told · `open` sockets older than the probes · `gone` sockets whose end nobody told ·
//! `scope` whose traffic is traced · `live` the sockets being followed · `field` reading kernel structures · `packet`
//! reading headers · `ring` the way out.
#![no_std]
#![no_main]
#![expect(internal_features, reason = "core_intrinsics: atomics (ring::count, live::keep)")]
#![feature(core_intrinsics)]

mod child;
mod destroyed;
mod dropped;
mod early;
mod field;
mod first_bytes;
mod gone;
mod iterator;
mod kfree_skb;
mod listener;
mod life;
mod live;
mod open;
mod packet;
mod payload;
mod reset;
mod retransmit;
mod ring;
mod scope;
mod set_state;
mod state;

/// `bpf_get_socket_cookie` in tracing programs and the ring buffer are offered to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses a program that could get here, so none can.
    loop {}
}
