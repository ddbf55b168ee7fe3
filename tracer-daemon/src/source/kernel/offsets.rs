//! Where the running kernel keeps the fields that the probes read: the Rust answer to CO-RE.
//!
//! Found in the kernel's own BTF at start and written into the probes' read-only globals before they are loaded. A
//! field that this kernel lacks is a capability that is off, reported by name.

use std::collections::BTreeMap;
use std::fs;

use aya::{Btf, Endianness};
use tracer_common::ABSENT;

use super::btf::Types;
use super::reasons::Reasons;
use super::{FieldStatus, KernelError};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Everything that loading takes from the kernel's BTF.
pub(super) struct Layout {
    /// Values of the probes' globals, by name.
    pub offsets: Vec<(&'static str, u32)>,
    /// Fields that this kernel lacks.
    pub missing: Vec<FieldStatus>,
    /// The numbers of the hooks' types, and nothing else.
    pub hooks: Btf,
    /// Why this kernel drops packets, in its own words.
    pub reasons: Reasons,
}

/// The types that loading asks for by number.
pub(super) struct Wanted<'a> {
    pub tracepoints: &'a [&'static str],
    pub iterators: &'a [&'static str],
}

/// One field of a kernel structure that the probes read.
struct Field {
    /// The global of `tracer-ebpf/src/field.rs`.
    global: &'static str,
    structure: &'static str,
    path: &'static str,
    /// What cannot be told without it; `None`: nothing can be told at all.
    without: Option<&'static str>,
}

const NO_CGROUP: Option<&str> = Some("which pod owns a socket of the host's network namespace");

const NO_QUEUE: Option<&str> = Some("SYNs that a full accept queue turns away");
const NO_DROPS: Option<&str> = Some("which packets the kernel drops");
const NO_NETNS: Option<&str> = Some("in which pod a packet without a socket was dropped");

/// What else differs between kernels and is no field. A kernel whose `kfree_skb` gives no reason has no drops to tell.
const KFREE_SKB: &str = "kfree_skb";
/// Buffer, place, reason.
const KFREE_SKB_REASON: u32 = 3;

#[rustfmt::skip]
const FIELDS: [Field; 34] = [
    Field::required("SOCK__DADDR", "sock", "__sk_common.skc_daddr"),
    Field::required("SOCK__RCV_SADDR", "sock", "__sk_common.skc_rcv_saddr"),
    Field::required("SOCK__DPORT", "sock", "__sk_common.skc_dport"),
    Field::required("SOCK__FAMILY", "sock", "__sk_common.skc_family"),
    Field::optional("SOCK__FLAGS", "sock", "__sk_common.skc_flags", Some("bytes received without counting a FIN as one")),
    Field::required("SOCK__STATE", "sock", "__sk_common.skc_state"),
    Field::required("SOCK__NET", "sock", "__sk_common.skc_net.net"),
    Field::optional("SOCK__V6_DADDR", "sock", "__sk_common.skc_v6_daddr", Some("addresses of IPv6 sockets")),
    Field::optional("SOCK__V6_RCV_SADDR", "sock", "__sk_common.skc_v6_rcv_saddr", Some("addresses of IPv6 sockets")),
    Field::required("SOCK__UID", "sock", "sk_uid"),
    Field::optional("SOCK__MARK", "sock", "sk_mark", Some("which sockets are ztunnel's own")),
    Field::required("SOCK__ERR", "sock", "sk_err"),
    Field::optional("SOCK__CGROUP", "sock", "sk_cgrp_data.cgroup", NO_CGROUP),
    Field::optional("SOCK__ERR_SOFT", "sock", "sk_err_soft", Some("why a connect failed whose end the kernel skipped")),
    Field::required("NET__INUM", "net", "ns.inum"),
    Field::optional("CGROUP__KN", "cgroup", "kn", NO_CGROUP),
    Field::optional("KERNFS_NODE__ID", "kernfs_node", "id", NO_CGROUP),
    Field::optional("SOCK__COOKIE", "sock", "__sk_common.skc_cookie.counter", Some("which socket a dropped packet was for")),
    Field::optional("SOCK__ACK_BACKLOG", "sock", "sk_ack_backlog", NO_QUEUE),
    Field::optional("SOCK__MAX_ACK_BACKLOG", "sock", "sk_max_ack_backlog", NO_QUEUE),
    Field::optional("SOCKET__SK", "socket", "sk", Some("sockets that were open before the daemon started")),
    Field::optional("SK_BUFF__HEAD", "sk_buff", "head", NO_DROPS),
    Field::optional("SK_BUFF__NETWORK_HEADER", "sk_buff", "network_header", NO_DROPS),
    Field::optional("SK_BUFF__TAIL", "sk_buff", "tail", NO_DROPS),
    Field::optional("SK_BUFF__SK", "sk_buff", "sk", Some("which socket sent a dropped packet")),
    Field::optional("SK_BUFF__DEV", "sk_buff", "dev", NO_NETNS),
    Field::optional("NET_DEVICE__NET", "net_device", "nd_net.net", NO_NETNS),
    Field::required("TCP_SOCK__SPORT", "tcp_sock", "inet_conn.icsk_inet.inet_sport"),
    Field::required("TCP_SOCK__SND_UNA", "tcp_sock", "snd_una"),
    Field::required("TCP_SOCK__RCV_NXT", "tcp_sock", "rcv_nxt"),
    Field::optional("TCP_SOCK__COPIED_SEQ", "tcp_sock", "copied_seq", Some("whether an aborted connection left bytes unread")),
    Field::required("TCP_SOCK__BYTES_ACKED", "tcp_sock", "bytes_acked"),
    Field::optional("TCP_SOCK__BYTES_SENT", "tcp_sock", "bytes_sent", Some("bytes sent")),
    Field::optional("TCP_SOCK__BYTES_RECEIVED", "tcp_sock", "bytes_received", Some("bytes received")),
];

