//! The hooks, one essay each: which kernel function, why, what it cannot see, since when.
//!
//! All of them are BTF tracepoints or programs on a cgroup: kernels without kprobes and fentry exist, kernels of 5.15
//! and later without these do not.

use std::time::Duration;

use aya::programs::CgroupSkbAttachType;

use super::{HookState, HookStatus, KernelError};

/// A place of the kernel where a program of `tracer-ebpf` runs.
pub(super) struct Hook {
    /// The kernel's own name of it.
    pub name: &'static str,
    /// The function of `tracer-ebpf`.
    pub program: &'static str,
    pub point: Point,
    /// Without it nothing can be told, so the daemon does not start.
    pub required: bool,
    /// What can no longer be told without it.
    pub without: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Point {
    Tracepoint(&'static str),
    /// Runs once, when it is read.
    Iterator(&'static str),
    /// Runs over the maps of live sockets whenever somebody asks for it.
    Sweep(&'static str),
    Cgroup(CgroupSkbAttachType),
}

pub(super) const HOOKS: [Hook; 11] = [
    SET_STATE,
    CONG_STATE_SET,
    DESTROY_SOCK,
    RECEIVE_RESET,
    SEND_RESET,
    RETRANSMIT,
    KFREE_SKB,
    FIRST_BYTES_SENT,
    FIRST_BYTES_RECEIVED,
    OPEN_SOCKETS,
    GONE_SOCKETS,
];

/// Every change of a socket's state.
pub(super) const STATES: &str = "inet_sock_set_state";
/// What the kernel skips of it is told by whoever meets the socket next, where all of these are.
pub(super) const MAKE_UP_FOR_STATES: [&str; 4] =
    ["tcp_cong_state_set", "tcp_destroy_sock", "cgroup_skb/egress", "cgroup_skb/ingress"];
/// What it misses is no absence that proves anything: drops explain what was seen otherwise.
pub(super) const DROPS: &str = "kfree_skb";
/// Its absence makes a refused connect ambiguous: by a RST, or by ICMP.
pub(super) const SEES_RESETS: &str = "tcp_receive_reset";

/// `inet_sk_state_store`, which every change of a TCP socket's state goes through: connect, accept, fail, close.
///
/// SYN_SENT is entered in the caller's context, so the calling thread is known there and only there; ESTABLISHED and
/// CLOSE come in softirq as often as not. Cannot see: a connect that fails before SYN_SENT (no route, a cgroup hook
/// that refuses; trap 17), a SYN that a listener drops, a connection that waits in the accept queue. Since 4.16;
/// with BTF 5.5.
const SET_STATE: Hook =
    Hook { name: STATES, program: STATES, point: Point::Tracepoint(STATES), required: true, without: "everything" };

/// `tcp_ca_openreq_child`, for every child that a listener makes, before it is open.
///
/// Since 6.1 the kernel skips a tracing program that would interrupt itself: one change of state in some thousands on a busy
/// cpu, when a softirq opens or closes a connection while a process opens another. What this remembers of a child lets whoever
/// meets it next tell that it is open: its next packet with payload, or its end. Since 5.19.
const CONG_STATE_SET: Hook = Hook {
    name: "tcp_cong_state_set",
    program: "tcp_cong_state_set",
    point: Point::Tracepoint("tcp_cong_state_set"),
    required: false,
    without: "some accepted connections of a busy cpu: what the kernel skips is then counted as missed",
};

/// `tcp_v4_destroy_sock`, for every TCP socket that is no more.
///
/// One that is followed still was closed while another change of state was handled on its cpu, and the kernel skipped the
/// program that tells of it. Cannot see: from which state it was closed, so not who closed first. Since 4.15; with BTF 5.5.
const DESTROY_SOCK: Hook = Hook {
    name: "tcp_destroy_sock",
    program: "tcp_destroy_sock",
    point: Point::Tracepoint("tcp_destroy_sock"),
    required: false,
    without: "some closes of a busy cpu: what the kernel skips is then counted as missed",
};

/// `tcp_reset`, when a RST was accepted for a socket, right before that goes to CLOSE.
///
/// CLOSE alone does not tell a reset from an abort or a timeout, and `sk_err` may have been fetched by the owner.
/// Cannot see: a RST that fits no socket or no window. Since 4.15; with BTF 5.5.
const RECEIVE_RESET: Hook = Hook {
    name: SEES_RESETS,
    program: "tcp_receive_reset",
    point: Point::Tracepoint("tcp_receive_reset"),
    required: false,
    without: "that the peer reset a connection, and whether a RST or ICMP refused one",
};

/// `tcp_v4_send_reset`, `tcp_v6_send_reset` and `tcp_send_active_reset`.
///
/// Tells of the resets that come before CLOSE. The usual ones, a close with unread data or with SO_LINGER 0, come after
/// it: those are told by the way the socket went to CLOSE. Cannot see: resets of no socket before 6.10. A RST for data
/// that came after FIN_WAIT2 is not told at all: by then the close was. Since 4.15; with BTF 5.5.
const SEND_RESET: Hook = Hook {
    name: "tcp_send_reset",
    program: "tcp_send_reset",
    point: Point::Tracepoint("tcp_send_reset"),
    required: false,
    without: "resets that this end's kernel sends before it closes the socket",
};

/// `__tcp_retransmit_skb`, of which only SYNs are told: the first retransmission, after a second, and the third.
///
/// Says that nobody answers while the connect still hangs, two minutes before it times out. Cannot see: retransmitted
/// SYN-ACKs (they have a tracepoint of their own). Since 4.15; with BTF 5.5.
const RETRANSMIT: Hook = Hook {
    name: "tcp_retransmit_skb",
    program: "tcp_retransmit_skb",
    point: Point::Tracepoint("tcp_retransmit_skb"),
    required: false,
    without: "that a connect gets no answer, before it times out",
};

/// `kfree_skb_reason`, for every buffer that is freed because it is discarded, with the kernel's word for why.
///
/// The only place that all drops pass: netfilter, routing, no socket, full buffers. Most of what passes has no reason
/// (the last ACK of a healthy close among it, trap 5) and costs two compares. On ingress there is no socket yet, so a
/// drop is attributed by the packet's own addresses (trap 6), and by its receiver where the kernel knows one (6.11).
/// Cannot see: what XDP or tc drops, and SYNs that a full accept queue turns away, which are freed as consumed: those
/// are seen at `cgroup_skb/ingress` (trap 8). Since 5.17 with a reason.
const KFREE_SKB: Hook = Hook {
    name: DROPS,
    program: "kfree_skb",
    point: Point::Tracepoint("kfree_skb"),
    required: false,
    without: "which packets the kernel drops, and why a connect gets no answer",
};

/// `ip_finish_output` and `ip6_finish_output`, for every packet that a socket sends, segmentation not yet done: a whole
/// ClientHello is one packet here.
///
/// The first payload tells what protocol was spoken, to which host, and with whose TLS. On the root of cgroup2, so that
/// it sees every socket of the node. Cannot see: what is sent by kTLS offload before encryption, or by splice beyond
/// the first packet. Also tells that a client is open where the change of state was skipped: its third ACK passes here. Needs
/// CAP_NET_ADMIN and the host's cgroup2. Since 4.10; with links 5.7.
const FIRST_BYTES_SENT: Hook = Hook {
    name: "cgroup_skb/egress",
    program: "first_bytes_sent",
    point: Point::Cgroup(CgroupSkbAttachType::Egress),
    required: false,
    without: "the protocol, host and TLS of what is sent (first bytes)",
};

/// `sk_filter_trim_cap`, for every packet that is about to be given to a socket.
///
/// The first payload of the other direction: who answered, and with what. With TCP_DEFER_ACCEPT or a lost third ACK it
/// runs on the listener (trap 18). Cannot see: a segment that was merged into another before (the first bytes are the
/// first all the same). Needs and since: as above.
const FIRST_BYTES_RECEIVED: Hook = Hook {
    name: "cgroup_skb/ingress",
    program: "first_bytes_received",
    point: Point::Cgroup(CgroupSkbAttachType::Ingress),
    required: false,
    without: "the protocol, host and TLS of what is received, and who answered (first bytes); full accept queues",
};

/// The iterator over the open files of every process, read once at start: sockets that are older than the probes.
///
/// They are then known from the start instead of from their next event, which may be their close. Cannot see: sockets
/// that no process holds any more, and processes outside of this process's pid namespace: in a pod without hostPID it
/// finds the daemon's own. What it does not find is adopted at its next event (trap 19). Since 5.11.
const OPEN_SOCKETS: Hook = Hook {
    name: "iter/task_file",
    program: "open_sockets",
    point: Point::Iterator("task_file"),
    required: false,
    without: "sockets that were open before the daemon started, until something happens to them",
};

/// The iterator over the maps of live sockets, read every few minutes: those that are no more although nobody told (trap 20).
///
/// Not every CLOSE is told: on 6.18 one or two of 100,000 sockets went without, in some runs, and without a word from
/// `tcp_destroy_sock` or perf either. Why is not known; no run of a program was skipped. So the only witness is the memory:
/// it looks whether each socket is still where it was, in whatever network namespace. It never ends a socket that lives,
/// be it idle for days. Cannot see: how and when the socket ended; sockets that found the map full. Since 5.9.
const GONE_SOCKETS: Hook = Hook {
    name: "iter/bpf_map_elem",
    program: "gone_sockets",
    point: Point::Sweep("bpf_map_elem"),
    required: false,
    without: "the end of a socket whose close the kernel did not tell: its flow stays open",
};

impl Hook {
    /// An error where a required hook is absent.
    pub(super) fn status(&self, state: HookState) -> Result<HookStatus, KernelError> {
        let Self { name, program: _, point: _, required, without } = *self;
        match state {
            HookState::Absent { why } if required => Err(KernelError::required(name, why)),
            state => Ok(HookStatus { name, required, state, without, missed: 0, run_time: Duration::ZERO }),
        }
    }
}
