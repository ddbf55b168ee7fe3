//! What the kernel's drop reasons mean. No object of the cluster mends a packet that the kernel dropped.

use super::{Promise, Text};

const fn says(explanation: &'static str, remedy: &'static str) -> Text {
    Text { explanation, remedy, promise: Promise::Nothing }
}

const ROUTING: Text = says(
    "The kernel found no route for the packets of this connection, or took their source address for a wrong one, and dropped them.",
    "Compare `ip route get` for both addresses on this node, and the CNI's routes to the other node; a reverse-path filter (`rp_filter`) wants the way back to be the same.",
);

const BUFFERS: Text = says(
    "The receiving socket's buffer was full, so the kernel dropped packets of this connection.",
    "Look why the application does not read: its cpu limit, a blocked thread; raise `net.ipv4.tcp_rmem` only if it reads and the bursts are larger.",
);

/// By the names of `enum skb_drop_reason`.
pub(super) const DROPPED: &[(&str, Text)] = &[
    (
        "NETFILTER_DROP",
        says(
            "A firewall rule of this node dropped or rejected the packets of this connection: a NetworkPolicy, or a rule of iptables or nftables.",
            "List the NetworkPolicies that select the destination pod (and the source, for egress) and allow this port; if none does, look at `nft list ruleset` in the pod and on the node.",
        ),
    ),
    (
        "TCP_LISTEN_OVERFLOW",
        says(
            "The application's accept queue was full, so the kernel turned new connections away without a word to the client.",
            "Look why the application does not accept (a blocked thread, a cpu limit); then raise its listen backlog and `net.core.somaxconn`, or add replicas.",
        ),
    ),
    ("IP_OUTNOROUTES", ROUTING),
    ("IP_INNOROUTES", ROUTING),
    ("IP_RPFILTER", ROUTING),
    ("SOCKET_RCVBUFF", BUFFERS),
    ("SOCKET_BACKLOG", BUFFERS),
];
