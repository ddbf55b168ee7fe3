//! What a source's proxy is told of: `exportTo`, the `Sidecar` that is for it, discovery selectors.

use crate::mesh::facts::{
    EgressListener, Enrolment, EntryPort, ExportTo, LabelExpression, LabelOperator, LabelSelector, Labels, MeshConfig,
    ObjectKey, OutboundPolicy, Pod, Sidecar, VirtualService,
};
use crate::mesh::index::Index;
use crate::mesh::index::host::resolve_short_name;
use crate::mesh::registry::RegistryService;
use crate::net::{Ktime, Name};
use std::sync::Arc;

/// Istio's `SidecarScope`: one proxy's sight.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub index: &'a Index,
    pub proxy: &'a Pod,
    pub mesh: &'a MeshConfig,
    pub sidecar: Option<&'a Sidecar>,
    pub as_of: Ktime,
}

/// One egress listener of a `Sidecar`; without one, a single listener for everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Egress<'a> {
    pub(crate) listener: Option<&'a EgressListener>,
}

impl<'a> Scope<'a> {
    pub fn of(index: &'a Index, proxy: &'a Pod, as_of: Ktime) -> Self {
        let revision = match &*proxy.enrolment {
            Enrolment::Sidecar(sidecar) => sidecar.revision.as_deref(),
            Enrolment::Gateway | Enrolment::Ambient | Enrolment::None => None,
        };
        let mesh = index.mesh_config(revision);
        Self { index, proxy, mesh, sidecar: sidecar_of(index, mesh, proxy), as_of }
    }

    /// `Sidecar` of the workload or namespace, else the mesh's, and which of them says so.
    pub fn outbound(&self) -> (OutboundPolicy, Option<&'a ObjectKey>) {
        match self.sidecar.and_then(|sidecar| Some((sidecar.outbound?, &sidecar.key))) {
            Some((policy, key)) => (policy, Some(key)),
            None => (self.mesh.outbound, None),
        }
    }

    /// Whether some listener of this proxy may know `service`.
    pub fn sees(&self, service: &RegistryService) -> bool {
        self.egress().any(|egress| self.imports(egress, service))
    }

    /// `model/sidecar.go ConvertToSidecarScope`, in order; the one for all ports comes last.
    pub(crate) fn egress(&self) -> impl Iterator<Item = Egress<'a>> + use<'a> {
        let listeners = self.sidecar.map_or(&[][..], |sidecar| &sidecar.egress);
        let default = listeners.is_empty().then_some(Egress { listener: None });
        listeners.iter().map(|listener| Egress { listener: Some(listener) }).chain(default)
    }

    /// `GetEgressListenerForRDS`: whose Services the virtual hosts of a port come from.
    pub(crate) fn egress_for(&self, port: u16) -> Option<Egress<'a>> {
        self.egress().find(|egress| egress.port().is_none_or(|own| own.number == port))
    }

    /// `selectServices`
    pub(crate) fn imports(&self, egress: Egress<'_>, service: &RegistryService) -> bool {
        self.export_rank(service).is_some()
            && egress
                .covers(&self.proxy.key.namespace, &service.key.namespace, |host| subset_of(&service.hostname, host))
            && egress.port().is_none_or(|port| egress.is_proxy() || service.port(port.number).is_some())
    }

    /// `SelectVirtualServices`: those bound to the mesh gateway.
    pub(crate) fn applies(&self, egress: Egress<'_>, service: &VirtualService) -> bool {
        let own = &service.key.namespace;
        (service.gateways.is_empty() || service.gateways.iter().any(|gateway| &**gateway == "mesh"))
            && self.virtual_service_rank(service).is_some()
            && egress.covers(&self.proxy.key.namespace, own, |host| {
                service.hosts.iter().any(|listed| matches(&resolve_short_name(listed, own), host))
            })
    }

    /// `servicesExportedToNamespace`: private ones come first, then those exported here, then public ones.
    pub(crate) fn export_rank(&self, service: &RegistryService) -> Option<u8> {
        self.rank(service.export_to.as_ref().unwrap_or(&self.mesh.default_service_export_to), &service.key.namespace)
    }

    pub(crate) fn virtual_service_rank(&self, service: &VirtualService) -> Option<u8> {
        let default = &self.mesh.default_virtual_service_export_to;
        self.rank(service.export_to.as_ref().unwrap_or(default), &service.key.namespace)
    }

    fn rank(&self, export: &ExportTo, owner: &str) -> Option<u8> {
        if !discovered(self.index, self.mesh, owner) {
            return None;
        }
        export.rank(owner, &self.proxy.key.namespace)
    }
}

