//! Endpoints of a Service's port (`model.IstioEndpoint`), with what clients go by: the pod's tlsMode label.

use super::Index;
use super::keyed::Keyed;
use crate::mesh::facts::{EndpointSlice, Labels, ObjectKey, Pod, SliceEndpoint, WorkloadEntry};
use crate::mesh::registry::{Port, Registry, RegistryService};
use crate::net::{Ktime, Name};
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(crate) struct ServiceEndpoint<'a> {
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
    pub(crate) pod: Option<&'a Arc<Pod>>,
    pub(crate) labels: Option<&'a Labels>,
    pub(crate) ready: bool,
    pub(crate) labelled: Labelled,
    /// Namespace and name of the service account whose certificate it would show.
    pub(crate) account: Option<(&'a Name, &'a Name)>,
    /// Whose endpoint this is, for a step's text.
    pub(crate) name: EndpointName<'a>,
}

/// Label `security.istio.io/tlsMode: istio`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Labelled {
    Yes,
    No,
    /// No targetRef, but the ip is a labelled pod's: istiod guesses by the order of its events.
    Unsure,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum EndpointName<'a> {
    Pod(&'a ObjectKey),
    Address(IpAddr),
}

impl Index {
    /// `ServiceEndpointsByPort`: not-ready and terminating ones too. Endpoints whose address is a DNS name are not there.
    pub(crate) fn endpoints<'a>(
        &'a self,
        service: &'a RegistryService,
        port: &Port,
        at: Ktime,
    ) -> Vec<ServiceEndpoint<'a>> {
        match service.registry {
            Registry::Kubernetes => {
                let slices = self.slices.of_service(&service.key);
                slices.into_iter().flat_map(|slice| self.slice_endpoints(slice, port, at)).collect()
            }
            Registry::ServiceEntry => {
                let listed = service.endpoints().iter().filter_map(|entry| entry_endpoint(service, port, entry));
                listed.chain(self.selected_pods(service, port)).collect()
            }
        }
    }

    /// As `services_over`, and the ServiceEntries too that name this address or select its pod.
    pub(crate) fn registry_over<'a>(
        &'a self,
        ip: IpAddr,
        at: Ktime,
    ) -> impl Iterator<Item = (&'a Arc<RegistryService>, &'a Port, u16)> {
        let entries = self.entries_over(ip, self.pod_at(ip, at).map(AsRef::as_ref));
        let served = entries.flat_map(move |service| {
            let of = move |port: &'a Port| {
                let endpoints = self.endpoints(service, port, at);
                Some((service, port, endpoints.into_iter().find(|endpoint| endpoint.ip == ip)?.port))
            };
            service.ports.iter().filter_map(of)
        });
        self.services_over(ip).chain(served)
    }

    /// Every Service that has `ip` among its endpoints, with the number under which `ip` serves each port.
    pub(crate) fn services_over<'a>(
        &'a self,
        ip: IpAddr,
    ) -> impl Iterator<Item = (&'a Arc<RegistryService>, &'a Port, u16)> {
        self.slices.with_address(ip).into_iter().flat_map(move |slice| {
            let key = slice
                .service
                .as_ref()
                .map(|name| ObjectKey { namespace: slice.key.namespace.clone(), name: name.clone() });
            let service = key.and_then(|key| self.services.service(&key));
            service.into_iter().flat_map(move |service| {
                let of = move |port: &'a Port| Some((service, port, slice_port(slice, port)?));
                service.ports.iter().filter_map(of)
            })
        })
    }

    fn slice_endpoints<'a>(
        &'a self,
        slice: &'a EndpointSlice,
        port: &Port,
        at: Ktime,
    ) -> impl Iterator<Item = ServiceEndpoint<'a>> {
        let number = slice_port(slice, port);
        let endpoints = number.into_iter().flat_map(move |number| slice.endpoints.iter().map(move |e| (e, number)));
        endpoints.filter_map(move |(endpoint, number)| self.slice_endpoint(slice, endpoint, number, at))
    }

    /// `endpointslice.go updateEndpointSliceForService`: an endpoint whose targetRef names a pod that is not known yet
    /// is left out until the pod comes.
    fn slice_endpoint<'a>(
        &'a self,
        slice: &EndpointSlice,
        endpoint: &SliceEndpoint,
        port: u16,
        at: Ktime,
    ) -> Option<ServiceEndpoint<'a>> {
        let ip = endpoint.address.to_canonical();
        let pod = match slice.pod_of(endpoint) {
            Some(key) => Some(self.pod(&key)?),
            None => None,
        };
        let labelled = match pod {
            Some(pod) if pod.tls_mode_istio => Labelled::Yes,
            None if self.pod_at(ip, at).is_some_and(|pod| pod.tls_mode_istio) => Labelled::Unsure,
            _ => Labelled::No,
        };
        Some(ServiceEndpoint {
            ip,
            port,
            pod,
            labels: pod.map(|pod| &pod.labels),
            ready: endpoint.ready,
            labelled,
            account: pod.map(|pod| (&pod.key.namespace, &pod.service_account)),
            name: pod.map_or(EndpointName::Address(ip), |pod| EndpointName::Pod(&pod.key)),
        })
    }

    fn selected_pods<'a>(
        &'a self,
        service: &'a RegistryService,
        port: &Port,
    ) -> impl Iterator<Item = ServiceEndpoint<'a>> {
        let number = port.target.unwrap_or(port.number);
        let pods = (!service.selector.is_empty()).then(|| self.pods.get(&service.key.namespace)).flatten();
        let selected = pods.into_iter().flat_map(Keyed::iter);
        selected.filter(|pod| !pod.gone && service.selector.selects(&pod.labels)).filter_map(move |pod| {
            Some(ServiceEndpoint {
                ip: pod.ips.first()?.to_canonical(),
                port: number,
                pod: Some(pod),
                labels: Some(&pod.labels),
                ready: pod.ready,
                labelled: if pod.tls_mode_istio { Labelled::Yes } else { Labelled::No },
                account: Some((&pod.key.namespace, &pod.service_account)),
                name: EndpointName::Pod(&pod.key),
            })
        })
    }
}

/// `serviceentry/conversion.go convertEndpoint`
fn entry_endpoint<'a>(
    service: &'a RegistryService,
    port: &Port,
    entry: &'a WorkloadEntry,
) -> Option<ServiceEndpoint<'a>> {
    let ip = entry.address.parse::<IpAddr>().ok()?.to_canonical();
    let own = entry.ports.iter().find(|(name, _)| *name == port.name).map(|(_, number)| *number);
    let labelled = match entry.labels.get("security.istio.io/tlsMode") {
        Some(mode) if &**mode == "istio" => Labelled::Yes,
        None if entry.service_account.is_some() => Labelled::Yes,
        _ => Labelled::No,
    };
    Some(ServiceEndpoint {
        ip,
        port: own.or(port.target).unwrap_or(port.number),
        pod: None,
        labels: Some(&entry.labels),
        ready: true,
        labelled,
        account: entry.service_account.as_ref().map(|account| (&service.key.namespace, account)),
        name: EndpointName::Address(ip),
    })
}

/// The number under which the endpoints of `slice` serve `port`.
fn slice_port(slice: &EndpointSlice, port: &Port) -> Option<u16> {
    slice.ports.iter().find(|known| known.name == port.name)?.port
}

impl std::fmt::Display for EndpointName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EndpointName::Pod(key) => write!(f, "{}/{}", key.namespace, key.name),
            EndpointName::Address(ip) => write!(f, "{ip}"),
        }
    }
}