impl Layout {
    /// Why a tracepoint that this kernel has would tell nothing here.
    pub(super) fn lacks(&self, tracepoint: &str) -> Option<&'static str> {
        let arguments = self.offsets.iter().find(|(global, _)| *global == "KFREE_SKB__ARGUMENTS")?.1;
        let reasonless = tracepoint == KFREE_SKB && arguments != ABSENT && arguments < KFREE_SKB_REASON;
        reasonless.then_some("this kernel drops packets without a reason (5.17 and later give one)")
    }

    /// Reads the running kernel's BTF once.
    pub(super) fn of_this_kernel(wanted: &Wanted<'_>) -> Result<Self, KernelError> {
        let no_btf = |why: String| KernelError::NoBtf(why);
        let types = Types::parse(fs::read(VMLINUX).map_err(|error| no_btf(error.to_string()))?)
            .map_err(|error| no_btf(error.to_string()))?;
        let mut offsets = Vec::with_capacity(FIELDS.len());
        let mut missing = Vec::new();
        let mut structures = BTreeMap::new();
        for Field { global, structure, path, without } in &FIELDS {
            let found = structures.entry(structure).or_insert_with(|| types.structure(structure));
            let offset = found.and_then(|found| types.offset(found, path));
            offsets.push((*global, offset.unwrap_or(ABSENT)));
            match (offset, without) {
                (Some(_), _) => {}
                (None, Some(without)) => missing.push(FieldStatus { structure, path, without }),
                (None, None) => return Err(KernelError::RequiredField { structure, path }),
            }
        }
        let reasons = Reasons::of_this_kernel(&types);
        offsets.push(("KFREE_SKB__ARGUMENTS", types.tracepoint_arguments(KFREE_SKB).unwrap_or(ABSENT)));
        let typedefs: Vec<String> = wanted.tracepoints.iter().map(|name| format!("btf_trace_{name}")).collect();
        let functions: Vec<String> = wanted.iterators.iter().map(|name| format!("bpf_iter_{name}")).collect();
        let skeleton = types.skeleton(&typedefs, &functions);
        let hooks = Btf::parse(&skeleton, Endianness::default()).map_err(|error| no_btf(error.to_string()))?;
        Ok(Self { offsets, missing, hooks, reasons })
    }
}

impl Field {
    const fn required(global: &'static str, structure: &'static str, path: &'static str) -> Self {
        Self { global, structure, path, without: None }
    }

    const fn optional(
        global: &'static str,
        structure: &'static str,
        path: &'static str,
        without: Option<&'static str>,
    ) -> Self {
        Self { global, structure, path, without }
    }
}
