//! What the kernel said about a socket, in our words. `tracer-daemon::source::kernel::decode` makes these from wire
//! bytes, a tape from JSON, a test by hand.

use crate::net::{CgroupId, Cookie, Endpoint, Ktime, Name, NetNs};
use smallvec::SmallVec;
use std::net::IpAddr;

/// Everything that a kernel says.
#[derive(Clone, PartialEq, Debug)]
pub enum KernelEvent {
    Socket(SocketEvent),
    Dropped(Dropped),
    DropCount(DropCount),
    CgroupOwner(CgroupOwner),
}

/// One thing that happened to one socket. Every event bears the whole socket, so that a socket opened before the
/// tracer started can be adopted at its first event (trap 19).
#[derive(Clone, PartialEq, Debug)]
pub struct SocketEvent {
    pub at: Ktime,
    pub socket: Socket,
    pub change: SocketChange,
}

impl KernelEvent {
    pub fn at(&self) -> Ktime {
        match self {
            KernelEvent::Socket(event) => event.at,
            KernelEvent::Dropped(dropped) => dropped.at,
            KernelEvent::DropCount(count) => count.at,
            KernelEvent::CgroupOwner(owner) => owner.at,
        }
    }
}

/// A TCP socket as its own kernel sees it. On a captured connection the two ends do not agree about the addresses:
/// the client's socket has the dialled address as `remote`, the proxy's has 127.0.0.1:15001 or podIP:15006 as `local`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Socket {
    pub cookie: Cookie,
    pub local: Endpoint,
    pub remote: Endpoint,
    pub owner: Owner,
}

/// Who owns the socket, read where the kernel can know it: at SYN_SENT in the caller's context, for an accepted
/// socket from its listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Owner {
    pub netns: NetNs,
    /// `sk->sk_uid`
    pub uid: u32,
    /// Thread that called connect(2); 0 for accepted and adopted sockets.
    pub tid: u32,
    /// `sk->sk_mark`; ztunnel sets 0x539 on its own.
    pub mark: u32,
    pub cgroup: CgroupId,
}

/// The pair of initial sequence numbers of a connection. It is the same at both ends, through REDIRECT, DNAT and SNAT
/// and on two nodes: *it* joins the two sockets of a leg (`kernel.md`, trap 13).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Handshake {
    pub client_isn: u32,
    pub server_isn: u32,
}

#[derive(Clone, PartialEq, Debug)]
pub enum SocketChange {
    /// The SYN was sent again and nobody answered yet. `count` retransmissions so far, the first SYN not included.
    SynRetransmitted { since: Ktime, count: u8, client_isn: Option<u32> },
    /// SYN_SENT -> ESTABLISHED. `since`: when SYN_SENT was entered, or the event's own time where that was not seen. No
    /// handshake where the SYN carried data.
    Connected { since: Ktime, handshake: Option<Handshake> },
    /// SYN_SENT -> CLOSE.
    ConnectFailed { since: Ktime, error: ConnectError, client_isn: Option<u32> },
    /// SYN_RECV -> ESTABLISHED.
    Accepted { handshake: Option<Handshake> },
    /// The first payload of one direction, once per socket and direction.
    FirstBytes { direction: Direction, payload: Payload },
    /// Any state -> CLOSE after ESTABLISHED.
    Closed(Close),
    /// It was open before the tracer was, and was found among the open files at start.
    Found,
    /// As `Found`, of a listener: its port tells which end of such a connection is the server's.
    Listening,
    /// It is no more, and its close was not told (trap 20): when it ended, how and with how many bytes is not known.
    Gone,
}

/// A TCP segment that the kernel discarded, and its own word for why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dropped {
    pub at: Ktime,
    /// As the running kernel spells it: `NETFILTER_DROP`.
    pub reason: Name,
    /// The segment's addresses where it was discarded: REDIRECT and DNAT may have changed them by then.
    pub source: Endpoint,
    pub destination: Endpoint,
    /// The socket that sent it or was to receive it, where the kernel knows one.
    pub cookie: Option<Cookie>,
    pub netns: NetNs,
    pub segment: Segment,
}

/// Which part of a connection a segment is, as far as it tells whose it is. Sequence numbers pass every NAT unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Segment {
    Syn {
        client_isn: u32,
    },
    /// The answer to a SYN, or the RST instead of one.
    SynAnswer {
        client_isn: u32,
    },
    Other,
}

/// Segments dropped between two addresses for one reason, since this was last said: exact, also where there were too
/// many to tell one by one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DropCount {
    pub at: Ktime,
    pub reason: Name,
    /// `None`: between whom is not known any more, or there were too many pairs.
    pub between: Option<(IpAddr, IpAddr)>,
    pub count: u64,
}

