//! Where the running kernel keeps the fields that the probes read: the Rust answer to CO-RE.
//!
//! Found in the kernel's own BTF at start and written into the probes' read-only globals before they are loaded. A
//! field that this kernel lacks is a capability that is off, reported by name.

mod btf;

use std::fs;

use aya::{Btf, Endianness};
use tracer_common::ABSENT;

use super::{FieldStatus, KernelError};
use btf::Types;

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Everything that loading takes from the kernel's BTF.
pub(super) struct Layout {
    /// Values of the probes' globals, by name.
    pub offsets: Vec<(&'static str, u32)>,
    /// Fields that this kernel lacks.
    pub missing: Vec<FieldStatus>,
    /// The numbers of the tracepoints' types, and nothing else.
    pub tracepoints: Btf,
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

#[rustfmt::skip]
const FIELDS: [Field; 22] = [
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
    Field::required("NET__INUM", "net", "ns.inum"),
    Field::optional("CGROUP__KN", "cgroup", "kn", NO_CGROUP),
    Field::optional("KERNFS_NODE__ID", "kernfs_node", "id", NO_CGROUP),
    Field::required("TCP_SOCK__SPORT", "tcp_sock", "inet_conn.icsk_inet.inet_sport"),
    Field::required("TCP_SOCK__SND_UNA", "tcp_sock", "snd_una"),
    Field::required("TCP_SOCK__RCV_NXT", "tcp_sock", "rcv_nxt"),
    Field::optional("TCP_SOCK__COPIED_SEQ", "tcp_sock", "copied_seq", Some("whether an aborted connection left bytes unread")),
    Field::optional("TCP_SOCK__BYTES_SENT", "tcp_sock", "bytes_sent", Some("bytes sent")),
    Field::optional("TCP_SOCK__BYTES_RECEIVED", "tcp_sock", "bytes_received", Some("bytes received")),
];

impl Layout {
    /// Reads the running kernel's BTF once.
    pub(super) fn of_this_kernel(tracepoints: &[&str]) -> Result<Self, KernelError> {
        let no_btf = |why: String| KernelError::NoBtf(why);
        let types = Types::parse(fs::read(VMLINUX).map_err(|error| no_btf(error.to_string()))?)
            .map_err(|error| no_btf(error.to_string()))?;
        let mut offsets = Vec::with_capacity(FIELDS.len());
        let mut missing = Vec::new();
        for Field { global, structure, path, without } in &FIELDS {
            let offset = types.offset(structure, path);
            offsets.push((*global, offset.unwrap_or(ABSENT)));
            match (offset, without) {
                (Some(_), _) => {}
                (None, Some(without)) => missing.push(FieldStatus { structure, path, without }),
                (None, None) => return Err(KernelError::RequiredField { structure, path }),
            }
        }
        let typedefs: Vec<String> = tracepoints.iter().map(|name| format!("btf_trace_{name}")).collect();
        let tracepoints =
            Btf::parse(&types.skeleton(&typedefs), Endianness::default()).map_err(|error| no_btf(error.to_string()))?;
        Ok(Self { offsets, missing, tracepoints })
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
