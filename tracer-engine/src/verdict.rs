//! What is said about a flow: class, reason, cause, security. The codes are a public contract
//! (`record`, metrics, `explain`): never renamed, never removed.

mod texts;

pub use texts::{Promise, Text, causes_of, dropped, kernel_reasons, rows, still_connecting, text, undetermined};

use crate::net::Name;
use smallvec::SmallVec;

/// Declares an enum whose variants each have one public code.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum $name { $($(#[$vmeta])* $variant,)* }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The public code, as in `classification.md`.
            pub const fn code(self) -> &'static str {
                match self { $($name::$variant => $code,)* }
            }

            pub fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.code() == code)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.code())
            }
        }
    };
}

codes! {
    /// How a connection was routed and whether it got through (section 2).
    Class {
        MeshRouted = "mesh-routed",
        HeadlessFallback = "headless-fallback",
        OpaqueTcp = "opaque-tcp",
        Rejected = "rejected",
        Unmeshed = "unmeshed",
        Undetermined = "undetermined",
    }
}

codes! {
    /// Where the walk ended (section 8). Each reason belongs to one class.
    Reason {
        AnyHost = "any-host",
        HostMatched = "host-matched",
        HostBalanced = "host-balanced",
        ServiceVip = "service-vip",
        ServiceEntryTakeover = "service-entry-takeover",
        HeadlessTcp = "headless-tcp",
        ServiceVipTcp = "service-vip-tcp",
        VirtualServiceTcp = "virtual-service-tcp",
        AmbientHbone = "ambient-hbone",
        PlaintextToStrict = "plaintext-to-strict",
        TlsWithoutMeshCertificate = "tls-without-mesh-certificate",
        TlsToHttpPort = "tls-to-http-port",
        NotHttpOnHttpPort = "not-http-on-http-port",
        IdentityMismatch = "identity-mismatch",
        MtlsNotTerminated = "mtls-not-terminated",
        NoVirtualHost = "no-virtual-host",
        NoRoute = "no-route",
        NoHealthyUpstream = "no-healthy-upstream",
        Blackhole = "blackhole",
        NoPayload = "no-payload",
        ServerFirstStall = "server-first-stall",
        AmbientPolicyDenied = "ambient-policy-denied",
        AuthorizationDenied = "authorization-denied",
        AppNotListening = "app-not-listening",
        Refused = "refused",
        TimedOut = "timed-out",
        Unreachable = "unreachable",
        Abandoned = "abandoned",
        Dropped = "dropped",
        StalePodIp = "stale-pod-ip",
        Passthrough = "passthrough",
        SourceUncaptured = "source-uncaptured",
        AppMtls = "app-mtls",
        Own = "self",
        NotInMesh = "not-in-mesh",
        FactsContradictEvidence = "facts-contradict-evidence",
    }
}

codes! {
    /// Why no mesh route with mTLS carried the call, most specific first (section 8).
    Cause {
        ProxyUid = "proxy-uid",
        SourcePortExcluded = "source-port-excluded",
        SourceRangeExcluded = "source-range-excluded",
        SourceNotInMesh = "source-not-in-mesh",
        WorkloadPolicyIgnoredByClient = "workload-policy-ignored-by-client",
        DestinationRuleDisable = "destination-rule-disable",
        AutoMtlsOff = "auto-mtls-off",
        ServiceEntryNone = "service-entry-none",
        MixedHeadlessEndpoints = "mixed-headless-endpoints",
        EndpointWithoutLabel = "endpoint-without-label",
        NonHttpOnHttpNamedPort = "non-http-on-http-named-port",
        HttpNamedHeadlessPort = "http-named-headless-port",
        TargetPortDialled = "target-port-dialled",
        ServiceNotVisible = "service-not-visible",
        HostIsPodIp = "host-is-pod-ip",
        HostUnknown = "host-unknown",
        PortUndeclared = "port-undeclared",
        AmbientToSidecar = "ambient-to-sidecar",
        SidecarToAmbient = "sidecar-to-ambient",
        EndpointTooNew = "endpoint-too-new",
        InboundPortExcluded = "inbound-port-excluded",
        LabelWithoutSidecar = "label-without-sidecar",
        DestinationRule = "destination-rule",
        AppTls = "app-tls",
        SourceSniffs = "source-sniffs",
        DestinationSniffs = "destination-sniffs",
        HttpCodec = "http-codec",
        /// Of `not-http-on-http-port`: HTTP that Envoy's codec does not take.
        InvalidRequest = "invalid-request",
        NoLocalPort = "no-local-port",
    }
}

codes! {
    /// Who encrypts between the pods.
    Security {
        MutualTls = "mutual-tls",
        Tls = "tls",
        AppTls = "app-tls",
        None = "none",
        Unknown = "unknown",
    }
}

codes! {
    /// Whether the kernel was seen to do it, or the facts say it would.
    Basis {
        Observed = "observed",
        Predicted = "predicted",
    }
}

/// Most specific first.
pub type Causes = SmallVec<[Cause; 3]>;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    pub class: Class,
    /// `None` only where the class is undetermined with candidates.
    pub reason: Option<Reason>,
    pub causes: Causes,
    /// The kernel's own word for why there was no connection: a drop reason, an errno. It stands before all causes.
    pub kernel: Option<Name>,
    pub security: Security,
    pub basis: Basis,
    /// What is still open; empty unless the class is undetermined.
    pub candidates: Vec<Candidate>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Candidate {
    pub reason: Reason,
    pub cause: Option<Cause>,
}

impl Reason {
    pub const fn class(self) -> Class {
        use Reason as R;
        match self {
            R::HostMatched | R::HostBalanced | R::ServiceVip | R::ServiceEntryTakeover => Class::MeshRouted,
            R::AnyHost => Class::HeadlessFallback,
            R::HeadlessTcp | R::ServiceVipTcp | R::VirtualServiceTcp | R::AmbientHbone => Class::OpaqueTcp,
            R::PlaintextToStrict
            | R::TlsWithoutMeshCertificate
            | R::TlsToHttpPort
            | R::NotHttpOnHttpPort
            | R::IdentityMismatch
            | R::MtlsNotTerminated
            | R::NoVirtualHost
            | R::NoRoute
            | R::NoHealthyUpstream
            | R::Blackhole
            | R::ServerFirstStall
            | R::AmbientPolicyDenied
            | R::AuthorizationDenied
            | R::AppNotListening
            | R::Refused
            | R::TimedOut
            | R::Unreachable
            | R::Abandoned
            | R::Dropped
            | R::StalePodIp => Class::Rejected,
            R::Passthrough | R::SourceUncaptured | R::AppMtls | R::Own | R::NotInMesh => Class::Unmeshed,
            R::NoPayload | R::FactsContradictEvidence => Class::Undetermined,
        }
    }
}

impl Verdict {
    /// The most specific cause.
    pub fn cause(&self) -> Option<Cause> {
        self.causes.first().copied()
    }

    /// Every cause as it is spelled in public, the most specific first.
    pub fn spelled_causes(&self) -> impl Iterator<Item = &str> {
        self.kernel.as_deref().into_iter().chain(self.causes.iter().map(|cause| cause.code()))
    }

    /// What it means and what to do.
    pub fn text(&self) -> Text {
        match (self.reason, self.kernel.as_deref()) {
            (Some(Reason::Dropped), Some(kernel)) => dropped(kernel),
            (Some(reason), _) => text(reason, self.cause()),
            (None, _) => undetermined(),
        }
    }
}
