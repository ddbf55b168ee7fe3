//! What each verdict means and what to do about it: one table, two sentences a row, for whoever is on call.

use super::{Cause, Reason};

/// `explanation` says what happened, `remedy` what to do about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text {
    pub explanation: &'static str,
    pub remedy: &'static str,
}

/// The row of this reason and cause; of the reason alone where the cause has none of its own.
pub fn text(reason: Reason, cause: Option<Cause>) -> Text {
    let row = |cause: Option<Cause>| TABLE.iter().find(|(r, c, _)| *r == reason && *c == cause);
    row(cause).or_else(|| row(None)).map_or(UNDETERMINED, |(_, _, text)| *text)
}

/// Where the class is undetermined and candidates are listed.
pub const fn undetermined() -> Text {
    UNDETERMINED
}

/// While nobody has answered the connection attempt: there is no verdict yet.
pub const fn still_connecting() -> Text {
    Text {
        explanation: "Nobody has answered the connection attempt yet; the kernel goes on trying.",
        remedy: "Wait for the verdict when the attempt ends, or look now whether the dialled ip is still a pod's and what on the way drops packets to it.",
    }
}

/// What the kernel's own drop reason means.
pub fn dropped(kernel: &str) -> Text {
    let row = DROPPED.iter().find(|(reason, _)| *reason == kernel);
    row.map_or_else(|| text(Reason::Dropped, None), |(_, text)| *text)
}

/// The causes that this reason can have.
pub fn causes_of(reason: Reason) -> impl Iterator<Item = Cause> {
    TABLE.iter().filter(move |(r, ..)| *r == reason).filter_map(|(_, cause, _)| *cause)
}

const ROUTING: Text = Text {
    explanation: "The kernel found no route for the packets of this connection, or took their source address for a wrong one, and dropped them.",
    remedy: "Compare `ip route get` for both addresses on this node, and the CNI's routes to the other node; a reverse-path filter (`rp_filter`) wants the way back to be the same.",
};

const BUFFERS: Text = Text {
    explanation: "The receiving socket's buffer was full, so the kernel dropped packets of this connection.",
    remedy: "Look why the application does not read: its cpu limit, a blocked thread; raise `net.ipv4.tcp_rmem` only if it reads and the bursts are larger.",
};

/// By the names of `enum skb_drop_reason`.
const DROPPED: &[(&str, Text)] = &[
    (
        "NETFILTER_DROP",
        Text {
            explanation: "A firewall rule of this node dropped or rejected the packets of this connection: a NetworkPolicy, or a rule of iptables or nftables.",
            remedy: "List the NetworkPolicies that select the destination pod (and the source, for egress) and allow this port; if none does, look at `nft list ruleset` in the pod and on the node.",
        },
    ),
    (
        "TCP_LISTEN_OVERFLOW",
        Text {
            explanation: "The application's accept queue was full, so the kernel turned new connections away without a word to the client.",
            remedy: "Look why the application does not accept (a blocked thread, a cpu limit); then raise its listen backlog and `net.core.somaxconn`, or add replicas.",
        },
    ),
    ("IP_OUTNOROUTES", ROUTING),
    ("IP_INNOROUTES", ROUTING),
    ("IP_RPFILTER", ROUTING),
    ("SOCKET_RCVBUFF", BUFFERS),
    ("SOCKET_BACKLOG", BUFFERS),
];

type Row = (Reason, Option<Cause>, Text);

/// `Reason / Cause: "explanation" "remedy",`
macro_rules! table {
    ($($reason:ident $(/ $cause:ident)?: $explanation:literal $remedy:literal,)*) => {
        &[$((
            Reason::$reason,
            table!(@cause $($cause)?),
            Text { explanation: $explanation, remedy: $remedy },
        ),)*]
    };
    (@cause) => { None };
    (@cause $cause:ident) => { Some(Cause::$cause) };
}

const UNDETERMINED: Text = Text {
    explanation: "What was seen fits more than one route, and nothing tells them apart.",
    remedy: "Read the candidates: each says what would have to be true; ask `explain` with the Host or protocol that the client uses to rule some out.",
};