/// A cgroup is one of this pod, or of none: the kubelet names a pod's cgroup after the pod's uid. Told before the first
/// event of a socket in it, where it was found in time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CgroupOwner {
    pub at: Ktime,
    pub cgroup: CgroupId,
    /// `metadata.uid`; of a static pod what the kubelet calls it, `kubernetes.io/config.hash`. `None`: the node's own.
    pub pod: Option<Name>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ConnectError {
    /// ECONNREFUSED: a RST answered the SYN.
    Refused,
    /// ECONNREFUSED without a RST: an ICMP error did (port unreachable), as a firewall's `reject` sends it.
    RefusedByIcmp,
    /// ETIMEDOUT
    TimedOut,
    /// An ICMP error, no neighbour or no route: which, as far as the errno tells.
    Unreachable(Unreachable),
    /// `sk_err` 0: the owner gave up first; the kernel saw no error (trap 3).
    Abandoned,
    /// `sk_err` 0 and source port 0: no ephemeral port was left (trap 17).
    NoLocalPort,
    /// Another errno, as the kernel numbers it.
    Other(u16),
}

/// What an ICMP error leaves of itself in `sk_err` (`icmp_err_convert`, `icmpv6_err_convert`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unreachable {
    /// EHOSTUNREACH: host unreachable, administratively prohibited, or the neighbour did not answer.
    Host,
    /// ENETUNREACH: network unreachable.
    Network,
    /// ENOPROTOOPT, EPROTO: protocol unreachable, or a parameter problem.
    Protocol,
    /// EACCES: communication administratively prohibited (ICMPv6).
    Prohibited,
    /// Another errno that only ICMP sets: EHOSTDOWN, ENONET, EMSGSIZE, EOPNOTSUPP, ENETDOWN.
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Direction {
    Sent,
    Received,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Close {
    /// When the socket was ESTABLISHED, where it was seen.
    pub opened: Option<Ktime>,
    /// `tcp_sock.bytes_sent`: payload bytes, retransmissions included.
    pub sent: u64,
    /// `tcp_sock.bytes_received`
    pub received: u64,
    pub reset: Option<Reset>,
    /// Who closed first: this end entered FIN_WAIT1 before it received a FIN (`This`), or CLOSE_WAIT before it sent one
    /// (`Peer`). `None`: neither was seen (a reset, or a socket adopted while it was closing).
    pub first_fin: Option<End>,
    /// ESTABLISHED (or CLOSE_WAIT) -> CLOSE directly with bytes that nobody read: the kernel sends RST
    /// (`tcp_close`: data was not read).
    pub unread: bool,
}

/// One of the two ends of a connection, seen from one of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum End {
    This,
    Peer,
}

/// Who sent the RST that ended the connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reset {
    /// This socket received it.
    Received,
    /// This socket's kernel sent it.
    Sent,
}

/// What the first payload of one direction was. Nothing else of it is kept (privacy: never a path, header or body).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payload {
    /// An HTTP/1.x request. `host`: the Host header, absent where the head was cut off before it.
    Http1 { host: Option<Name> },
    /// HTTP/2 client preface. `authority` from the first HEADERS where it was in the same bytes.
    Http2 { authority: Option<Name> },
    /// TLS ClientHello. Fields absent where the record was cut off before them.
    ClientHello(ClientHello),
    /// A TLS record that is no ClientHello, as the answer to one: ServerHello (content type 22) or an alert (21).
    /// `length`: bytes of the payload that it began, as far as they were read.
    TlsAnswer { alert: bool, length: u16 },
    /// An HTTP/1.x response head.
    HttpResponse(HttpResponse),
    /// HTTP/2 frames from the server (its SETTINGS come first). `status` where the first HEADERS was in the same bytes.
    Http2Response { status: Option<u16> },
    /// None of these.
    Other,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientHello {
    pub sni: Option<Name>,
    pub alpn: SmallVec<[Name; 4]>,
    /// All extensions were within the bytes seen: an absent SNI or ALPN was really not sent.
    pub complete: bool,
}

/// Who answered: `classification.md` section 7, `first-bytes(response)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HttpResponse {
    pub status: u16,
    /// `x-envoy-upstream-service-time` is there: not the source proxy itself. `None`: the head was cut off.
    pub upstream_service_time: Option<bool>,
    /// `server: envoy` or `istio-envoy`.
    pub envoy: bool,
    /// `content-length: 0`. `None`: no such header seen.
    pub empty_body: Option<bool>,
    /// How the body begins; only so much of it is looked at as tells a proxy's own words from an application's.
    /// `None`: it was not in the bytes seen.
    pub body: Option<ResponseBody>,
}

/// An application's 503 and a destination proxy's look alike but for this.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ResponseBody {
    /// `upstream connect error or disconnect/reset before headers. [retried and the latest ]reset reason: [remote
    /// |local ]connection failure...`: nobody accepted the proxy's connection to the next hop.
    UpstreamConnectionFailure,
    /// `upstream connect error or disconnect/reset before headers` for any other reason, or cut off before it: the next
    /// hop may have accepted the request and died of it.
    UpstreamConnectError,
    /// `no healthy upstream`
    NoHealthyUpstream,
    /// `RBAC: access denied`
    AccessDenied,
    /// None of Envoy's own.
    Other,
}

impl ClientHello {
    /// Mesh mTLS as Istio's proxies begin it: ALPN with `istio`, `istio-peer-exchange`, `istio-http/1.1`, `istio-h2`.
    pub fn is_mesh(&self) -> bool {
        self.alpn.iter().any(|p| p.starts_with("istio"))
    }
}
