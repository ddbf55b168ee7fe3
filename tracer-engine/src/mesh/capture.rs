//! Whether a pod's connections pass its proxy: the rules that `istio-iptables` made of the capture scope, in their order
//! (`tools/istio-iptables/pkg/capture/run.go`).

use crate::mesh::facts::{Capture, InterceptionMode, Pod, Selection};
use crate::net::Endpoint;
use crate::verdict::Cause;
use std::net::IpAddr;

/// Ports that inbound capture leaves to the proxy itself: prometheus, health, merged metrics, HBONE.
const NEVER_INBOUND: [u16; 4] = [15090, 15021, 15020, 15008];

/// Why the source's proxy does not see a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Uncaptured {
    /// A pod dialling its own ip stays on the loopback interface.
    Own,
    Because(Cause),
}

impl std::fmt::Display for Uncaptured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Uncaptured::Own => f.write_str("its own ip never leaves it"),
            Uncaptured::Because(Cause::SourcePortExcluded) => f.write_str("excludeOutboundPorts (istio-init -o)"),
            Uncaptured::Because(Cause::SourceRangeExcluded) => f.write_str("outbound ip ranges (istio-init -i, -x)"),
            Uncaptured::Because(Cause::ProxyUid) => f.write_str("the proxy's own uid is let by (istio-init -u)"),
            Uncaptured::Because(_) => f.write_str("no sidecar captures it"),
        }
    }
}

/// OUTPUT: `-o` ports, the pod's own addresses, the proxy's uid, loopback, `-x`, `-q`, `-i`.
pub fn outbound(pod: &Pod, capture: &Capture, uid: Option<u32>, to: Endpoint) -> Result<(), Uncaptured> {
    if is_own(pod, to.ip) {
        return Err(Uncaptured::Own);
    }
    if capture.mode == InterceptionMode::None {
        return Err(Uncaptured::Because(Cause::SourceNotInMesh));
    }
    if capture.exclude_outbound_ports.contains(&to.port) {
        return Err(Uncaptured::Because(Cause::SourcePortExcluded));
    }
    if uid.is_some_and(|uid| capture.proxy_uids.contains(&uid)) {
        return Err(Uncaptured::Because(Cause::ProxyUid));
    }
    if to.ip.is_loopback() || capture.exclude_outbound_ranges.iter().any(|range| range.contains(&to.ip)) {
        return Err(Uncaptured::Because(Cause::SourceRangeExcluded));
    }
    if capture.include_outbound_ports.contains(&to.port) {
        return Ok(());
    }
    match &capture.include_outbound_ranges {
        Selection::All => Ok(()),
        Selection::Only(ranges) if ranges.iter().any(|range| range.contains(&to.ip)) => Ok(()),
        Selection::Only(_) => Err(Uncaptured::Because(Cause::SourceRangeExcluded)),
    }
}

/// PREROUTING: 15008 never; an include list stands alone, excludes count only with `*`.
pub fn inbound(capture: &Capture, port: u16) -> bool {
    if capture.mode == InterceptionMode::None || NEVER_INBOUND.contains(&port) {
        return false;
    }
    match &capture.include_inbound_ports {
        Selection::All => !capture.exclude_inbound_ports.contains(&port),
        Selection::Only(ports) => ports.contains(&port),
    }
}

pub fn is_own(pod: &Pod, ip: IpAddr) -> bool {
    pod.ips.iter().any(|own| own.to_canonical() == ip)
}
