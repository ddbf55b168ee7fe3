//! The public code of each word that has none in the engine. Exhaustive: a new word does not compile without one.

use tracer_engine::mesh::facts::Kind;
use tracer_engine::record::{
    EvidenceKind, LegKind, Mesh, Outcome, Reporter, ResetBy, Scope, SeenFrom, Traffic, UnknownReason,
};

/// A word of the engine that has a public spelling.
pub(in crate::sink) trait Spell {
    fn code(self) -> &'static str;
}

impl Spell for Reporter {
    fn code(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

impl Spell for UnknownReason {
    fn code(self) -> &'static str {
        match self {
            Self::FactsNotSynced => "facts-not-synced",
            Self::PodNotSeenYet => "pod-not-seen-yet",
            Self::AddressNotUnique => "address-not-unique",
        }
    }
}

impl Spell for Mesh {
    fn code(self) -> &'static str {
        match self {
            Self::Sidecar => "sidecar",
            Self::Ambient => "ambient",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

impl Spell for Scope {
    fn code(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::FirstRequest => "first-request",
        }
    }
}

impl Spell for SeenFrom {
    fn code(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
        }
    }
}

impl Spell for Traffic {
    fn code(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Probe => "probe",
            Self::Scrape => "scrape",
        }
    }
}

impl Spell for Outcome {
    fn code(self) -> &'static str {
        match self {
            Self::Established => "established",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::TimedOut => "timed-out",
            Self::Unreachable => "unreachable",
            Self::Abandoned => "abandoned",
            Self::Dropped => "dropped",
            Self::StillConnecting => "still-connecting",
            Self::Closed => "closed",
        }
    }
}

impl Spell for LegKind {
    fn code(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Capture => "capture",
            Self::Upstream => "upstream",
            Self::Inbound => "inbound",
            Self::Local => "local",
        }
    }
}

impl Spell for ResetBy {
    fn code(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

impl Spell for EvidenceKind {
    fn code(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::UpstreamConnect => "upstream-connect",
            Self::FirstBytes => "first-bytes",
            Self::InboundCaptured => "inbound-captured",
            Self::LocalLeg => "local-leg",
            Self::LocalRefused => "local-refused",
            Self::Reset => "reset",
            Self::ClosedUnread => "closed-unread",
            Self::Hbone => "hbone",
            Self::Dropped => "dropped",
            Self::SynRetransmit => "syn-retransmit",
            Self::TimedOut => "timed-out",
            Self::Unreachable => "unreachable",
            Self::Abandoned => "abandoned",
            Self::Refused => "refused",
            Self::Silent => "silent",
        }
    }
}

/// As Kubernetes and Istio spell them.
impl Spell for Kind {
    fn code(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::MeshConfig => "MeshConfig",
            Self::PeerAuthentication => "PeerAuthentication",
            Self::DestinationRule => "DestinationRule",
            Self::ServiceEntry => "ServiceEntry",
            Self::Sidecar => "Sidecar",
            Self::VirtualService => "VirtualService",
            Self::AuthorizationPolicy => "AuthorizationPolicy",
        }
    }
}

/// For status and metrics alike.
pub fn kind_name(kind: Kind) -> &'static str {
    kind.code()
}
