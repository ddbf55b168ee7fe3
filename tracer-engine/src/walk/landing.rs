//! Where a hop may land.

use super::journey::Journey;
use crate::mesh::facts::Pod;
use crate::mesh::index::{Occupant, ServiceEndpoint};
use crate::mesh::visibility::Scope;
use crate::mesh::xds::client_tls::{Begins, ClientTlsChoice};
use crate::mesh::xds::cluster::ClusterOf;
use crate::net::Endpoint;
use crate::verdict::Reason;
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// Where ztunnel, waypoints and sidecars take HBONE.
const HBONE: u16 = 15008;

/// One place where a hop may end.
#[derive(Clone)]
pub(super) struct Landing<'a> {
    pub(super) at: Endpoint,
    /// Where the kernel at the source shows the hop going, if not to `at` itself; of several the proxy picks one.
    pub(super) by_way_of: SmallVec<[Endpoint; 1]>,
    pub(super) pod: Option<&'a Arc<Pod>>,
    pub(super) begins: Begins,
    pub(super) tls: Option<ClientTlsChoice<'a>>,
    /// The source takes the certificate that this pod would show.
    pub(super) accepts: bool,
    /// Nobody is there.
    pub(super) lost: Option<Reason>,
}

/// What the kernel at the source shows of the hop.
#[derive(Clone, Copy)]
pub(super) enum Shown {
    Dialled(Endpoint),
    /// Each landing's own address, or what it goes by way of.
    OneOf,
    Unknown,
}

/// Where the dialled address leads: its pod, or what kube-proxy makes of a VIP.
pub(super) fn dialled<'a>(
    journey: &Journey<'a>,
    through: Option<(ClientTlsChoice<'a>, &ClusterOf<'a>, &Scope<'a>)>,
) -> Vec<Landing<'a>> {
    let tls = through.map(|(choice, _, _)| choice);
    let accepts =
        |pod: &Pod| through.is_none_or(|(choice, cluster, scope)| certificate_is_taken(scope, cluster, choice, pod));
    let land = |at, pod: Option<&'a Arc<Pod>>| Landing::new(at, pod, tls, pod.is_none_or(|pod| accepts(pod)));
    let to = journey.to;
    match journey.dialled {
        Occupant::Tombstone(_) => vec![Landing { lost: Some(Reason::StalePodIp), ..land(to, None) }],
        Occupant::Service(service) => {
            let Some(port) = service.port(to.port) else { return vec![land(to, None)] };
            let endpoints = journey.index.endpoints(service, port, journey.as_of);
            let ready = endpoints.iter().filter(|endpoint| endpoint.ready);
            let landings: Vec<_> = ready
                .map(|endpoint| {
                    let at = Endpoint { ip: endpoint.ip, port: endpoint.port };
                    land(at, endpoint.pod.or_else(|| journey.pod_at(endpoint.ip)))
                })
                .collect();
            if landings.is_empty() { vec![Landing { lost: Some(Reason::Refused), ..land(to, None) }] } else { landings }
        }
        Occupant::Pod(_) | Occupant::Node(_) | Occupant::External | Occupant::Unknown(_) => {
            vec![land(to, journey.dialled_pod())]
        }
    }
}

fn tunnel(at: Endpoint) -> SmallVec<[Endpoint; 1]> {
    smallvec![Endpoint { port: HBONE, ..at }]
}

fn certificate_is_taken(scope: &Scope<'_>, cluster: &ClusterOf<'_>, choice: ClientTlsChoice<'_>, pod: &Pod) -> bool {
    choice.begins != Begins::MeshTls || cluster.accepts(scope, &pod.key.namespace, &pod.service_account)
}

impl<'a> Landing<'a> {
    pub(super) fn new(
        at: Endpoint,
        pod: Option<&'a Arc<Pod>>,
        tls: Option<ClientTlsChoice<'a>>,
        accepts: bool,
    ) -> Self {
        let begins = tls.map_or(Begins::AsSent, |tls| tls.begins);
        let by_way_of = if begins == Begins::Hbone { tunnel(at) } else { SmallVec::new() };
        Self { at, by_way_of, pod, begins, tls, accepts, lost: None }
    }

    pub(super) fn at_endpoint(
        journey: &Journey<'a>,
        scope: &Scope<'a>,
        cluster: &ClusterOf<'a>,
        endpoint: &ServiceEndpoint<'a>,
        choice: ClientTlsChoice<'a>,
    ) -> Self {
        let pod = endpoint.pod.or_else(|| journey.pod_at(endpoint.ip));
        let accepts = pod.is_none_or(|pod| certificate_is_taken(scope, cluster, choice, pod));
        Self::new(Endpoint { ip: endpoint.ip, port: endpoint.port }, pod, Some(choice), accepts)
    }

    /// To the pod's own tunnel, or to that of the waypoint before it.
    pub(super) fn by_hbone(self, waypoint: &[Endpoint]) -> Self {
        let by_way_of =
            if waypoint.is_empty() { tunnel(self.at) } else { waypoint.iter().flat_map(|at| tunnel(*at)).collect() };
        Self { begins: Begins::Hbone, by_way_of, ..self }
    }

    pub(super) fn shown(&self) -> &[Endpoint] {
        if self.by_way_of.is_empty() { std::slice::from_ref(&self.at) } else { &self.by_way_of }
    }

    /// Behind a DNS name: nothing is known of it.
    pub(super) fn elsewhere(journey: &Journey<'a>, choice: ClientTlsChoice<'a>) -> Self {
        Self::new(journey.to, None, Some(choice), true)
    }
}
