//! The walk's question and its answers: plain data, without a rule. `classify` strikes answers out, `explain` prints
//! their steps.

use crate::mesh::facts::ObjectKey;
use crate::mesh::xds::virtual_host::is_valid;
use crate::net::{Endpoint, Name};
use crate::verdict::{Causes, Reason, Security};
use smallvec::SmallVec;
use std::fmt;
use std::net::IpAddr;

/// Versions of Istio that the rules were checked against.
pub(super) const TESTED: &str = "1.30";

/// What is asked: who dials what, and what the application sends there.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Call {
    pub from: Source,
    pub to: Endpoint,
    pub sends: Sends,
    /// Owner of the application's socket; `None`: an ordinary one, not the proxy's uid.
    pub uid: Option<u32>,
    /// The request's path where the caller of a what-if may fix it (`/`); `None` for observed flows: it is never read,
    /// and a route that depends on it forks.
    pub path: Option<Name>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    Pod(ObjectKey),
    /// No pod has this address: a node, or something outside the cluster.
    Ip(IpAddr),
}

/// First bytes of the application, as far as known.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Sends {
    /// Not seen: the walk forks over all the others.
    Unknown,
    /// The server speaks first.
    Nothing,
    Http {
        http2: bool,
        host: Known<Option<Name>>,
    },
    Tls {
        sni: Known<Option<Name>>,
        alpn: SmallVec<[Name; 4]>,
    },
    /// The client speaks first, neither HTTP nor TLS.
    Other,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Known<T> {
    Yes(T),
    No,
}

/// Every end that the facts leave open.
pub type Outcomes = Vec<Outcome>;

/// One end of the walk, with everything that evidence can contradict.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    pub reason: Reason,
    pub causes: Causes,
    /// `Security::Unknown` where nothing crosses between the pods.
    pub security: Security,
    /// What the application was assumed to send on this path (never `Unknown`).
    pub sends: Sends,
    pub path: Path,
    pub steps: Vec<Step>,
    pub caveats: Vec<Caveat>,
}

/// What the kernel would show of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Path {
    /// S1: a socket on 15001 takes the application's connection.
    pub captured: bool,
    /// S3: the source proxy waits for the first bytes before it dials on.
    pub source_sniffs: bool,
    /// S3 took the HTTP chain: connections onwards are pooled, so the absence of one proves nothing.
    pub http_chain: bool,
    /// Status of an answer that the source proxy gives by itself (502, 503, 404, 400).
    pub proxy_answers: Option<u16>,
    /// S5, S6: where the bytes go next. Uncaptured: the dialled address itself. `None`: nowhere (blackhole, stall ...).
    pub hop: Option<Hop>,
    /// What becomes of it at the destination; `None` where there is no hop.
    pub arrival: Option<Arrival>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hop {
    pub to: HopTarget,
    pub begins: HopBytes,
    /// The Service (or ServiceEntry host) whose cluster the proxy chose; `None` for passthrough and uncaptured.
    pub cluster: Option<Cluster>,
}

/// `outbound|port|subset|host`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cluster {
    pub host: Name,
    pub port: u16,
    pub subset: Option<Name>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HopTarget {
    /// ORIGINAL_DST: the dialled address stays.
    Dialled(Endpoint),
    /// The proxy picked this endpoint (the walk forks over endpoints only where the outcome depends on it; all the
    /// endpoints that share this outcome are listed).
    OneOf(Vec<Endpoint>),
    /// Not known to the facts (a DNS name; a VIP that passes through to kube-proxy).
    Unknown,
}

/// The first payload on the hop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HopBytes {
    /// ClientHello with ALPN `istio*` and this SNI.
    MeshTls { sni: Name, http: bool },
    /// The proxy begins TLS without a mesh certificate (DestinationRule SIMPLE, MUTUAL).
    Tls,
    /// HBONE to podIP:15008: a ClientHello of ztunnel (ALPN `h2`, no SNI), socket mark 0x539.
    Hbone,
    /// As the application sent them.
    AsSent,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Arrival {
    /// D1: a socket on 15006 takes it. False: the application itself accepts it.
    pub captured: bool,
    pub end: ArrivalEnd,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ArrivalEnd {
    /// The application gets the bytes (if it listens).
    Delivered,
    /// No filter chain: closed unread, RST.
    NoFilterChain,
    /// The destination answers the ClientHello, then an alert.
    HandshakeFails,
    /// HTTP codec error: 400, close.
    CodecError,
    /// The listener waits for bytes that never come.
    Stalls,
    /// A ClientHello of the mesh reaches somebody who cannot terminate it.
    MtlsNotTerminated,
    /// The hop's certificate is not one the source accepts.
    IdentityMismatch,
    /// Closed by ztunnel's policy.
    PolicyDenied,
}

/// One line of `explain`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    pub at: Place,
    /// What is decided: `no listener for 10.244.1.7:9300: PassthroughCluster, plaintext`.
    pub says: String,
    /// The object or default that decides it: `PeerAuthentication search/default`, `ALLOW_ANY (mesh default)`.
    pub because: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    Source,
    SourceProxy,
    Network,
    DestinationProxy,
    Application,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Caveat {
    /// An AuthorizationPolicy selects the destination; it is not evaluated.
    AuthorizationPolicy { policy: ObjectKey, pod: Name },
    /// The proxy's version is outside those that the rules were checked against.
    UntestedProxyVersion { pod: Name, version: Name },
    /// No truth covers ambient.
    Ambient,
    /// A fact that the walk needed is not there.
    Missing(String),
    /// A route depends on what is never read (path, headers).
    UnseenMatch { virtual_service: ObjectKey },
}

impl Sends {
    /// HTTP without a Host, or with one that Envoy does not take.
    pub(super) fn is_invalid_request(&self) -> bool {
        match self {
            Sends::Http { host: Known::Yes(host), .. } => !host.as_deref().is_some_and(is_valid),
            _ => false,
        }
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "outbound|{}|{}|{}", self.port, self.subset.as_deref().unwrap_or_default(), self.host)
    }
}

impl fmt::Display for Caveat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caveat::AuthorizationPolicy { policy, pod } => {
                write!(f, "AuthorizationPolicy {policy} selects {pod} and is not evaluated")
            }
            Caveat::UntestedProxyVersion { pod, version } => {
                write!(f, "the proxy of {pod} is version {version}: these rules were checked against Istio {TESTED}")
            }
            Caveat::Ambient => {
                f.write_str("ambient mode: no configuration of Istio's own was there to check this against")
            }
            Caveat::Missing(what) => f.write_str(what),
            Caveat::UnseenMatch { virtual_service } => {
                write!(
                    f,
                    "a route of VirtualService {virtual_service} depends on what is not known of the request (path, headers, method, query)"
                )
            }
        }
    }
}

impl Place {
    /// The public code, `steps[].at`.
    pub const fn code(self) -> &'static str {
        match self {
            Place::Source => "source",
            Place::SourceProxy => "source-proxy",
            Place::Network => "network",
            Place::DestinationProxy => "destination-proxy",
            Place::Application => "application",
        }
    }
}
