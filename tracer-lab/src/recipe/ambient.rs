//! Ambient mode: what a pod's rules, and the stand-in for ztunnel behind them, go by.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use serde::{Deserialize, Serialize};

/// Where ztunnel gets what the application sends, and what comes for it in plaintext and by tunnel.
pub(crate) const OUTBOUND: u16 = 15001;
pub(crate) const INBOUND: u16 = 15006;
pub(crate) const HBONE: u16 = 15008;
/// On every socket that it opens itself (`src/config.rs`, `DEFAULT_PACKET_MARK`).
pub(crate) const MARK: u32 = 0x539;

/// What ztunnel learns from istiod.
#[derive(Serialize, Deserialize)]
pub(crate) struct Workloads {
    /// Those that take HBONE.
    pub(crate) ambient: BTreeSet<Ipv4Addr>,
    pub(crate) services: BTreeMap<SocketAddrV4, Vec<SocketAddrV4>>,
    /// Whether who has no mesh certificate is turned away from this pod.
    pub(crate) strict: bool,
}
