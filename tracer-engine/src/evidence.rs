//! What the kernel showed of one flow, in the words of `classification.md` section 7. Collected from the legs; what a
//! piece decides is said in `classify::strike`.

mod collect;
mod says;

pub use collect::{Circumstances, arrived_port, collect};

use crate::net::{Endpoint, Name};
use crate::record::LegKind;
use crate::socket::{ConnectError, HttpResponse, Payload};
use smallvec::SmallVec;
use std::net::IpAddr;

/// One row of the table, as seen on one flow.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Evidence<'a> {
    /// A socket on 15001 has the application's handshake.
    Captured,
    /// Another socket has it.
    Uncaptured,
    /// The proxy connects after the capture.
    UpstreamConnect {
        to: Endpoint,
    },
    /// It does not, and what it did was all seen. Proves nothing on HTTP chains.
    NoUpstream,
    /// First payload of the application's leg; the walk starts from it.
    AppSent(&'a Payload),
    /// First payload of the leg between the pods.
    HopBegins(Begins<'a>),
    /// First payload back on it, to a ClientHello.
    HopAnswers {
        tls: bool,
    },
    /// First payload back to the application: an HTTP response.
    Response {
        from: Responder,
        head: HttpResponse,
    },
    /// First payload back to the application: anything else. `tls`: a TLS record; `alert`: and an alert.
    Answer {
        tls: bool,
        alert: bool,
        http_status: Option<u16>,
    },
    /// Seen from the destination alone: the pod's address that it arrived at, and the port where the proxy's own does
    /// not hide it.
    ArrivedAt {
        ip: IpAddr,
        port: Option<u16>,
    },
    /// A socket on 15006 has the hop's handshake.
    InboundCaptured,
    /// Another socket of the destination has it.
    InboundUncaptured,
    /// The destination's proxy got through to the application; `payload`: and sent it some.
    LocalLeg {
        payload: Option<LocalPayload>,
    },
    /// The application refused the destination's proxy, at its last try.
    LocalRefused,
    /// The destination's proxy reset or closed the hop, bytes unread, and dialled nobody.
    RefusedByProxy,
    /// The hop was reset by its server end before an answer. `answered_tls`: a TLS record had come back before.
    HopReset {
        answered_tls: bool,
    },
    /// The application's own connection was ended by the other side without an answer.
    Cut {
        reset: bool,
    },
    /// A SYN got no connection, at the last try.
    ConnectFailed {
        leg: LegKind,
        error: ConnectError,
        to: Endpoint,
        by_proxy: bool,
    },
    SynRetransmitted {
        leg: LegKind,
        count: u32,
    },
    /// The kernel dropped segments of this leg for this reason. `opening`: the SYN or its answer was among them.
    Dropped {
        leg: LegKind,
        reason: &'a Name,
        count: u64,
        opening: bool,
    },
    /// The proxy connects by HBONE.
    Hbone,
    /// Established, and not a byte past the stall deadline.
    Silent,
    /// Closed by its opener before that, without a byte.
    NoPayload,
    /// The application presents a mesh ClientHello of its own; `kept`: the exchange went on, and the application ended it.
    AppMeshTls {
        kept: Option<bool>,
    },
}

/// How the leg between the pods begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begins<'a> {
    /// ClientHello with ALPN `istio*`.
    MeshTls {
        sni: Option<&'a str>,
    },
    /// Any other ClientHello.
    Tls,
    Plain,
}

/// Who wrote an HTTP response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Responder {
    /// No `x-envoy-upstream-service-time` on a captured flow: the source's proxy itself.
    SourceProxy,
    /// It came from the next hop: the application, or the proxy beside it.
    Upstream,
    /// No such header on an uncaptured flow, but `server: istio-envoy`: the destination's proxy itself.
    DestinationProxy,
    /// No proxy had a part in it.
    Application,
    /// The head was cut off.
    Unknown,
}

/// What the destination's proxy handed to the application first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LocalPayload {
    /// A ClientHello of the mesh, undecrypted.
    MeshTls,
    Other,
    /// It hung up without a byte, and hung up on the client, which had spoken.
    Nothing,
}

pub type Seen<'a> = SmallVec<[Evidence<'a>; 8]>;

impl Evidence<'_> {
    /// Whether this leaves no doubt what became of the flow, once it is clear what could.
    pub fn decisive(&self) -> bool {
        match self {
            Evidence::Response { from, .. } => *from != Responder::Unknown,
            Evidence::LocalLeg { payload } => payload.is_some(),
            Evidence::Answer { .. }
            | Evidence::NoUpstream
            | Evidence::HopAnswers { tls: false }
            | Evidence::LocalRefused
            | Evidence::RefusedByProxy
            | Evidence::ConnectFailed { .. }
            | Evidence::Silent
            | Evidence::NoPayload
            | Evidence::AppMeshTls { kept: Some(_) } => true,
            Evidence::Captured
            | Evidence::Uncaptured
            | Evidence::UpstreamConnect { .. }
            | Evidence::AppSent(_)
            | Evidence::HopBegins(_)
            | Evidence::ArrivedAt { .. }
            | Evidence::HopAnswers { tls: true }
            | Evidence::InboundCaptured
            | Evidence::InboundUncaptured
            | Evidence::HopReset { .. }
            | Evidence::Cut { .. }
            | Evidence::SynRetransmitted { .. }
            | Evidence::Dropped { .. }
            | Evidence::Hbone
            | Evidence::AppMeshTls { kept: None } => false,
        }
    }
}
