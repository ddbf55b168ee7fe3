//! DestinationRule: what a client's cluster is told to do.

use crate::mesh::facts::{ClientTls, ClientTlsMode, DestinationRule, ExportTo, Labels, ObjectKey, TrafficPolicy};
use crate::mesh::registry::RegistryService;
use crate::mesh::visibility::{Scope, discovered};
use crate::net::Name;
use std::sync::Arc;

/// The rules for one host, as one (`model/destination_rule.go mergeDestinationRule`).
#[derive(Clone, Debug)]
pub(crate) struct Consolidated<'a> {
    rules: Vec<&'a DestinationRule>,
}

/// What holds for one cluster: `outbound|port|subset|host`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientPolicy<'a> {
    pub(crate) tls: Option<&'a ClientTls>,
    /// `loadBalancer.simple: PASSTHROUGH`: ORIGINAL_DST.
    pub(crate) passthrough: bool,
    /// The same of the host's policy alone, which is what decides whose labels are looked at.
    pub(crate) host_passthrough: bool,
    /// `trafficPolicyTLSModeForPort`: the mode that the endpoints are marked by.
    pub(crate) endpoint_mode: Option<ClientTlsMode>,
}

impl<'a> Consolidated<'a> {
    /// `push_context.go destinationRule`: in the client's namespace, then the Service's, then the root; there the most
    /// specific host.
    pub(crate) fn find(scope: &Scope<'a>, service: &RegistryService) -> Option<Self> {
        let client = &scope.proxy.key.namespace;
        let root = &scope.mesh.root_namespace;
        let export = |rule: &DestinationRule| {
            rule.export_to.clone().unwrap_or_else(|| scope.mesh.default_destination_rule_export_to.clone())
        };
        let private = |rule: &DestinationRule| is_private(&export(rule), &rule.key.namespace);
        let local = |rule: &DestinationRule| match &rule.export_to {
            Some(ExportTo::Namespaces(named)) => named.iter().any(|n| &**n == "." || *n == rule.key.namespace),
            Some(ExportTo::Nobody) => false,
            _ => client != root || private(rule),
        };
        let exported = |rule: &DestinationRule| export(rule).rank(&rule.key.namespace, client).is_some();

        let rules = most_specific(scope, client, service, local);
        let rules = rules.or_else(|| {
            most_specific(scope, &service.key.namespace, service, |rule| !private(rule)).map(|r| only(r, exported))
        });
        let rules = rules.filter(|rules| !rules.is_empty());
        let rules =
            rules.or_else(|| most_specific(scope, root, service, |rule| !private(rule)).map(|r| only(r, exported)))?;

        // `SidecarScope.DestinationRule`: one whose selector selects this client stands alone.
        let selected = rules.iter().find(|rule| {
            let selector = rule.workload_selector.as_ref();
            rule.key.namespace == *client && selector.is_some_and(|labels| labels.selects(&scope.proxy.labels))
        });
        let rules = match selected {
            Some(rule) => vec![*rule],
            None => rules.into_iter().filter(|rule| rule.workload_selector.is_none()).collect(),
        };
        (!rules.is_empty()).then_some(Self { rules })
    }

    /// The rule whose traffic policy holds for the whole host; of several without one the oldest.
    pub(crate) fn of_host(&self) -> Option<&'a DestinationRule> {
        let ruling = self.rules.iter().find(|rule| rule.traffic_policy.is_some());
        ruling.or(self.rules.first()).copied()
    }

    pub(crate) fn key(&self) -> &'a ObjectKey {
        &self.rules[0].key
    }

    /// `MergeSubsetTrafficPolicy`, `GetPortLevelTrafficPolicy`: a port's settings replace the host's whole; a subset's
    /// override the host's one by one.
    pub(crate) fn policy(&self, port: u16, subset: Option<&str>) -> ClientPolicy<'a> {
        let host = self.rules.iter().find_map(|rule| rule.traffic_policy.as_ref());
        let own = subset.and_then(|name| self.subset(name)).and_then(|subset| subset.traffic_policy.as_ref());
        let base = host.map(|policy| for_port(policy, port));
        let over = own.map(|policy| for_port(policy, port));
        let marked_by = if subset.is_some() { own } else { host };
        ClientPolicy {
            tls: over.and_then(|p| p.tls.as_ref()).or_else(|| base.and_then(|p| p.tls.as_ref())),
            passthrough: [over, base].into_iter().flatten().any(|policy| policy.passthrough),
            host_passthrough: host.is_some_and(|policy| policy.passthrough),
            endpoint_mode: marked_by.and_then(|policy| {
                let port = policy.port_level.iter().find(|(number, _)| *number == port);
                port.and_then(|(_, policy)| policy.tls.as_ref()).or(policy.tls.as_ref()).map(|tls| tls.mode)
            }),
        }
    }

    /// Labels of the endpoints in a subset; `None`: there is no such subset, and so no cluster.
    pub(crate) fn subset_labels(&self, name: &str) -> Option<&'a Labels> {
        self.subset(name).map(|subset| &subset.labels)
    }

    fn subset(&self, name: &str) -> Option<&'a crate::mesh::facts::Subset> {
        self.rules.iter().flat_map(|rule| &rule.subsets).find(|subset| &*subset.name == name)
    }
}

fn most_specific<'a>(
    scope: &Scope<'a>,
    namespace: &Name,
    service: &RegistryService,
    counts: impl Fn(&DestinationRule) -> bool,
) -> Option<Vec<&'a DestinationRule>> {
    if !discovered(scope.index, scope.mesh, namespace) {
        return None;
    }
    let hosts = scope.index.destination_rules(namespace)?;
    let of =
        |rules: &'a [Arc<DestinationRule>]| rules.iter().map(AsRef::as_ref).filter(|r| counts(r)).collect::<Vec<_>>();
    hosts.matching(&service.hostname).map(of).find(|rules| !rules.is_empty())
}

fn only(rules: Vec<&DestinationRule>, counts: impl Fn(&DestinationRule) -> bool) -> Vec<&DestinationRule> {
    rules.into_iter().filter(|rule| counts(rule)).collect()
}

fn for_port(policy: &TrafficPolicy, port: u16) -> &TrafficPolicy {
    policy.port_level.iter().find(|(number, _)| *number == port).map_or(policy, |(_, policy)| policy)
}

fn is_private(export: &ExportTo, owner: &Name) -> bool {
    match export {
        ExportTo::OwnNamespace => true,
        ExportTo::Namespaces(named) => named.len() == 1 && (&*named[0] == "." || named[0] == *owner),
        ExportTo::All | ExportTo::Nobody => false,
    }
}
