//! What a person who holds a reason in their hands looks at next.

use crate::alert::Alert;
use tracer_engine::verdict::Reason;

pub(crate) struct Page {
    /// How it looks in the access logs, a sentence or two of Markdown.
    pub(crate) envoy: &'static str,
    /// Commands that show it without mesh-tracer.
    pub(crate) confirm: &'static [&'static str],
    /// `None`: nothing is wrong.
    pub(crate) alert: Option<Alert>,
}

const LISTENER: &str = "istioctl proxy-config listeners CLIENT --address IP --port PORT   # no line: the catch-all";
const SHARED: &str = "istioctl proxy-config listeners CLIENT --address 0.0.0.0 --port PORT";
const ROUTES: &str = "istioctl proxy-config routes CLIENT --name PORT -o json   # the domains of each virtual host";
const CLUSTERS: &str =
    "istioctl proxy-config clusters CLIENT --fqdn SERVICE --port PORT -o json   # type, transportSocket";
const ENDPOINTS: &str = "istioctl proxy-config endpoints CLIENT --cluster 'outbound|PORT||SERVICE'";
const INBOUND: &str = "istioctl proxy-config listeners SERVER --port 15006   # the filter chains of PORT";
const DESCRIBE: &str = "istioctl experimental describe pod SERVER   # Services, ports, PeerAuthentication";
const POLICIES: &str = "kubectl get peerauthentication -A";
const WHOSE_IP: &str = "kubectl get pods -A -o wide --field-selector status.podIP=IP   # whose address it is";
const SLICES: &str = "kubectl get endpointslices -A -o wide | grep IP   # which Services and ports name it";
const CLIENT_LOG: &str = "kubectl logs CLIENT -c istio-proxy --since=10m | grep IP:PORT";
const SERVER_LOG: &str = "kubectl logs SERVER -c istio-proxy --since=10m | grep PORT";
const CAPTURE: &str =
    "kubectl get pod CLIENT -o yaml | grep -A16 -E 'istio-init|traffic.sidecar.istio.io'   # its capture scope";
const SOCKETS: &str = "kubectl exec SERVER -- ss -ltn   # what listens, and on which address";
const ZTUNNEL: &str = "istioctl ztunnel-config workloads | grep IP   # PROTOCOL: HBONE or TCP";
const OUTBOUND_POLICY: &str =
    "kubectl get configmap istio -n istio-system -o yaml | grep -A2 outboundTrafficPolicy; kubectl get sidecar -A";

const GOOD_HTTP: &str = "Source: `200 - via_upstream` on `outbound|PORT||SERVICE` with the dialled ip as upstream host; destination: `200 - via_upstream` on `inbound|PORT||`.";
const GOOD_TCP: &str = "Source: `0 -` (TCP) on `outbound|PORT||SERVICE`; destination: `0 -` on `inbound|PORT||`.";