const TABLE: &[Row] = table! {
    AnyHost:
        "The dialled port belongs to a headless Service without a protocol, and its `*` route takes any Host to exactly that pod."
        "Nothing to do; mind that any Host is taken on this port, so no policy by host applies.",
    HostMatched:
        "The Host header names a Service whose pods are dialled directly, so the proxy kept the dialled ip and used that Service's TLS settings."
        "Nothing to do; mind that the ip decides which pod answers, whatever pod the Host names.",
    HostBalanced:
        "The Host header names a Service that the proxy balances, so the dialled ip was ignored."
        "Nothing to do, unless exactly that pod was meant: then dial it through a headless Service.",
    ServiceVip:
        "The Service's own address was dialled and the proxy routed the request by it."
        "Nothing to do: this is the ordinary way through the mesh.",
    ServiceEntryTakeover:
        "A ServiceEntry claims this port or address, so the proxy sent the connection to that entry's endpoints instead of the dialled ip."
        "If that was not meant, give the ServiceEntry an address of its own or narrow its exportTo.",
    HeadlessTcp:
        "A headless Service declares the port, and the proxy carried the bytes as TCP to exactly the dialled pod."
        "Nothing to do; name the port by its protocol only if L7 routing is wanted.",
    ServiceVipTcp:
        "The Service's own address was dialled and the proxy carried the bytes as TCP to one of its endpoints."
        "Nothing to do; name the port by its protocol only if L7 routing is wanted.",
    VirtualServiceTcp:
        "A VirtualService `tcp` route led the connection to another Service than the one dialled."
        "If that was not meant, look at the `tcp` routes of the VirtualService for this host.",
    AmbientHbone:
        "Both pods are in ambient mode and ztunnel carried the connection in HBONE, whatever the port."
        "Nothing to do; a waypoint is needed only for L7 policy.",
    PlaintextToStrict:
        "The connection reached the destination's proxy in plaintext, and that demands mutual TLS."
        "Let the client go through its own sidecar on a port that a Service declares, or set PeerAuthentication PERMISSIVE for this port while clients move.",
    PlaintextToStrict / ProxyUid:
        "The client runs with the proxy's own uid, so its sidecar let it by, and the destination demands mutual TLS."
        "Run the application with another uid (runAsUser) than the sidecar's.",
    PlaintextToStrict / SourcePortExcluded:
        "The client's pod excludes this port from capture, so it went out in plaintext, and the destination demands mutual TLS."
        "Remove the port from `traffic.sidecar.istio.io/excludeOutboundPorts` of the client, or make the destination's port PERMISSIVE.",
    PlaintextToStrict / SourceRangeExcluded:
        "The client's pod does not capture this ip range, so it went out in plaintext, and the destination demands mutual TLS."
        "Take the pod range out of `excludeOutboundIPRanges` (or into `includeOutboundIPRanges`) of the client.",
    PlaintextToStrict / SourceNotInMesh:
        "The client has no sidecar, so it spoke plaintext to a proxy that demands mutual TLS."
        "Inject a sidecar into the client, or set PeerAuthentication PERMISSIVE by `portLevelMtls` for just this port of the destination.",
    PlaintextToStrict / WorkloadPolicyIgnoredByClient:
        "The client's proxy goes by the namespace's mode and spoke plaintext, while the destination's workload or port policy (or the pod's own namespace) demands mutual TLS."
        "Set the mode for the whole namespace of the Service, or add a DestinationRule with ISTIO_MUTUAL for its host.",
    PlaintextToStrict / DestinationRuleDisable:
        "A DestinationRule turns TLS off towards this host, and the destination demands mutual TLS."
        "Set `trafficPolicy.tls.mode: ISTIO_MUTUAL` in that DestinationRule, or drop its `tls` block; look at `portLevelSettings` too.",
    PlaintextToStrict / AutoMtlsOff:
        "The mesh has `enableAutoMtls: false`, so the client's proxy spoke plaintext, and the destination demands mutual TLS."
        "Add a DestinationRule with ISTIO_MUTUAL for the host, or turn auto mTLS on again.",
    PlaintextToStrict / ServiceEntryNone:
        "A ServiceEntry with resolution NONE took the connection and keeps the dialled ip in plaintext, and the destination demands mutual TLS."
        "Narrow the ServiceEntry so that it no longer covers pods, or give it resolution STATIC with the pods as endpoints.",
    PlaintextToStrict / MixedHeadlessEndpoints:
        "One endpoint of this headless port lacks the label `security.istio.io/tlsMode: istio`, so clients dial all of them in plaintext, and this one demands mutual TLS."
        "Inject the sidecar into every pod of the Service, or keep pods without one out of its selector.",
    PlaintextToStrict / EndpointWithoutLabel:
        "The chosen endpoint lacks the label `security.istio.io/tlsMode: istio`, so it was dialled in plaintext, and its proxy demands mutual TLS."
        "Restart the pod so that injection sets the label, or set it in the pod template.",
    PlaintextToStrict / NonHttpOnHttpNamedPort:
        "The port is named as HTTP but the client sent something else, so its proxy passed the bytes through in plaintext, and the destination demands mutual TLS."
        "Name the Service port by what is spoken on it (`tcp-...`, `tls-...`), or set its appProtocol.",
    PlaintextToStrict / HttpNamedHeadlessPort:
        "The headless Service names this port as HTTP, so a Host that is no Service name passes through in plaintext, and the destination demands mutual TLS."
        "Name the port `tcp-...` (or leave its protocol open) so that pod ips get a route of their own, or dial by Service name.",
    PlaintextToStrict / TargetPortDialled:
        "The container's port was dialled, but the Service declares another number, so the proxy knows no route and passed it through in plaintext to a destination that demands mutual TLS."
        "Dial the Service's port, or make `port` and `targetPort` the same number in a headless Service.",
    PlaintextToStrict / ServiceNotVisible:
        "A headless Service declares this port, but exportTo or a Sidecar's egress hides it from the client, so it passed through in plaintext to a destination that demands mutual TLS."
        "Add the client's namespace to `exportTo` of the Service, or the Service's host to `egress` of the client's Sidecar.",
    PlaintextToStrict / HostIsPodIp:
        "The request's Host is the pod's ip, which no route knows, so it passed through in plaintext, and the destination demands mutual TLS."
        "Send the Service's name as Host, or declare the port in a headless Service without an HTTP name.",
    PlaintextToStrict / HostUnknown:
        "No route knows the request's Host, so it passed through in plaintext, and the destination demands mutual TLS."
        "Send the Service's name as Host, or add a VirtualService or ServiceEntry for the Host in use.",
    PlaintextToStrict / PortUndeclared:
        "No headless Service of the pod declares this port, so the proxy knows no route and passed it through in plaintext to a destination that demands mutual TLS."
        "Add the port to a headless Service that selects the pod; dialling by pod ip then gets mutual TLS.",
    PlaintextToStrict / AmbientToSidecar:
        "The client is in ambient mode and the destination's sidecar takes no HBONE, so plaintext reached a proxy that demands mutual TLS."
        "Let the destination's sidecar accept HBONE (ISTIO_META_ENABLE_HBONE), or move it to ambient mode.",
    PlaintextToStrict / SidecarToAmbient:
        "The client has a sidecar and the destination is in ambient mode; the call came in plaintext where mutual TLS is demanded."
        "Declare the port in a Service so that the sidecar uses HBONE, or set PERMISSIVE for the destination.",
    PlaintextToStrict / EndpointTooNew:
        "The pod became ready after the client's proxy got its last configuration, so the proxy knew no route yet and spoke plaintext."
        "Retry; if it lasts, look at istiod's push times and the proxy's sync state (`istioctl proxy-status`).",
    TlsWithoutMeshCertificate:
        "The destination's proxy demands a mesh certificate, and the client's TLS showed none."
        "Let the client speak plaintext to its own sidecar, or set PERMISSIVE for this port of the destination.",
    TlsWithoutMeshCertificate / AppTls:
        "The application speaks TLS itself to a port where the destination's proxy demands a mesh certificate."
        "Declare the port in a headless Service (the application's TLS then travels inside the mesh's), or set `portLevelMtls` PERMISSIVE or DISABLE for it.",
    TlsWithoutMeshCertificate / DestinationRule:
        "A DestinationRule makes the client's proxy begin TLS without a mesh certificate, and the destination demands one."
        "Set `trafficPolicy.tls.mode: ISTIO_MUTUAL` in that DestinationRule.",
    TlsToHttpPort:
        "The application speaks TLS to a port that the Service declares as HTTP, so the destination's proxy has no filter chain for it."
        "Name the Service port `https-...` or `tls-...`, or let the client speak plain HTTP.",
    NotHttpOnHttpPort:
        "The Service declares the port as HTTP, but what arrived there was not HTTP, so the proxy answered 400 and closed."
        "Name the Service port by what is spoken on it (`tcp-...`), or set its appProtocol.",
    IdentityMismatch:
        "The pod that was reached shows the certificate of a service account that the Service in the Host header does not have, so the client's proxy refused it."
        "Dial a pod of that very Service, or send the Host of the Service that the pod belongs to.",
    MtlsNotTerminated:
        "The client's proxy spoke mesh mutual TLS to a port where nobody terminates it."
        "Make both sides agree: capture the port at the destination, or turn TLS off for it in a DestinationRule.",
    MtlsNotTerminated / WorkloadPolicyIgnoredByClient:
        "The destination's workload or port policy turns mutual TLS off, but clients go by the namespace's mode and begin it all the same."
        "Add a DestinationRule with `tls.mode: DISABLE` for this host and port, or set the mode for the whole namespace.",
    MtlsNotTerminated / InboundPortExcluded:
        "The destination excludes this port from capture, so mesh mutual TLS reached the application itself."
        "Remove the port from `excludeInboundPorts` (or add it to `includeInboundPorts`), or turn TLS off for it in a DestinationRule.",
    MtlsNotTerminated / LabelWithoutSidecar:
        "The pod bears the label `security.istio.io/tlsMode: istio` but has no sidecar, so clients begin mutual TLS that nobody terminates."
        "Remove the label from the pod template, or inject the sidecar.",
    MtlsNotTerminated / DestinationRule:
        "A DestinationRule demands ISTIO_MUTUAL towards a pod that cannot terminate it."
        "Set `tls.mode: DISABLE` in that DestinationRule for this port, or inject a sidecar at the destination.",
    NoVirtualHost:
        "The outbound policy is REGISTRY_ONLY and no route knows the request's Host, so the client's own proxy answered 502."
        "Send the Service's name as Host, or add a ServiceEntry for the Host in use.",
    NoVirtualHost / ServiceEntryNone:
        "The outbound policy is REGISTRY_ONLY, and the ServiceEntry with resolution NONE gives this Host no route, so the client's own proxy answered 502."
        "Add the Host to `hosts` of the ServiceEntry, or send one that it lists.",
    NoVirtualHost / HttpNamedHeadlessPort:
        "The headless Service names this port as HTTP, where only its own names are routes, and under REGISTRY_ONLY the client's proxy answers 502 to any other Host."
        "Name the port `tcp-...` (or leave its protocol open) so that pod ips get a route of their own, or send the Service's name as Host.",
    NoVirtualHost / TargetPortDialled:
        "The container's port was dialled, but the Service declares another number, and under REGISTRY_ONLY the client's proxy answers 502."
        "Dial the Service's port, or make `port` and `targetPort` the same number in a headless Service.",
    NoVirtualHost / ServiceNotVisible:
        "A headless Service declares this port, but exportTo or a Sidecar's egress hides it from the client, whose proxy answers 502 under REGISTRY_ONLY."
        "Add the client's namespace to `exportTo` of the Service, or the Service's host to `egress` of the client's Sidecar.",
    NoVirtualHost / HostIsPodIp:
        "The request's Host is the pod's ip, which no route knows, and under REGISTRY_ONLY the client's own proxy answers 502."
        "Send the Service's name as Host, or declare the port in a headless Service without an HTTP name.",
    NoVirtualHost / HostUnknown:
        "No route knows the request's Host, and under REGISTRY_ONLY the client's own proxy answers 502."
        "Send the Service's name as Host, or add a ServiceEntry for the Host in use.",
    NoVirtualHost / PortUndeclared:
        "No headless Service of the pod declares this port, and under REGISTRY_ONLY the client's own proxy answers 502."
        "Add the port to a headless Service that selects the pod.",
    NoVirtualHost / EndpointTooNew:
        "The pod became ready after the client's proxy got its last configuration, and under REGISTRY_ONLY the proxy answers 502 until the next."
        "Retry; if it lasts, look at istiod's push times and the proxy's sync state (`istioctl proxy-status`).",
    NoRoute:
        "A VirtualService takes this Host, but none of its routes matches the request, so the client's own proxy answered 404."
        "Add a route without `match` as the last of that VirtualService, or correct its matches.",
    NoHealthyUpstream:
        "The Service that the request was routed to has no ready endpoint, so the client's own proxy answered 503."
        "Look at the Service's EndpointSlices: whether its selector matches pods, and why they are not ready.",
    Blackhole:
        "The outbound policy is REGISTRY_ONLY and no route knows this address, so the client's own proxy closed the connection."
        "Declare the destination in a Service or ServiceEntry that the client sees, or set ALLOW_ANY in the client's Sidecar.",
    Blackhole / ServiceEntryNone:
        "The outbound policy is REGISTRY_ONLY, and the ServiceEntry with resolution NONE takes only some of what is sent on this port; the rest is closed by the client's own proxy."
        "Make the ServiceEntry's protocol TCP, or send what it declares.",
    Blackhole / NonHttpOnHttpNamedPort:
        "The port is named as HTTP but the client sent something else, which under REGISTRY_ONLY its own proxy closes."
        "Name the Service port by what is spoken on it (`tcp-...`, `tls-...`), or set its appProtocol.",
    Blackhole / HttpNamedHeadlessPort:
        "The headless Service names this port as HTTP, so pod ips have no route of their own, and under REGISTRY_ONLY the client's proxy closes what is no HTTP."
        "Name the port `tcp-...` (or leave its protocol open) so that pod ips get a route of their own.",
    Blackhole / TargetPortDialled:
        "The container's port was dialled, but the Service declares another number, and under REGISTRY_ONLY the client's own proxy closes it."
        "Dial the Service's port, or make `port` and `targetPort` the same number in a headless Service.",
    Blackhole / ServiceNotVisible:
        "A headless Service declares this port, but exportTo or a Sidecar's egress hides it from the client, whose proxy closes it under REGISTRY_ONLY."
        "Add the client's namespace to `exportTo` of the Service, or the Service's host to `egress` of the client's Sidecar.",
    Blackhole / HostIsPodIp:
        "The request's Host is the pod's ip, which no route knows, and under REGISTRY_ONLY the client's own proxy closes it."
        "Send the Service's name as Host, or declare the port in a headless Service without an HTTP name.",
    Blackhole / HostUnknown:
        "No route knows the request's Host, and under REGISTRY_ONLY the client's own proxy closes it."
        "Send the Service's name as Host, or add a ServiceEntry for the Host in use.",
    Blackhole / PortUndeclared:
        "No headless Service of the pod declares this port, and under REGISTRY_ONLY the client's own proxy closes what it knows no route for."
        "Add the port to a headless Service that selects the pod.",
    Blackhole / EndpointTooNew:
        "The pod became ready after the client's proxy got its last configuration, and under REGISTRY_ONLY the proxy closes the connection until the next."
        "Retry; if it lasts, look at istiod's push times and the proxy's sync state (`istioctl proxy-status`).",
    NoPayload:
        "The connection was opened and closed again without a byte, so nothing can be said of its route."
        "Nothing to do: port checks and unused pooled connections look like this.",
    ServerFirstStall:
        "Both ends wait: the server speaks first on this port, and a proxy waits for the client's first bytes to tell the protocol."
        "Name the Service port `tcp-...` and dial it from within the mesh, so that no proxy waits for the client's bytes.",
    ServerFirstStall / SourceSniffs:
        "The server speaks first, but the client's own proxy waits for the client's first bytes because the Service port names no protocol."
        "Name the Service port `tcp-...` or by its protocol (`mysql`, `mongo`), or set its appProtocol to `tcp`.",
    ServerFirstStall / DestinationSniffs:
        "The server speaks first, but the connection reached the destination's proxy in plaintext, and that waits for the client's first bytes."
        "Let the call come by mesh mutual TLS (declare the port as `tcp-...` in a headless Service, and inject the client), or exclude the port from inbound capture.",
    ServerFirstStall / HttpCodec:
        "The Service declares the port as HTTP, so the destination's proxy waits for a request, while the server was to speak first."
        "Name the Service port `tcp-...` or by its protocol, or set its appProtocol to `tcp`.",
    AmbientPolicyDenied:
        "The destination is in ambient mode and its ztunnel closed the connection: a policy demands mutual TLS or denies the client."
        "Look at the PeerAuthentication and AuthorizationPolicy of the destination, and whether the client is in the mesh.",
    AuthorizationDenied:
        "An AuthorizationPolicy at the destination denied the client."
        "Allow the client's principal, namespace and port in that AuthorizationPolicy, or correct the client's service account.",
    AppNotListening:
        "The connection got all the way to the pod, but no process listens on that port."
        "Check the port number, and whether the application started and binds to the pod's ip instead of 127.0.0.1.",
    Refused:
        "The destination's host answered the SYN with a reset: nothing listens at that address and port."
        "Check address and port, and whether the Service has ready endpoints or the proxy at the destination is up.",
    TimedOut:
        "Nobody answered any SYN until the kernel or the proxy gave up."
        "Look for a NetworkPolicy, firewall or routing fault on the way, and whether the address still exists.",
    Unreachable:
        "The network answered that the address cannot be reached."
        "Check the route to that address: the node may be down, or the ip belongs to nobody.",
    Abandoned:
        "The client gave up before anybody answered its SYN."
        "Look for a NetworkPolicy or routing fault on the way; the client's connect timeout is shorter than the kernel's.",
    Abandoned / NoLocalPort:
        "The client's pod had no free local port left for another connection to this address."
        "Reuse connections instead of opening one a request, or widen `net.ipv4.ip_local_port_range` of the pod.",
    Dropped:
        "The kernel dropped the packets of this connection; its reason stands beside the flow."
        "Look up the drop reason: NETFILTER_DROP is a NetworkPolicy or firewall rule, TCP_LISTEN_OVERFLOW a full accept queue.",
    StalePodIp:
        "The dialled ip belonged to a pod that is gone."
        "Make the client look the address up again: refresh its cached peers or DNS entries, and dial names instead of ips.",
    Passthrough:
        "The client's proxy knows no route for this address and passed the bytes through as they were."
        "Declare the port in a headless Service that selects the pod, if the call is to have mutual TLS.",
    Passthrough / ServiceEntryNone:
        "A ServiceEntry with resolution NONE took the connection and passed it on to the dialled ip in plaintext."
        "Narrow the ServiceEntry so that it no longer covers pods, if the call is to have mutual TLS.",
    Passthrough / NonHttpOnHttpNamedPort:
        "The port is named as HTTP but the client sent something else, so its proxy passed the bytes through as they were."
        "Name the Service port by what is spoken on it (`tcp-...`, `tls-...`), or set its appProtocol.",
    Passthrough / HttpNamedHeadlessPort:
        "The headless Service names this port as HTTP, so a Host that is no Service name passes through without mutual TLS."
        "Name the port `tcp-...` (or leave its protocol open) so that pod ips get a route of their own, or dial by Service name.",
    Passthrough / TargetPortDialled:
        "The container's port was dialled, but the Service declares another number, so the proxy knows no route and passed it through."
        "Dial the Service's port, or make `port` and `targetPort` the same number in a headless Service.",
    Passthrough / ServiceNotVisible:
        "A headless Service declares this port, but exportTo or a Sidecar's egress hides it from the client, so it passed through."
        "Add the client's namespace to `exportTo` of the Service, or the Service's host to `egress` of the client's Sidecar.",
    Passthrough / HostIsPodIp:
        "The request's Host is the pod's ip, which no route knows, so it passed through without mutual TLS."
        "Send the Service's name as Host, or declare the port in a headless Service without an HTTP name.",
    Passthrough / HostUnknown:
        "No route knows the request's Host, so it passed through without mutual TLS."
        "Send the Service's name as Host, or add a VirtualService or ServiceEntry for the Host in use.",
    Passthrough / PortUndeclared:
        "No headless Service of the pod declares this port, so the proxy knows no route and passed it through."
        "Add the port to a headless Service that selects the pod, if the call is to have mutual TLS.",
    Passthrough / AmbientToSidecar:
        "The client is in ambient mode and the destination's sidecar takes no HBONE, so the call went in plaintext."
        "Let the destination's sidecar accept HBONE (ISTIO_META_ENABLE_HBONE), or move it to ambient mode.",
    Passthrough / SidecarToAmbient:
        "The client has a sidecar, the destination is in ambient mode, and no route for this address uses HBONE, so the call went in plaintext."
        "Declare the port in a Service that the client sees, so that its sidecar uses HBONE.",
    Passthrough / EndpointTooNew:
        "The pod became ready after the client's proxy got its last configuration, so the proxy knew no route yet."
        "Nothing to do if it was once; if it lasts, look at the proxy's sync state (`istioctl proxy-status`).",
    SourceUncaptured:
        "The client's connection did not pass a proxy, so no mesh route applied to it."
        "Inject or widen the client's sidecar capture, if the call is to be part of the mesh.",
    SourceUncaptured / ProxyUid:
        "The client runs with the proxy's own uid, so its sidecar let it by."
        "Run the application with another uid (runAsUser) than the sidecar's, if the call is to be part of the mesh.",
    SourceUncaptured / SourcePortExcluded:
        "The client's pod excludes this port from capture."
        "Remove the port from `traffic.sidecar.istio.io/excludeOutboundPorts` of the client, if the call is to be part of the mesh.",
    SourceUncaptured / SourceRangeExcluded:
        "The client's pod does not capture this ip range."
        "Take the range out of `excludeOutboundIPRanges` (or into `includeOutboundIPRanges`) of the client, if the call is to be part of the mesh.",
    SourceUncaptured / SourceNotInMesh:
        "The client has no sidecar, and the destination takes plaintext."
        "Inject a sidecar into the client before the destination becomes STRICT.",
    AppMtls:
        "The application itself presents a mesh certificate, and the destination's proxy accepted it."
        "Nothing to do; let the sidecar hold the certificate if the application need not.",
    Own:
        "The pod dialled its own ip, which never leaves it and passes no proxy."
        "Nothing to do: dial 127.0.0.1 if that is what was meant.",
    NotInMesh:
        "Neither end is in the mesh."
        "Nothing to do, unless one of them should be: then inject a sidecar.",
    FactsContradictEvidence:
        "What the kernel showed fits none of the routes that the configuration allows: the facts are stale, or a rule is wrong."
        "Compare the evidence with the candidates; check that the daemon's facts are in sync, and report it if they are.",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_row_of_its_own_and_no_row_stands_twice() {
        for reason in Reason::ALL {
            let own = TABLE.iter().filter(|(r, cause, _)| r == reason && cause.is_none()).count();
            assert_eq!(own, 1, "{reason}");
        }
        for (at, (reason, cause, _)) in TABLE.iter().enumerate() {
            assert!(!TABLE[..at].iter().any(|(r, c, _)| r == reason && c == cause), "{reason} {cause:?}");
        }
    }

    #[test]
    fn every_cause_is_explained_somewhere() {
        for cause in Cause::ALL {
            assert!(TABLE.iter().any(|(_, c, _)| *c == Some(*cause)), "{cause}");
        }
    }

    #[test]
    fn every_text_is_one_sentence() {
        for (reason, cause, Text { explanation, remedy }) in TABLE {
            for sentence in [explanation, remedy] {
                assert!(sentence.ends_with('.') && !sentence.contains(". "), "{reason} {cause:?}: {sentence}");
            }
        }
    }
}
