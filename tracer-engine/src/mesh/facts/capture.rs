//! How a pod takes part in the mesh, and what `istio-iptables` captures of it.

use crate::net::Name;
use ipnet::IpNet;
use smallvec::SmallVec;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Enrolment {
    /// Container or initContainer `istio-proxy` together with annotation `sidecar.istio.io/status`.
    Sidecar(SidecarProxy),
    /// An ingress or egress gateway: has a proxy, captures nothing.
    Gateway,
    /// Annotation `ambient.istio.io/redirection: enabled`.
    Ambient,
    None,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SidecarProxy {
    /// Image tag of `istio-proxy`, as written (`1.30.3`).
    pub version: Option<Name>,
    /// From the status annotation; names the mesh configuration (`istio`, or `istio-<rev>`).
    pub revision: Option<Name>,
    pub capture: Capture,
}

/// What `istio-iptables` was told for this pod: arguments of `istio-init` or `istio-validation`, and where they do not
/// say, the annotations `traffic.sidecar.istio.io/*`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Capture {
    pub mode: InterceptionMode,
    /// `-p`, 15001
    pub outbound_port: u16,
    /// `-z`, 15006
    pub inbound_port: u16,
    /// `-u`: connections of these uids are the proxy's own and never captured.
    pub proxy_uids: SmallVec<[u32; 1]>,
    /// `-i`
    pub include_outbound_ranges: Selection<IpNet>,
    /// `-x`
    pub exclude_outbound_ranges: Vec<IpNet>,
    /// `-q`: captured even outside `-i`.
    pub include_outbound_ports: Vec<u16>,
    /// `-o`
    pub exclude_outbound_ports: Vec<u16>,
    /// `-b`
    pub include_inbound_ports: Selection<u16>,
    /// `-d`: counts only with `-b *`.
    pub exclude_inbound_ports: Vec<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum InterceptionMode {
    Redirect,
    /// Keeps the client's address: no 127.0.0.6 at the local leg.
    Tproxy,
    /// Nothing is captured.
    None,
}

/// `*`, or a list.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Selection<T> {
    All,
    Only(Vec<T>),
}
