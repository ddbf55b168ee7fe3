//! What a reading of files found worth a word, though none of it is an error.

use super::places::Place;
use crate::source::cluster::object::ObjectRef;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, PartialEq, Debug, Default)]
pub struct FactsReport {
    pub objects: usize,
    /// Kinds that no rule needs, and how many objects of each there were.
    pub unknown_kinds: BTreeMap<String, usize>,
    pub remarks: Vec<Remark>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Remark {
    /// The file holds no object.
    Empty(Place),
    /// Two documents say different things of one object.
    SaidTwice(ObjectRef),
    SharedIp {
        ip: String,
        pods: Vec<ObjectRef>,
    },
    NoPorts(ObjectRef),
    NoIp(ObjectRef),
}

impl FactsReport {
    pub(super) fn remark(&mut self, remark: Remark) {
        self.remarks.push(remark);
    }

    pub(super) fn count(&mut self, objects: usize, unknown: Vec<String>) {
        self.objects += objects;
        for kind in unknown {
            *self.unknown_kinds.entry(kind).or_default() += 1;
        }
    }

    /// Says it in the log: what likely is a mistake as a warning, what merely may be one for who asks.
    pub fn log(&self) {
        for remark in &self.remarks {
            match remark {
                Remark::Empty(_) | Remark::SaidTwice(_) | Remark::SharedIp { .. } => tracing::warn!("{remark}"),
                Remark::NoPorts(_) | Remark::NoIp(_) => tracing::debug!("{remark}"),
            }
        }
        if !self.unknown_kinds.is_empty() {
            let kinds: Vec<_> = self.unknown_kinds.iter().map(|(kind, count)| format!("{kind} ({count})")).collect();
            tracing::info!("facts: no rule needs objects of these kinds: {}", kinds.join(", "));
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remark::Empty(place) => write!(f, "{place} holds no object"),
            Remark::SaidTwice(object) => {
                write!(f, "{object} is there twice and differs: the last one counts; remove the other")
            }
            Remark::SharedIp { ip, pods } => {
                let pods: Vec<_> = pods.iter().map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect();
                write!(f, "pods {} all claim {ip}: facts from different times or clusters?", pods.join(", "))
            }
            Remark::NoPorts(object) => write!(f, "{object} declares no port"),
            Remark::NoIp(object) => write!(f, "{object} has no ip yet"),
        }
    }
}
