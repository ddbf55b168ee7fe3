//! Objects by the host they are for, exact or with a leading wildcard; the most specific first
//! (`model.MostSpecificHostMatch`).

use crate::net::Name;
use rustc_hash::FxHashMap as HashMap;
use smallvec::SmallVec;
use std::sync::Arc;

pub(crate) type Shared<T> = SmallVec<[Arc<T>; 1]>;

#[derive(Debug)]
pub(crate) struct ByHost<T> {
    exact: HashMap<Name, Shared<T>>,
    /// `*.example.com` as `.example.com`, `*` as the empty string.
    suffix: HashMap<Name, Shared<T>>,
}

impl<T> Default for ByHost<T> {
    fn default() -> Self {
        Self { exact: HashMap::default(), suffix: HashMap::default() }
    }
}

impl<T> ByHost<T> {
    /// `older` keeps those of one host in the order in which Istio tries them.
    pub(crate) fn insert(&mut self, host: &str, object: &Arc<T>, older: impl Fn(&T, &T) -> bool) {
        let entries = match host.strip_prefix('*') {
            Some(suffix) => self.suffix.entry(suffix.into()).or_default(),
            None => self.exact.entry(host.into()).or_default(),
        };
        let at = entries.partition_point(|known| older(known, object));
        entries.insert(at, Arc::clone(object));
    }

    pub(crate) fn remove(&mut self, host: &str, object: &Arc<T>) {
        let (map, host) = match host.strip_prefix('*') {
            Some(suffix) => (&mut self.suffix, suffix),
            None => (&mut self.exact, host),
        };
        if let Some(entries) = map.get_mut(host) {
            entries.retain(|known| !Arc::ptr_eq(known, object));
            if entries.is_empty() {
                map.remove(host);
            }
        }
    }

    pub(crate) fn exact(&self, host: &str) -> &[Arc<T>] {
        self.exact.get(host).map_or(&[], |entries| entries)
    }

    /// Every exact host.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Name> {
        self.exact.keys()
    }

    /// Those for this very host, wildcard or not.
    pub(crate) fn named(&self, host: &str) -> &[Arc<T>] {
        match host.strip_prefix('*') {
            Some(suffix) => self.suffix.get(suffix).map_or(&[], |entries| entries),
            None => self.exact(host),
        }
    }

    /// Those whose wildcard covers `host`, the longest suffix first.
    pub(crate) fn wildcards<'a, 'h>(&'a self, host: &'h str) -> impl Iterator<Item = &'a [Arc<T>]> + use<'a, 'h, T> {
        let suffixes = host.match_indices('.').map(|(at, _)| &host[at..]).chain(std::iter::once(""));
        suffixes.filter_map(|suffix| self.suffix.get(suffix)).map(|entries| &entries[..])
    }

    /// The most specific first.
    pub(crate) fn matching<'a, 'h>(&'a self, host: &'h str) -> impl Iterator<Item = &'a [Arc<T>]> + use<'a, 'h, T> {
        Some(self.exact(host)).filter(|entries| !entries.is_empty()).into_iter().chain(self.wildcards(host))
    }
}

/// `model.ResolveShortnameToFQDN`: a name without a dot is a Service of the object's own namespace.
pub(crate) fn resolve_short_name(host: &str, namespace: &str) -> Name {
    if host.contains('.') || host.contains('*') {
        host.to_ascii_lowercase().into()
    } else {
        format!("{}.{namespace}{}", host.to_ascii_lowercase(), crate::mesh::registry::CLUSTER_SUFFIX).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wildcard_comes_first_and_does_not_cover_its_own_suffix() {
        let mut hosts = ByHost::default();
        for host in ["*", "*.example.com", "*.a.example.com", "b.example.com"] {
            hosts.insert(host, &Arc::new(host), |_, _| true);
        }
        let found = |host: &'static str| hosts.matching(host).map(|found| *found[0]).collect::<Vec<_>>();
        assert_eq!(found("x.a.example.com"), ["*.a.example.com", "*.example.com", "*"]);
        assert_eq!(found("b.example.com"), ["b.example.com", "*.example.com", "*"]);
        assert_eq!(found("example.com"), ["*"]);
    }

    #[test]
    fn a_name_without_a_dot_is_of_the_own_namespace() {
        assert_eq!(&*resolve_short_name("Reviews", "shop"), "reviews.shop.svc.cluster.local");
        assert_eq!(&*resolve_short_name("reviews.shop", "x"), "reviews.shop");
        assert_eq!(&*resolve_short_name("*", "x"), "*");
    }
}
