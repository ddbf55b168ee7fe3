//! An address outside the cluster, made known to a client that may go nowhere else.

use super::case::{Case, NEW, named};
use super::{Manifest, Proposal};
use crate::mesh::facts::{EntryPort, ExportTo, Fact, Location, Resolution, ServiceEntry};
use crate::mesh::index::Occupant;
use ipnet::IpNet;

/// Of no pod and no Service. The address stays as it was dialled, and is known to the client's namespace alone.
pub(super) fn declare(case: &Case<'_>) -> Option<Proposal> {
    let to = case.call.to;
    let Occupant::External = case.index.occupant(to.ip, case.as_of) else { return None };
    let scope = case.scope()?;
    let (ip, port) = (to.ip.to_string(), to.port.to_string());
    let key = named(&scope.proxy.key.namespace, &["external", &ip, &port]);
    let entry = ServiceEntry {
        created: NEW,
        hosts: vec![format!("{}.external", key.name).into()],
        addresses: vec![IpNet::from(to.ip)],
        ports: vec![EntryPort {
            number: to.port,
            // Whatever is sent, and by whatever Host: it is not looked at.
            protocol: "TCP".into(),
            name: format!("tcp-{port}").into(),
            target: None,
        }],
        resolution: Resolution::None,
        location: Location::MeshExternal,
        endpoints: Vec::new(),
        workload_selector: None,
        export_to: Some(ExportTo::OwnNamespace),
        subject_alt_names: Vec::new(),
        key,
    };
    Some(Manifest::new(Fact::ServiceEntry(entry)).into())
}
