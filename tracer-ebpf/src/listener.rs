//! SYNs that a full accept queue turns away (trap 8).
//!
//! The kernel counts them for the whole network namespace and tells nobody of one: `tcp_conn_request` frees the SYN as
//! consumed. But before that it filters it on the listener, and a listener knows how full its queue is.

use core::ffi::c_void;

use aya_ebpf::programs::SkBuffContext;
use tracer_common::{drop_reason, tcp_flags};

use crate::dropped;
use crate::field::Sock;
use crate::packet::Header;

/// A packet that came in for a listener.
#[inline(always)]
pub fn watch(ctx: &SkBuffContext, sk: *mut c_void) {
    let Some(listener) = Sock::of_context(sk) else { return };
    if !listener.accept_queue_is_full() {
        return;
    }
    let Some(header) = Header::parse(ctx) else { return };
    let syn = u32::from(header.flags) & (tcp_flags::SYN | tcp_flags::ACK | tcp_flags::RST) == tcp_flags::SYN;
    if syn {
        // Not the listener's cookie: many flows fail at it, and each is told by its own addresses.
        dropped::tell(&header, drop_reason::LISTEN_OVERFLOW, 0, |socket| listener.owner(socket));
    }
}
