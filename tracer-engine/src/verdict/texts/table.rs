//! One row a reason and cause: two sentences, and what doing as they say brings about.

use super::{Promise, Text};
use crate::verdict::{Cause, Reason};

pub(super) type Row = (Reason, Option<Cause>, Text);

/// `Reason / Cause: "explanation" "remedy" Promise,`
macro_rules! table {
    ($($reason:ident $(/ $cause:ident)?: $explanation:literal $remedy:literal $($promise:ident)?,)*) => {
        &[$((
            Reason::$reason,
            table!(@cause $($cause)?),
            Text { explanation: $explanation, remedy: $remedy, promise: table!(@promise $($promise)?) },
        ),)*]
    };
    (@promise) => { Promise::Nothing };
    (@promise $promise:ident) => { Promise::$promise };
    (@cause) => { None };
    (@cause $cause:ident) => { Some(Cause::$cause) };
}

pub(super) const TABLE: &[Row] = table! {
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
        "Let the client go through its own sidecar on a port that a Service declares, or set PeerAuthentication PERMISSIVE for this port while clients move." Through,
    PlaintextToStrict / ProxyUid:
        "The client runs with the proxy's own uid, so its sidecar let it by, and the destination demands mutual TLS."
        "Run the application with another uid (runAsUser) than the sidecar's; until then `portLevelMtls` PERMISSIVE for just this port of the destination lets it in." Through,
    PlaintextToStrict / SourcePortExcluded:
        "The client's pod excludes this port from capture, so it went out in plaintext, and the destination demands mutual TLS."
        "Remove the port from `traffic.sidecar.istio.io/excludeOutboundPorts` of the client, or set `portLevelMtls` PERMISSIVE for just this port of the destination." Through,
    PlaintextToStrict / SourceRangeExcluded:
        "The client's pod does not capture this ip range, so it went out in plaintext, and the destination demands mutual TLS."
        "Take the pod range out of `excludeOutboundIPRanges` (or into `includeOutboundIPRanges`) of the client, or set `portLevelMtls` PERMISSIVE for just this port of the destination." Through,
    PlaintextToStrict / SourceNotInMesh:
        "The client has no sidecar, so it spoke plaintext to a proxy that demands mutual TLS."
        "Inject a sidecar into the client, or set PeerAuthentication PERMISSIVE by `portLevelMtls` for just this port of the destination." Through,
    PlaintextToStrict / WorkloadPolicyIgnoredByClient:
        "The client's proxy goes by the namespace's mode and spoke plaintext, while the destination's workload or port policy (or the pod's own namespace) demands mutual TLS."
        "Add a DestinationRule with ISTIO_MUTUAL for the Service's host and port, or set the mode for the whole namespace of the Service." Mutual,
    PlaintextToStrict / DestinationRuleDisable:
        "A DestinationRule turns TLS off towards this host, and the destination demands mutual TLS."
        "Set `trafficPolicy.tls.mode: ISTIO_MUTUAL` in that DestinationRule, or drop its `tls` block; look at `portLevelSettings` too." Mutual,
    PlaintextToStrict / AutoMtlsOff:
        "The mesh has `enableAutoMtls: false`, so the client's proxy spoke plaintext, and the destination demands mutual TLS."
        "Add a DestinationRule with ISTIO_MUTUAL for the host, or turn auto mTLS on again." Mutual,
    PlaintextToStrict / ServiceEntryNone:
        "A ServiceEntry with resolution NONE took the connection and keeps the dialled ip in plaintext, and the destination demands mutual TLS."
        "Declare the port in a headless Service that selects the pod, whose own address comes before the ServiceEntry's range, or narrow the ServiceEntry so that it no longer covers pods." Mutual,
    PlaintextToStrict / MixedHeadlessEndpoints:
        "One endpoint of this headless port lacks the label `security.istio.io/tlsMode: istio`, so clients dial all of them in plaintext, and this one demands mutual TLS."
        "Inject the sidecar into every pod of the Service, set the label on a pod that has one, or keep pods without one out of its selector." Mutual,
    PlaintextToStrict / EndpointWithoutLabel:
        "The chosen endpoint lacks the label `security.istio.io/tlsMode: istio`, so it was dialled in plaintext, and its proxy demands mutual TLS."
        "Set the label on the pod and in its template, or restart the pod so that injection sets it." Mutual,
    PlaintextToStrict / NonHttpOnHttpNamedPort:
        "The port is named as HTTP but the client sent something else, so its proxy passed the bytes through in plaintext, and the destination demands mutual TLS."
        "Name the Service port by what is spoken on it (`tcp-...`, `tls-...`), or set its appProtocol." Mutual,
    PlaintextToStrict / HttpNamedHeadlessPort:
        "The headless Service names this port as HTTP, so a Host that is no Service name passes through in plaintext, and the destination demands mutual TLS."
        "Name the port `tcp-...` (or leave its protocol open) so that pod ips get a route of their own, or dial by Service name." Mutual,
    PlaintextToStrict / TargetPortDialled:
        "The container's port was dialled, but the Service declares another number, so the proxy knows no route and passed it through in plaintext to a destination that demands mutual TLS."
        "Dial the Service's port, or make `port` and `targetPort` the same number in a headless Service." Mutual,
    PlaintextToStrict / ServiceNotVisible:
        "A headless Service declares this port, but exportTo or a Sidecar's egress hides it from the client, so it passed through in plaintext to a destination that demands mutual TLS."
        "Add the client's namespace to `exportTo` of the Service, or the Service's host to `egress` of the client's Sidecar." Mutual,
    PlaintextToStrict / HostIsPodIp:
        "The request's Host is the pod's ip, which no route knows, so it passed through in plaintext, and the destination demands mutual TLS."
        "Send the Service's name as Host, or declare the port in a headless Service without an HTTP name." Mutual,
    PlaintextToStrict / HostUnknown:
        "No route knows the request's Host, so it passed through in plaintext, and the destination demands mutual TLS."
        "Send the Service's name as Host, or declare the port in a headless Service without an HTTP name, which takes any Host." Mutual,
    PlaintextToStrict / PortUndeclared:
        "No headless Service of the pod declares this port, so the proxy knows no route and passed it through in plaintext to a destination that demands mutual TLS."
        "Add the port to a headless Service that selects the pod; dialling by pod ip then gets mutual TLS." Mutual,
    PlaintextToStrict / AmbientToSidecar:
        "The client is in ambient mode and the destination's sidecar takes no HBONE, so plaintext reached a proxy that demands mutual TLS."
        "Let the destination's sidecar accept HBONE (ISTIO_META_ENABLE_HBONE) or move it to ambient mode; until then `portLevelMtls` PERMISSIVE for just this port lets plaintext in." Through,
    PlaintextToStrict / EndpointTooNew:
        "The pod became ready after the client's proxy got its last configuration, so the proxy knew no route yet and spoke plaintext."
        "Retry; if it lasts, look at istiod's push times and the proxy's sync state (`istioctl proxy-status`).",
    TlsWithoutMeshCertificate:
        "The destination's proxy demands a mesh certificate, and the client's TLS showed none."
        "Let the client speak plaintext to its own sidecar, or set PERMISSIVE for this port of the destination.",
    TlsWithoutMeshCertificate / AppTls:
        "The application speaks TLS itself to a port where the destination's proxy demands a mesh certificate."
        "Declare the port as `tcp-...` in a headless Service (the application's TLS then travels inside the mesh's), or set `portLevelMtls` PERMISSIVE for it." Through,
    TlsWithoutMeshCertificate / DestinationRule:
        "A DestinationRule makes the client's proxy begin TLS without a mesh certificate, and the destination demands one."
        "Set `trafficPolicy.tls.mode: ISTIO_MUTUAL` in that DestinationRule." Mutual,
    TlsToHttpPort:
        "The application speaks TLS to a port that the Service declares as HTTP, so the destination's proxy has no filter chain for it."
        "Name the Service port `https-...` or `tls-...`, or let the client speak plain HTTP." Through,
    NotHttpOnHttpPort:
        "The Service declares the port as HTTP, but what arrived there was not HTTP, so the proxy answered 400 and closed."
        "Name the Service port by what is spoken on it (`tcp-...`), or set its appProtocol." Through,
    NotHttpOnHttpPort / InvalidRequest:
        "The request is HTTP that Envoy does not take (no Host, a Host with characters that no authority has, an unknown method, a malformed or oversized header), so a proxy answered it with 400 or 431 itself."
        "Send one Host header with a name or an address and at most a port, and look at the request's method and headers.",
    IdentityMismatch:
        "The pod that was reached shows the certificate of a service account that the Service in the Host header does not have, so the client's proxy refused it."
        "Dial a pod of that very Service, or send the Host of the Service that the pod belongs to.",
    MtlsNotTerminated:
        "The client's proxy spoke mesh mutual TLS to a port where nobody terminates it."
        "Make both sides agree: capture the port at the destination, or turn TLS off for it in a DestinationRule.",
    MtlsNotTerminated / WorkloadPolicyIgnoredByClient:
        "The destination's workload or port policy turns mutual TLS off, but clients go by the namespace's mode and begin it all the same."
        "Set `portLevelMtls` PERMISSIVE for this port in the policy that turns it off, or add a DestinationRule with `tls.mode: DISABLE` for this host and port." Mutual,
    MtlsNotTerminated / InboundPortExcluded:
        "The destination excludes this port from capture, so mesh mutual TLS reached the application itself."
        "Turn TLS off for this host and port in a DestinationRule, or remove the port from `excludeInboundPorts` (or add it to `includeInboundPorts`)." Through,
    MtlsNotTerminated / LabelWithoutSidecar:
        "The pod bears the label `security.istio.io/tlsMode: istio` but has no sidecar, so clients begin mutual TLS that nobody terminates."
        "Take the label off the pod and out of its template, or inject the sidecar." Through,
    MtlsNotTerminated / DestinationRule:
        "A DestinationRule demands ISTIO_MUTUAL towards a pod that cannot terminate it."
        "Set `tls.mode: DISABLE` in that DestinationRule for this port, or inject a sidecar at the destination." Through,
    NoVirtualHost:
        "The outbound policy is REGISTRY_ONLY and no route knows the request's Host, so the client's own proxy answered 502."
        "Send the Service's name as Host, or add a ServiceEntry for the Host in use.",
    NoVirtualHost / HttpNamedHeadlessPort:
        "The headless Service names this port as HTTP, where only its own names are routes, and under REGISTRY_ONLY the client's proxy answers 502 to any other Host."
        "Name the port `tcp-...` (or leave its protocol open) so that pod ips get a route of their own, or send the Service's name as Host." Through,
    NoVirtualHost / TargetPortDialled:
        "The container's port was dialled, but the Service declares another number, and under REGISTRY_ONLY the client's proxy answers 502."
        "Dial the Service's port, or make `port` and `targetPort` the same number in a headless Service." Through,
    NoVirtualHost / ServiceNotVisible:
        "A headless Service declares this port, but exportTo or a Sidecar's egress hides it from the client, whose proxy answers 502 under REGISTRY_ONLY."
        "Add the client's namespace to `exportTo` of the Service, or the Service's host to `egress` of the client's Sidecar." Through,
    NoVirtualHost / HostIsPodIp:
        "The request's Host is the pod's ip, which no route knows, and under REGISTRY_ONLY the client's own proxy answers 502."
        "Send the Service's name as Host, or declare the port in a headless Service without an HTTP name." Through,
    NoVirtualHost / HostUnknown:
        "No route knows the request's Host, and under REGISTRY_ONLY the client's own proxy answers 502."
        "Send the Service's name as Host, or declare the port in a headless Service without an HTTP name, which takes any Host." Through,
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
        "Declare the destination in a Service or ServiceEntry that the client sees, or set ALLOW_ANY in the client's Sidecar." Through,
    Blackhole / NonHttpOnHttpNamedPort:
        "The port is named as HTTP but the client sent something else, which under REGISTRY_ONLY its own proxy closes."
        "Name the Service port by what is spoken on it (`tcp-...`, `tls-...`), or set its appProtocol." Through,
    Blackhole / TargetPortDialled:
        "The container's port was dialled, but the Service declares another number, and under REGISTRY_ONLY the client's own proxy closes it."
        "Dial the Service's port, or make `port` and `targetPort` the same number in a headless Service." Through,
    Blackhole / ServiceNotVisible:
        "A headless Service declares this port, but exportTo or a Sidecar's egress hides it from the client, whose proxy closes it under REGISTRY_ONLY."
        "Add the client's namespace to `exportTo` of the Service, or the Service's host to `egress` of the client's Sidecar." Through,
    Blackhole / PortUndeclared:
        "No headless Service of the pod declares this port, and under REGISTRY_ONLY the client's own proxy closes what it knows no route for."
        "Add the port to a headless Service that selects the pod, or to a ServiceEntry where the address is no pod's." Through,
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
        "Name the Service port `tcp-...` or by its protocol (`mysql`, `mongo`), or declare it so in a headless Service that selects the pod." Through,
    ServerFirstStall / DestinationSniffs:
        "The server speaks first, but the connection reached the destination's proxy in plaintext, and that waits for the client's first bytes."
        "Let the call come by mesh mutual TLS (declare the port as `tcp-...` in a headless Service, and inject the client), or declare it as `tcp-...` and set `portLevelMtls` DISABLE for it." Through,
    ServerFirstStall / HttpCodec:
        "The Service declares the port as HTTP, so the destination's proxy waits for a request, while the server was to speak first."
        "Name the Service port `tcp-...` or by its protocol, or set its appProtocol to `tcp`." Through,
    AmbientPolicyDenied:
        "The destination is in ambient mode and its ztunnel closed the connection: a policy demands mutual TLS or denies the client."
        "Bring the client into the mesh, or set `portLevelMtls` PERMISSIVE for just this port; look at the AuthorizationPolicies of the destination too." Through,
    AmbientPolicyDenied / SourceNotInMesh:
        "The destination is in ambient mode and its ztunnel closed the connection: a PeerAuthentication demands mutual TLS, and the client is not in the mesh."
        "Bring the client into the mesh, or set `portLevelMtls` PERMISSIVE for just this port of the destination." Through,
    AmbientPolicyDenied / SidecarToAmbient:
        "The client has a sidecar and the destination is in ambient mode: by this headless route the sidecar sends plaintext, and ztunnel demands mutual TLS."
        "Dial a ClusterIP Service, towards whose endpoints a sidecar uses HBONE, or set `portLevelMtls` PERMISSIVE for just this port of the destination." Through,
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
        "Declare the port in a headless Service that selects the pod, if the call is to have mutual TLS, or narrow the ServiceEntry so that it no longer covers pods." Mutual,
    Passthrough / NonHttpOnHttpNamedPort:
        "The port is named as HTTP but the client sent something else, so its proxy passed the bytes through as they were."
        "Name the Service port by what is spoken on it (`tcp-...`, `tls-...`), or set its appProtocol." Mutual,
    Passthrough / HttpNamedHeadlessPort:
        "The headless Service names this port as HTTP, so a Host that is no Service name passes through without mutual TLS."
        "Name the port `tcp-...` (or leave its protocol open) so that pod ips get a route of their own, or dial by Service name." Mutual,
    Passthrough / TargetPortDialled:
        "The container's port was dialled, but the Service declares another number, so the proxy knows no route and passed it through."
        "Dial the Service's port, or make `port` and `targetPort` the same number in a headless Service." Mutual,
    Passthrough / ServiceNotVisible:
        "A headless Service declares this port, but exportTo or a Sidecar's egress hides it from the client, so it passed through."
        "Add the client's namespace to `exportTo` of the Service, or the Service's host to `egress` of the client's Sidecar." Mutual,
    Passthrough / HostIsPodIp:
        "The request's Host is the pod's ip, which no route knows, so it passed through without mutual TLS."
        "Send the Service's name as Host, or declare the port in a headless Service without an HTTP name." Mutual,
    Passthrough / HostUnknown:
        "No route knows the request's Host, so it passed through without mutual TLS."
        "Send the Service's name as Host, or declare the port in a headless Service without an HTTP name, which takes any Host." Mutual,
    Passthrough / PortUndeclared:
        "No headless Service of the pod declares this port, so the proxy knows no route and passed it through."
        "Add the port to a headless Service that selects the pod, if the call is to have mutual TLS." Mutual,
    Passthrough / AmbientToSidecar:
        "The client is in ambient mode and the destination's sidecar takes no HBONE, so the call went in plaintext."
        "Let the destination's sidecar accept HBONE (ISTIO_META_ENABLE_HBONE), or move it to ambient mode.",
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