/// Each reason has one: a new reason does not compile without.
pub(crate) fn of(reason: Reason) -> Page {
    use Reason as R;
    let (envoy, confirm, alert): (&'static str, &'static [&'static str], Option<Alert>) = match reason {
        R::AnyHost => (GOOD_HTTP, &[LISTENER, CLUSTERS, CLIENT_LOG], None),
        R::HostMatched => (GOOD_HTTP, &[SHARED, ROUTES, CLUSTERS], None),
        R::HostBalanced => (
            "Source: `200 - via_upstream` on `outbound|PORT||SERVICE`, and the upstream host is an endpoint of the Service: not necessarily the dialled ip, which stands in the downstream local address.",
            &[ROUTES, ENDPOINTS, CLIENT_LOG],
            None,
        ),
        R::ServiceVip => (
            "Source: `200 - via_upstream` on `outbound|PORT||SERVICE`; the downstream local address is the Service's ip.",
            &[ROUTES, ENDPOINTS],
            None,
        ),
        R::ServiceEntryTakeover => (
            "Source: `0 -` or `200 -` on `outbound|PORT||HOST` of the ServiceEntry; the upstream host is the entry's endpoint, not the dialled ip.",
            &[LISTENER, SHARED, "kubectl get serviceentry -A -o yaml"],
            None,
        ),
        R::HeadlessTcp => (GOOD_TCP, &[LISTENER, CLUSTERS, CLIENT_LOG], None),
        R::ServiceVipTcp => (
            "Source: `0 -` (TCP) on `outbound|PORT||SERVICE`; the downstream local address is the Service's ip, the upstream host one of its endpoints.",
            &[LISTENER, ENDPOINTS],
            None,
        ),
        R::VirtualServiceTcp => (
            "Source: `0 -` (TCP) on the `outbound|PORT||HOST` that the route names, with one of its endpoints as upstream host.",
            &[LISTENER, "kubectl get virtualservice -A -o yaml"],
            None,
        ),
        R::AmbientHbone => (
            "No sidecar, no such log. ztunnel's: `connection complete` with `dst.hbone_addr`, `src.identity` and `dst.identity`.",
            &[
                ZTUNNEL,
                "istioctl ztunnel-config connections | grep IP",
                "kubectl logs -n istio-system daemonset/ztunnel | grep IP:PORT",
            ],
            None,
        ),
        R::PlaintextToStrict => (
            "Destination, the listener's own line: `0 NR filter_chain_not_found`, downstream transport failure `TLS_error…HTTP_REQUEST` (HTTP came) or `…WRONG_VERSION_NUMBER` (other bytes). Source, HTTP chain: `503 UC upstream_reset_before_response_started{connection_termination}`; TCP chain: `0 UR`; on `PassthroughCluster`, or on the `outbound|PORT||SERVICE` of a Service that is dialled in plaintext.",
            &[DESCRIBE, POLICIES, LISTENER, SLICES, CLIENT_LOG],
            Some(Alert::Rejected),
        ),
        R::TlsWithoutMeshCertificate => (
            "Destination: `0 -` with downstream transport failure `TLS_error…PEER_DID_NOT_RETURN_A_CERTIFICATE`. Source: `0 -` (TCP) with bytes in both directions: the server's flight and an alert, so the log looks like success.",
            &[DESCRIBE, POLICIES, "kubectl get destinationrule -A -o yaml", SERVER_LOG],
            Some(Alert::Rejected),
        ),
        R::TlsToHttpPort => (
            "Destination, the listener's own line: `0 NR filter_chain_not_found` without a transport failure. Source: `0 UR` (TCP) on `PassthroughCluster`.",
            &[INBOUND, SLICES, SERVER_LOG],
            Some(Alert::Rejected),
        ),
        R::NotHttpOnHttpPort => (
            "The proxy that read it: `400 DPE http1.codec_error`, and `0 DPE` on its listener; a Host that is none: `400` with details of the header. The source of bytes that only the destination minds: `0 -` (TCP) on `PassthroughCluster`.",
            &[SHARED, INBOUND, SLICES, SERVER_LOG],
            Some(Alert::Rejected),
        ),
        R::IdentityMismatch => (
            "Source: `503 UF,URX upstream_reset_before_response_started{…}` with upstream transport failure `TLS_error…CERTIFICATE_VERIFY_FAILED…verify_SAN`; TCP chain: `0 UF,URX` with the same.",
            &[CLUSTERS, "istioctl proxy-config secret SERVER -o json   # the identity that it shows", SLICES],
            Some(Alert::Rejected),
        ),
        R::MtlsNotTerminated => (
            "Source: `503 UF,URX upstream_reset_before_response_started{remote_connection_failure|TLS_error…WRONG_VERSION_NUMBER}`; TCP chain: `0 UF,URX` with the same transport failure. Destination, where its proxy reads it as HTTP: `400 DPE http1.codec_error`.",
            &[
                CLUSTERS,
                DESCRIBE,
                "kubectl get destinationrule -A -o yaml",
                "kubectl get pod SERVER -o yaml | grep -A16 -E 'istio-init|traffic.sidecar.istio.io'",
            ],
            Some(Alert::Rejected),
        ),
        R::NoVirtualHost => (
            "Source: `502 - direct_response` without a cluster: the route `block_all`.",
            &[ROUTES, OUTBOUND_POLICY],
            Some(Alert::Rejected),
        ),
        R::NoRoute => (
            "Source: `404 NR route_not_found` without a cluster.",
            &[ROUTES, "kubectl get virtualservice -A -o yaml"],
            Some(Alert::Rejected),
        ),
        R::NoHealthyUpstream => (
            "Source: `503 UH no_healthy_upstream` on `outbound|PORT||SERVICE`; TCP chain: `0 UH`. A route to a Service or subset that is not there: `503 NC cluster_not_found`.",
            &[ENDPOINTS, "kubectl get endpointslices -n NAMESPACE -l kubernetes.io/service-name=SERVICE"],
            Some(Alert::Rejected),
        ),
        R::Blackhole => {
            ("Source: `0 UH` (TCP) on `BlackHoleCluster`.", &[LISTENER, OUTBOUND_POLICY, SLICES], Some(Alert::Rejected))
        }
        R::NoPayload => (
            "Source: `0 -` (TCP) with no bytes in either direction, or no line at all.",
            &[CLIENT_LOG, "kubectl get pod CLIENT -o yaml | grep -A6 -E 'tcpSocket|Probe'"],
            None,
        ),
        R::ServerFirstStall => (
            "No line while it stalls. When somebody gives up: where the source sniffs none; else the source's `0 -` (TCP) on `PassthroughCluster` and the destination's listener `0 -`, both without bytes.",
            &[LISTENER, INBOUND, SLICES],
            Some(Alert::Rejected),
        ),
        R::AmbientPolicyDenied => (
            "A source with a sidecar: `0 UR` (TCP) or `503 UC` on `PassthroughCluster`. ztunnel at the destination: `connection complete` with `error=\"connection closed due to policy rejection…\"` and no `src.identity`.",
            &[
                ZTUNNEL,
                POLICIES,
                "istioctl ztunnel-config policies",
                "kubectl logs -n istio-system daemonset/ztunnel | grep IP:PORT",
            ],
            Some(Alert::Rejected),
        ),
        R::AuthorizationDenied => (
            "Destination: `403 - rbac_access_denied_matched_policy[ns[NAMESPACE]-policy[POLICY]-rule[N]]`; on a TCP chain `0 -` with that as connection termination details. Source: `403 - via_upstream`.",
            &["istioctl experimental authz check SERVER", "kubectl get authorizationpolicy -A", SERVER_LOG],
            Some(Alert::Rejected),
        ),
        R::AppNotListening => (
            "Destination: `503 URX,UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}` (HTTP) or `0 UF,URX` with transport failure `delayed_connect_error:_Connection_refused` (TCP). Source: `503 - via_upstream`, or `0 -` or `0 UR` (TCP).",
            &[SOCKETS, SERVER_LOG],
            Some(Alert::Unanswered),
        ),
        R::Refused => (
            "Source: `503 UF,URX …delayed_connect_error:_Connection_refused` (HTTP) or `0 UF,URX` (TCP) on the cluster that was dialled.",
            &[WHOSE_IP, "kubectl exec CLIENT -- nc -vz IP PORT"],
            Some(Alert::Unanswered),
        ),
        R::TimedOut => (
            "Source: `503 UF,URX upstream_reset_before_response_started{connection_timeout}` (HTTP) or `0 UF,URX` (TCP) after 10 s, Envoy's connect timeout.",
            &[WHOSE_IP, "kubectl get networkpolicy -A", "kubectl exec CLIENT -- nc -vz -w 3 IP PORT"],
            Some(Alert::Unanswered),
        ),
        R::Unreachable => (
            "Source: `503 UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_No_route_to_host}` (HTTP) or `0 UF,URX` with that transport failure (TCP).",
            &[WHOSE_IP, "ip route get IP   # on the client's node", "kubectl get nodes -o wide"],
            Some(Alert::Unanswered),
        ),
        R::Abandoned => (
            "None: the client hung up before its SYN was answered.",
            &[WHOSE_IP, "kubectl get networkpolicy -A", "sysctl net.ipv4.ip_local_port_range   # in the client's pod"],
            Some(Alert::Unanswered),
        ),
        R::Dropped => (
            "As of `timed-out`: the proxy sees only that nobody answers.",
            &[
                "kubectl get networkpolicy -A",
                "nft list ruleset   # in the pod and on its node",
                "nstat -az | grep -i drop",
            ],
            Some(Alert::Dropped),
        ),
        R::StalePodIp => (
            "Source: as of `unreachable`, `timed-out` or `refused`, on `PassthroughCluster`.",
            &[WHOSE_IP, SLICES, "kubectl get events -A --field-selector reason=Killing"],
            Some(Alert::Unanswered),
        ),
        R::Passthrough => (
            "Source: `0 -` or `200 - via_upstream` on `PassthroughCluster`. Destination: on `inbound|PORT||` where a Service declares the port, else on `InboundPassthroughCluster`; its listener's line bears a TLS error of the inspector, which is no failure.",
            &[LISTENER, ROUTES, SLICES, OUTBOUND_POLICY],
            Some(Alert::Plaintext),
        ),
        R::SourceUncaptured => (
            "No source line. Destination: `200 - via_upstream` or `0 -` without a peer certificate (`%DOWNSTREAM_PEER_URI_SAN%` is `-`).",
            &[CAPTURE, DESCRIBE],
            Some(Alert::Plaintext),
        ),
        R::AppMtls => (
            "No source line. Destination: `200 - via_upstream` or `0 -` with the application's identity as `%DOWNSTREAM_PEER_URI_SAN%`.",
            &[CAPTURE, SERVER_LOG],
            None,
        ),
        R::Own => ("None: it never leaves the pod's loopback interface.", &[WHOSE_IP], None),
        R::NotInMesh => (
            "None: neither pod has a proxy.",
            &[WHOSE_IP, "kubectl get namespaces -L istio-injection,istio.io/rev,istio.io/dataplane-mode"],
            None,
        ),
        R::FactsContradictEvidence => (
            "Read both proxies' lines for the connection: the cluster and the flags say which side of the contradiction is right.",
            &[
                "mesh-tracer status   # the age of the facts, and what was lost",
                CLIENT_LOG,
                SERVER_LOG,
                "istioctl proxy-status   # whether the proxies have the last configuration",
            ],
            Some(Alert::Contradictions),
        ),
    };
    Page { envoy, confirm, alert }
}