impl<'a> Egress<'a> {
    pub(crate) fn port(self) -> Option<&'a EntryPort> {
        self.listener?.port.as_ref()
    }

    /// Namespaces that this listener names; `None`: any.
    pub(crate) fn namespaces(self, own: &'a Name) -> Option<impl Iterator<Item = &'a str>> {
        let hosts = &self.listener?.hosts;
        let named = hosts.iter().filter_map(|host| host.split_once('/')).map(move |(namespace, _)| match namespace {
            "." => &**own,
            namespace => namespace,
        });
        (!named.clone().any(|namespace| namespace == "*")).then_some(named)
    }

    /// A generic HTTP proxy for every port.
    fn is_proxy(self) -> bool {
        self.port().is_some_and(|port| port.protocol.eq_ignore_ascii_case("http_proxy"))
    }

    /// Whether a listed `namespace/dnsName` is for something of namespace `owner` whose host passes `matches`.
    fn covers(self, own: &str, owner: &str, matches: impl Fn(&str) -> bool) -> bool {
        let Some(listener) = self.listener else { return true };
        listener.hosts.iter().filter_map(|host| host.split_once('/')).any(|(namespace, host)| {
            (namespace == "*" || namespace == owner || (namespace == "." && own == owner)) && matches(host)
        })
    }
}

/// `push_context.go getSidecarScope`: the oldest that selects the workload, else the oldest of the namespace without a
/// selector, else that of the root namespace.
fn sidecar_of<'a>(index: &'a Index, mesh: &MeshConfig, proxy: &Pod) -> Option<&'a Sidecar> {
    let selector = |sidecar: &'a Arc<Sidecar>| sidecar.workload_selector.as_ref().filter(|labels| !labels.is_empty());
    let own = if discovered(index, mesh, &proxy.key.namespace) { index.sidecars(&proxy.key.namespace) } else { &[] };
    let selecting = own.iter().find(|sidecar| selector(sidecar).is_some_and(|labels| labels.selects(&proxy.labels)));
    let unselective = |sidecars: &'a [Arc<Sidecar>]| sidecars.iter().find(|sidecar| selector(sidecar).is_none());
    selecting
        .or_else(|| unselective(own))
        .or_else(|| unselective(index.sidecars(&mesh.root_namespace)))
        .map(AsRef::as_ref)
}

/// `discoverySelectors`: istiod does not look at any other namespace.
pub(crate) fn discovered(index: &Index, mesh: &MeshConfig, namespace: &str) -> bool {
    let none = Labels::default();
    let labels = || index.namespace(namespace).map_or(&none, |namespace| &namespace.labels);
    mesh.discovery_selectors.is_empty() || mesh.discovery_selectors.iter().any(|selector| selects(selector, labels()))
}

fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    let holds = |expression: &LabelExpression| {
        let value = labels.get(&expression.key);
        match expression.operator {
            LabelOperator::In => value.is_some_and(|value| expression.values.contains(value)),
            LabelOperator::NotIn => value.is_none_or(|value| !expression.values.contains(value)),
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    };
    selector.match_labels.selects(labels) && selector.match_expressions.iter().all(holds)
}

/// `host.Name.SubsetOf`: every name that `host` covers is covered by `of`.
pub(crate) fn subset_of(host: &str, of: &str) -> bool {
    match (of.strip_prefix('*'), host.strip_prefix('*')) {
        (Some(suffix), own) => own.unwrap_or(host).to_ascii_lowercase().ends_with(&suffix.to_ascii_lowercase()),
        (None, None) => host.eq_ignore_ascii_case(of),
        (None, Some(_)) => false,
    }
}

/// `host.Name.Matches`: one covers the other.
pub(crate) fn matches(a: &str, b: &str) -> bool {
    subset_of(a, b) || subset_of(b, a)
}
