//! An ambient destination: ztunnel's own ports.

use super::Arrived;
use crate::mesh::facts::{MtlsMode, Pod};
use crate::mesh::index::Index;
use crate::mesh::policy::port_mode;
use crate::mesh::xds::client_tls::Begins;
use crate::walk::outcome::{Arrival, ArrivalEnd};

/// ztunnel's plaintext port: STRICT denies whoever shows no identity; nothing is sniffed, so nothing stalls.
pub(super) fn arrive<'a>(index: &'a Index, pod: &'a Pod, port: u16, begins: Begins) -> Arrived<'a> {
    let mode = port_mode(index, index.mesh_config(None), &pod.key.namespace, &pod.labels, port);
    let end = match begins {
        Begins::Hbone => ArrivalEnd::Delivered,
        _ if mode.mode == MtlsMode::Strict => ArrivalEnd::PolicyDenied,
        Begins::MeshTls => ArrivalEnd::MtlsNotTerminated,
        Begins::OneWayTls | Begins::AsSent => ArrivalEnd::Delivered,
    };
    Arrived { arrival: Arrival { captured: true, end }, in_codec: false, mode: Some(mode), declared: None }
}
