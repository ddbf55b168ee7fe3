//! `kfree_skb`: segments that the kernel discards, with its own word for why.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::dropped;
use crate::field::{SkBuff, Sock, has_receiver, is_harmless, is_idle};
use crate::packet::Header;

/// Runs for every buffer that is freed as discarded, of whatever protocol: most are told apart by two compares.
#[btf_tracepoint(function = "kfree_skb")]
pub fn kfree_skb(ctx: BtfTracePointContext) -> i32 {
    let reason: u32 = ctx.arg(2);
    // The last ACK of a healthy close among them (trap 5).
    if is_idle() || is_harmless(reason) {
        return 0;
    }
    let skb = SkBuff::new(ctx.arg(0));
    let Some(header) = Header::parse(&skb) else { return 0 };
    // Who was to receive it, where this kernel says so (6.11), else who sent it.
    let receiver = if has_receiver() { Sock::new(ctx.arg(3)) } else { None };
    match receiver.or_else(|| skb.sock()) {
        Some(sk) => dropped::tell(&header, reason, sk.cookie_if_given(), |socket| sk.owner(socket)),
        None => dropped::tell(&header, reason, 0, |socket| socket.netns = skb.netns()),
    }
    0
}
