//! Whose flows are meant: a pod, a workload or a Service, whichever bears the name, at either end.

use super::super::Failure;
use super::super::observe::ends;
use crate::sink::wire::Record;
use anyhow::anyhow;
use std::collections::BTreeSet;
use std::str::FromStr;

/// `namespace/name`, or `name` where only one namespace has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    namespace: Option<String>,
    name: String,
    /// Workloads, by namespace and name, whose pods were seen behind the Service of this name.
    behind: BTreeSet<(String, String)>,
}

impl Subject {
    /// The namespaces of the subject at the ends of this record.
    pub(super) fn at<'r>(&self, record: &'r Record) -> impl Iterator<Item = &'r str> {
        let service = record.server.service.as_deref().and_then(|service| service.split_once('/'));
        let own = service.filter(|(namespace, name)| *name == self.name && self.within(namespace));
        let ends = ends(record).into_iter().filter_map(|end| {
            let namespace = end.namespace?;
            let named = [end.pod, end.workload].contains(&Some(self.name.as_str())) && self.within(namespace);
            let workload = end.workload.unwrap_or_default();
            let behind = self.behind.iter().any(|(of, name)| of == namespace && name == workload);
            (named || behind).then_some(namespace)
        });
        ends.chain(own.map(|(namespace, _)| namespace)).collect::<BTreeSet<_>>().into_iter()
    }

    /// What the subject's own records are read of, if the server stands behind the Service of this name.
    pub(super) fn workload_behind(&self, record: &Record) -> Option<(String, String)> {
        let (namespace, name) = record.server.service.as_deref()?.split_once('/')?;
        let (of, workload) = (record.server.namespace.as_deref()?, record.server.workload.as_deref()?);
        let more = workload != self.name || of != namespace;
        (more && name == self.name && self.within(namespace)).then(|| (of.to_owned(), workload.to_owned()))
    }

    /// Whether this is news.
    pub(super) fn stand_behind(&mut self, workloads: BTreeSet<(String, String)>) -> bool {
        let news = !workloads.is_subset(&self.behind);
        self.behind.extend(workloads);
        news
    }

    /// Text that stands in the JSON of each of its records.
    pub(super) fn needles(&self) -> Vec<Vec<u8>> {
        let names = self.behind.iter().map(|(_, workload)| workload).chain([&self.name]);
        names.map(|name| format!("{name}\"").into_bytes()).collect()
    }

    /// Its one name.
    pub(super) fn settle(&self, seen: &BTreeSet<String>) -> Result<String, Failure> {
        let Self { namespace, name, behind: _ } = self;
        match (namespace, seen.first()) {
            (Some(namespace), _) => Ok(format!("{namespace}/{name}")),
            (None, None) => Ok(name.clone()),
            (None, Some(namespace)) if seen.len() == 1 => Ok(format!("{namespace}/{name}")),
            (None, Some(first)) => {
                let all: Vec<_> = seen.iter().map(String::as_str).collect();
                Err(Failure::input(anyhow!(
                    "{name} is in {} namespaces ({}): name one, as in `mesh-tracer why {first}/{name}`",
                    all.len(),
                    all.join(", ")
                )))
            }
        }
    }

    fn within(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // As compact lines spell a Service.
        let bare = text.strip_prefix("svc/").filter(|rest| rest.contains('/')).unwrap_or(text);
        let (namespace, name) = match bare.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, bare),
        };
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
        };
        if namespace.is_none_or(is_name) && is_name(name) {
            return Ok(Self {
                namespace: namespace.map(str::to_owned),
                name: name.to_owned(),
                behind: BTreeSet::new(),
            });
        }
        Err("expected a pod, a workload or a Service: shop/web-0, shop/web, or a name that only one namespace has"
            .to_owned())
    }
}
