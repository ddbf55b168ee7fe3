//! S5: the cluster that a route leads to, and the hops it may choose.

use crate::mesh::facts::{Destination, ObjectKey};
use crate::mesh::index::host::resolve_short_name;
use crate::mesh::index::{EndpointName, Labelled, ServiceEndpoint};
use crate::mesh::registry::{Port, Registry, RegistryService, Resolution};
use crate::mesh::traffic_policy::{ClientPolicy, Consolidated};
use crate::mesh::visibility::Scope;
use crate::net::{Endpoint, Name};
use std::sync::Arc;

/// `outbound|port|subset|host`, and what a DestinationRule says of it.
#[derive(Clone, Debug)]
pub(crate) struct ClusterOf<'a> {
    pub(crate) service: &'a Arc<RegistryService>,
    pub(crate) port: &'a Port,
    pub(crate) subset: Option<Name>,
    /// A VirtualService that led here.
    pub(crate) by: Option<&'a ObjectKey>,
    pub(crate) rule: Option<Consolidated<'a>>,
    pub(crate) policy: Option<ClientPolicy<'a>>,
}

/// Where a cluster's connections go.
#[derive(Clone, Debug)]
pub(crate) enum Hops<'a> {
    /// ORIGINAL_DST
    Dialled(Endpoint),
    /// The ready ones; the proxy picks.
    Endpoints(Vec<ServiceEndpoint<'a>>),
    /// A DNS name.
    Elsewhere,
}

impl<'a> ClusterOf<'a> {
    /// The cluster of a Service's own route.
    pub(crate) fn of_service(scope: &Scope<'a>, service: &'a Arc<RegistryService>, port: &'a Port) -> Self {
        let rule = Consolidated::find(scope, service);
        let policy = rule.as_ref().map(|rule| rule.policy(port.number, None));
        Self { service, port, subset: None, by: None, rule, policy }
    }

    /// `GetDestinationCluster`; `None`: no such cluster was ever pushed.
    pub(crate) fn of_route(
        scope: &Scope<'a>,
        destination: &Destination,
        by: &'a ObjectKey,
        listener_port: u16,
        tcp: bool,
    ) -> Option<Self> {
        let index = scope.index;
        let mut host = resolve_short_name(&destination.host, &by.namespace);
        if let Some(target) = index.services_named(&host).iter().find_map(|service| service.alias_of.as_ref()) {
            host = target.clone();
        }
        let own = &scope.proxy.key.namespace;
        let in_sight = index.services_named(&host).iter().filter(|service| scope.export_rank(service).is_some());
        let service = in_sight.min_by_key(|service| (service.key.namespace != *own, &service.key.namespace))?;
        // Only TCP routes look at a Service's single port; an HTTP listener's Services were cut to its own.
        let single = (tcp && service.ports.len() == 1).then(|| service.ports[0].number);
        let number = destination.port.or(single).unwrap_or(listener_port);
        let port = service.port(number).filter(|port| port.protocol.outbound().is_some())?;
        let rule = Consolidated::find(scope, service);
        let policy = rule.as_ref().map(|rule| rule.policy(number, destination.subset.as_deref()));
        let cluster = Self { service, port, subset: destination.subset.clone(), by: Some(by), rule, policy };
        (cluster.subset.is_none() || cluster.subset_labels().is_some()).then_some(cluster)
    }

    /// `convertResolution`, and `applyLoadBalancer` for PASSTHROUGH.
    pub(crate) fn keeps_destination(&self) -> bool {
        self.service.resolution == Resolution::Passthrough || self.policy.is_some_and(|policy| policy.passthrough)
    }

    /// `endpoint_builder.go filterIstioEndpoint`
    pub(crate) fn hops(&self, scope: &Scope<'a>, to: Endpoint) -> Hops<'a> {
        if self.keeps_destination() {
            let entry = self.service.registry == Registry::ServiceEntry;
            let target = self.port.target.filter(|_| entry).unwrap_or(to.port);
            return Hops::Dialled(Endpoint { ip: to.ip, port: target });
        }
        let mut endpoints = scope.index.endpoints(self.service, self.port, scope.as_of);
        let subset = self.subset_labels();
        endpoints.retain(|endpoint| {
            let in_subset = subset.is_none_or(|subset| endpoint.labels.is_some_and(|labels| subset.selects(labels)));
            endpoint.ready && in_subset
        });
        if self.service.resolution == Resolution::Dns && endpoints.is_empty() {
            return Hops::Elsewhere;
        }
        Hops::Endpoints(endpoints)
    }

    /// Whose certificates the proxy takes (`ServiceAccounts`): those of all the Service's endpoints, on all its ports,
    /// not-ready ones too, and those that a ServiceEntry or DestinationRule names. None at all: anybody's.
    pub(crate) fn accepts(&self, scope: &Scope<'a>, namespace: &str, account: &str) -> bool {
        let domain = &scope.mesh.trust_domain;
        let named = |names: &[Name]| {
            let identity = |domain: &Name| format!("spiffe://{domain}/ns/{namespace}/sa/{account}");
            let aliases = scope.mesh.trust_domain_aliases.iter().chain([domain]);
            aliases.map(identity).any(|identity| names.iter().any(|name| **name == *identity))
        };
        if let Some(tls) = self.policy.and_then(|policy| policy.tls).filter(|tls| !tls.subject_alt_names.is_empty()) {
            return named(&tls.subject_alt_names);
        }
        let mut anybody = self.service.subject_alt_names().is_empty();
        for port in &*self.service.ports {
            for endpoint in scope.index.endpoints(self.service, port, scope.as_of) {
                if let Some((own_namespace, own)) = endpoint.account {
                    anybody = false;
                    if **own_namespace == *namespace && **own == *account {
                        return true;
                    }
                }
            }
        }
        anybody || named(self.service.subject_alt_names())
    }

    /// The first endpoint of the port without the label, and whether that is sure.
    pub(crate) fn unlabelled(&self, scope: &Scope<'a>) -> Unlabelled<'a> {
        let endpoints = scope.index.endpoints(self.service, self.port, scope.as_of);
        if endpoints.is_empty() {
            return Unlabelled::NoEndpoints;
        }
        let with = |labelled| endpoints.iter().find(|endpoint| endpoint.labelled == labelled).map(|e| e.name);
        match (with(Labelled::No), with(Labelled::Unsure)) {
            (Some(name), _) => Unlabelled::Named(name),
            (None, Some(name)) => Unlabelled::Unsure(name),
            (None, None) => Unlabelled::None,
        }
    }

    pub(crate) fn name(&self) -> String {
        let subset = self.subset.as_deref().unwrap_or_default();
        format!("outbound|{}|{subset}|{}", self.port.number, self.service.hostname)
    }

    fn subset_labels(&self) -> Option<&'a crate::mesh::facts::Labels> {
        self.rule.as_ref()?.subset_labels(self.subset.as_deref()?)
    }
}

impl Hops<'_> {
    /// For a step's text.
    pub(crate) fn told(&self) -> String {
        match self {
            Hops::Dialled(at) => format!("ORIGINAL_DST, the dialled address stays: {at}"),
            Hops::Endpoints(endpoints) if endpoints.is_empty() => "no ready endpoint".to_owned(),
            Hops::Endpoints(endpoints) => format!("the proxy picks one of {} ready endpoints", endpoints.len()),
            Hops::Elsewhere => "wherever DNS says".to_owned(),
        }
    }
}

/// Whether a Service's port has an endpoint without the tlsMode label.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Unlabelled<'a> {
    None,
    NoEndpoints,
    Named(EndpointName<'a>),
    Unsure(EndpointName<'a>),
}
