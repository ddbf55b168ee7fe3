//! `tcp_retransmit_skb`: a SYN that nobody answers, told while the connect still hangs.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use tracer_common::{SynRetransmit, kind};

use crate::field::{Sock, is_idle};
use crate::live;
use crate::ring::Subject;
use crate::state::SYN_SENT;

/// Told at the first retransmission (1 s) and at the third (7 s): the second says nothing new, later ones neither.
#[btf_tracepoint(function = "tcp_retransmit_skb")]
pub fn tcp_retransmit_skb(ctx: BtfTracePointContext) -> i32 {
    if is_idle() {
        return 0;
    }
    let Some(sk) = Sock::new(ctx.arg(0)) else { return 0 };
    if i32::from(sk.state()) != SYN_SENT {
        return 0;
    }
    let cookie = live::cookie(sk);
    let Some(tcp) = sk.tcp() else { return 0 };
    let Some(live) = live::find(cookie) else { return 0 };
    live.syn_retransmits = live.syn_retransmits.saturating_add(1);
    if live.syn_retransmits == 1 || live.syn_retransmits == 3 {
        sk.tuple(tcp, &mut live.socket);
        // SAFETY: a helper without arguments.
        let at = unsafe { bpf_ktime_get_ns() };
        let (count, client_isn) = (u32::from(live.syn_retransmits), tcp.snd_una());
        let body = SynRetransmit { since: live.since, count, client_isn };
        Subject { at, cookie, socket: &live.socket }.emit(kind::SYN_RETRANSMIT, body);
    }
    0
}
