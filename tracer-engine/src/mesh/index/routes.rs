//! VirtualServices by host, with the routes of delegates where others hand requests on to them
//! (`model/virtualservice.go mergeVirtualServicesIfNeeded`).

use super::host::{ByHost, resolve_short_name};
use super::namespaced::{Namespaced, Policy};
use crate::mesh::facts::{ExportTo, HttpMatch, HttpRoute, ObjectKey, StringMatch, VirtualService};
use crate::net::Name;
use rustc_hash::FxHashMap as HashMap;
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Routes {
    told: Namespaced<VirtualService>,
    /// Of those that hand requests on, what Istio makes of them.
    merged: HashMap<ObjectKey, Arc<VirtualService>>,
    pub(super) by_host: ByHost<VirtualService>,
    /// By the hosts that their routes lead to.
    pub(super) leading_to: ByHost<VirtualService>,
}

impl Routes {
    /// Whether anything changed. `exported`: whom a VirtualService is shown to that does not say it.
    pub(super) fn upsert(&mut self, service: &VirtualService, exported: &ExportTo) -> bool {
        let Some((service, replaced)) = self.told.upsert(service) else { return false };
        if let Some(replaced) = replaced {
            self.unlink(&replaced);
        }
        self.link(&service, exported);
        self.merge_again(Some(&service.key), exported);
        true
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, key: &ObjectKey, exported: &ExportTo) -> bool {
        let Some(service) = self.told.remove(key) else { return false };
        self.unlink(&service);
        self.merge_again(Some(key), exported);
        true
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Arc<VirtualService>> {
        self.told.get(key)
    }

    pub(super) fn knows(&self, service: &VirtualService) -> bool {
        self.told.knows(service)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.told.keys()
    }

    pub(super) fn len(&self) -> usize {
        self.told.len()
    }

    /// Those that hand requests on to `delegate`; to any, where none is named.
    pub(super) fn merge_again(&mut self, delegate: Option<&ObjectKey>, exported: &ExportTo) {
        let concerned = |told: &&Arc<VirtualService>| match delegate {
            Some(key) => told.http.iter().any(|route| route.delegate.as_ref() == Some(key)),
            None => true,
        };
        let roots: Vec<_> =
            self.merged.keys().filter_map(|key| self.told.get(key)).filter(concerned).cloned().collect();
        for root in roots {
            self.unlink(&root);
            self.link(&root, exported);
        }
    }

    fn link(&mut self, told: &Arc<VirtualService>, exported: &ExportTo) {
        if told.hosts.is_empty() {
            return;
        }
        let mut service = Arc::clone(told);
        if told.http.iter().any(|route| route.delegate.is_some()) {
            let http = told.http.iter().flat_map(|route| self.routes_of(told, route, exported)).collect();
            service = Arc::new(VirtualService { http, ..VirtualService::clone(told) });
            self.merged.insert(told.key.clone(), Arc::clone(&service));
        }
        let older = |a: &VirtualService, b: &VirtualService| a.seniority() < b.seniority();
        for host in &service.hosts {
            self.by_host.insert(&resolve_short_name(host, &service.key.namespace), &service, older);
        }
        for host in leads_to(&service) {
            self.leading_to.insert(&host, &service, older);
        }
    }

    fn unlink(&mut self, told: &Arc<VirtualService>) {
        let service = self.merged.remove(&told.key).unwrap_or_else(|| Arc::clone(told));
        for host in &service.hosts {
            self.by_host.remove(&resolve_short_name(host, &service.key.namespace), &service);
        }
        for host in leads_to(&service) {
            self.leading_to.remove(&host, &service);
        }
    }

    /// A route itself, or those of its delegate. One that is not there, or not shown to the namespace, has none; nor is
    /// a delegate's own delegate looked up, so there are no loops.
    fn routes_of(&self, root: &VirtualService, route: &HttpRoute, exported: &ExportTo) -> Vec<HttpRoute> {
        let Some(delegate) = &route.delegate else { return vec![route.clone()] };
        let found = self.told.get(delegate).filter(|found| {
            let own = found.export_to.as_ref().unwrap_or(exported);
            found.hosts.is_empty() && own.rank(&found.key.namespace, &root.key.namespace).is_some()
        });
        let routes = found.into_iter().flat_map(|found| found.http.iter().map(move |route| (found, route)));
        let merged = routes.filter_map(|(found, leaf)| {
            let mut merged = HttpRoute { matches: merged(&route.matches, &leaf.matches)?, ..leaf.clone() };
            for destination in &mut merged.route {
                destination.host = resolve_short_name(&destination.host, &found.key.namespace);
            }
            Some(merged)
        });
        merged.collect()
    }
}

/// Every host that one of its routes leads to, once.
fn leads_to(service: &VirtualService) -> BTreeSet<Name> {
    let http = service.http.iter().flat_map(|route| &route.route);
    let l4 = service.tcp.iter().chain(&service.tls).flat_map(|route| &route.route);
    http.chain(l4).map(|to| resolve_short_name(&to.host, &service.key.namespace)).collect()
}

/// `mergeHTTPMatchRequests`: each condition of the delegate within one of the root's; `None` where one is in none.
fn merged(root: &[HttpMatch], leaf: &[HttpMatch]) -> Option<Vec<HttpMatch>> {
    if root.is_empty() || leaf.is_empty() {
        return Some(if root.is_empty() { leaf } else { root }.to_vec());
    }
    let mut merged = Vec::new();
    for leaf in leaf {
        let before = merged.len();
        merged.extend(root.iter().filter(|root| is_within(leaf, root)).map(|root| both(root, leaf)));
        if merged.len() == before {
            return None;
        }
    }
    Some(merged)
}

/// `hasConflict`, the other way round.
fn is_within(leaf: &HttpMatch, root: &HttpMatch) -> bool {
    string_is_within(leaf.uri.as_ref(), root.uri.as_ref())
        && string_is_within(leaf.authority.as_ref(), root.authority.as_ref())
        && same(leaf.port.as_ref(), root.port.as_ref())
        && same(leaf.source_namespace.as_ref(), root.source_namespace.as_ref())
        && root.source_labels.iter().all(|(key, value)| leaf.source_labels.get(key).is_none_or(|own| own == value))
}

fn same<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
    a.is_none() || b.is_none() || a == b
}

/// `stringMatchConflict`, the other way round.
fn string_is_within(leaf: Option<&StringMatch>, root: Option<&StringMatch>) -> bool {
    match (leaf, root) {
        (None, _) | (_, None) => true,
        (Some(StringMatch::Exact(leaf)), Some(StringMatch::Exact(root))) => leaf == root,
        (Some(StringMatch::Exact(leaf) | StringMatch::Prefix(leaf)), Some(StringMatch::Prefix(root))) => {
            leaf.starts_with(&**root)
        }
        _ => false,
    }
}

/// `mergeHTTPMatchRequest`: what the delegate leaves out is the root's.
fn both(root: &HttpMatch, leaf: &HttpMatch) -> HttpMatch {
    let labels = root.source_labels.iter().chain(leaf.source_labels.iter());
    HttpMatch {
        uri: leaf.uri.clone().or_else(|| root.uri.clone()),
        authority: leaf.authority.clone().or_else(|| root.authority.clone()),
        port: leaf.port.or(root.port),
        source_labels: labels.cloned().collect(),
        source_namespace: leaf.source_namespace.clone().or_else(|| root.source_namespace.clone()),
        gateways: if leaf.gateways.is_empty() { root.gateways.clone() } else { leaf.gateways.clone() },
        unseen: leaf.unseen || root.unseen,
    }
}
