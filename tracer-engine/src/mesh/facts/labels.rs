//! Labels, and selectors by them.

use crate::net::Name;
use std::fmt;
use std::ops::Deref;
use triomphe::ThinArc;

/// What is not of `OWN` is kept apart, because it is the same for every pod of one template and then kept once.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Labels {
    pub(crate) shared: Pairs,
    pub(crate) own: Pairs,
}

/// Sorted by key.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Pairs(Option<ThinArc<(), (Name, Name)>>);

/// What the controllers of StatefulSets and indexed Jobs give to one pod alone.
const OWN: [&str; 3] =
    ["apps.kubernetes.io/pod-index", "batch.kubernetes.io/job-completion-index", "statefulset.kubernetes.io/pod-name"];

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LabelSelector {
    pub match_labels: Labels,
    pub match_expressions: Vec<LabelExpression>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabelExpression {
    pub key: Name,
    pub operator: LabelOperator,
    pub values: Vec<Name>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LabelOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl Labels {
    pub fn get(&self, key: &str) -> Option<&Name> {
        self.shared.get(key).or_else(|| self.own.get(key))
    }

    pub fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.own.is_empty()
    }

    /// In no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &(Name, Name)> {
        self.shared.iter().chain(self.own.iter())
    }

    /// Whether `self`, as a selector, selects `labels`. An empty selector selects everything.
    pub fn selects(&self, labels: &Labels) -> bool {
        self.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

impl Pairs {
    fn get(&self, key: &str) -> Option<&Name> {
        self.binary_search_by(|(known, _)| (**known).cmp(key)).ok().map(|at| &self[at].1)
    }

    pub(crate) fn holders(&self) -> usize {
        self.0.as_ref().map_or(0, ThinArc::strong_count)
    }
}

impl Deref for Pairs {
    type Target = [(Name, Name)];

    fn deref(&self) -> &[(Name, Name)] {
        self.0.as_ref().map_or(&[], |pairs| &pairs.slice)
    }
}

impl FromIterator<(Name, Name)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (Name, Name)>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort();
        pairs.dedup_by(|a, b| a.0 == b.0);
        Self((!pairs.is_empty()).then(|| ThinArc::from_header_and_iter((), pairs.into_iter())))
    }
}

impl FromIterator<(Name, Name)> for Labels {
    /// Of two values for one key the lesser counts.
    fn from_iter<I: IntoIterator<Item = (Name, Name)>>(pairs: I) -> Self {
        let (own, shared): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(key, _)| OWN.contains(&&**key));
        Self { shared: shared.into_iter().collect(), own: own.into_iter().collect() }
    }
}

impl fmt::Debug for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(key, value)| (key, value))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(of: &[(&str, &str)]) -> Labels {
        of.iter().map(|(key, value)| (Name::from(*key), Name::from(*value))).collect()
    }

    #[test]
    fn a_pods_own_labels_are_kept_apart_and_count_as_the_others_do() {
        let name = "statefulset.kubernetes.io/pod-name";
        let pod = labels(&[(name, "db-0"), ("version", "v1"), ("app", "db"), ("apps.kubernetes.io/pod-index", "0")]);
        assert_eq!((pod.shared.len(), pod.own.len()), (2, 2));
        assert_eq!(
            (pod.get(name).map(|v| &**v), pod.get("app").map(|v| &**v), pod.get("a")),
            (Some("db-0"), Some("db"), None)
        );
        for selector in [&[][..], &[("app", "db")], &[(name, "db-0")], &[("version", "v1"), (name, "db-0")]] {
            assert!(labels(selector).selects(&pod), "{selector:?}");
        }
        for selector in [&[("app", "web")][..], &[(name, "db-1")], &[("app", "db"), ("zone", "a")]] {
            assert!(!labels(selector).selects(&pod), "{selector:?}");
        }
        assert_eq!(pod.iter().count(), 4);
        assert!(labels(&[]).is_empty() && !labels(&[(name, "db-0")]).is_empty());
    }
}
