//! Reads single values and keeps account of those that cannot be read, so that one pass names them all.

use super::object::{self, Metadata};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use tracer_engine::mesh::facts::{
    ExportTo, LabelExpression, LabelOperator, LabelSelector, Labels, ObjectKey, Timestamp, Transport,
};
use tracer_engine::net::Name;

/// One value that cannot be read: where it stands, what it is, what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadValue {
    pub field: String,
    pub value: String,
    pub why: String,
}

#[derive(Default)]
pub(super) struct Values {
    bad: Vec<BadValue>,
}

impl Values {
    pub(super) fn bad(&mut self, field: impl Into<String>, value: &str, why: &str) {
        self.bad.push(BadValue { field: field.into(), value: value.to_owned(), why: why.to_owned() });
    }

    pub(super) fn into_bad(self) -> Vec<BadValue> {
        self.bad
    }

    pub(super) fn ip(&mut self, field: &str, text: &str) -> Option<IpAddr> {
        let ip = text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        self.some(ip, field, text, "is no ip address")
    }

    /// A CIDR, or an address as a range of one.
    pub(super) fn range(&mut self, field: &str, text: &str) -> Option<IpNet> {
        let range = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        self.some(range, field, text, "is neither an ip address nor a range such as 10.0.0.0/8")
    }

    pub(super) fn port(&mut self, field: &str, number: i64) -> Option<u16> {
        let port = u16::try_from(number).ok().filter(|port| *port != 0);
        self.some(port, field, &number.to_string(), "is no port: 1 to 65535")
    }

    pub(super) fn port_text(&mut self, field: &str, text: &str) -> Option<u16> {
        let port = text.parse().ok().filter(|port| *port != 0);
        self.some(port, field, text, "is no port: 1 to 65535")
    }

    /// Absent and null are the epoch: older than everything, as Go's zero time is.
    pub(super) fn created(&mut self, metadata: &Metadata) -> Timestamp {
        let text = &metadata.creation_timestamp;
        if text.is_empty() {
            return Timestamp::default();
        }
        let time = text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
        let time = self.some(time, "metadata.creationTimestamp", text, "is no time such as 2026-08-01T00:00:00Z");
        Timestamp(time.unwrap_or_default().clamp(0, u32::MAX.into()) as u32)
    }

    /// Absent: TCP, as in Kubernetes.
    pub(super) fn transport(&mut self, field: &str, text: &str) -> Transport {
        let known = [("", Transport::Tcp), ("TCP", Transport::Tcp), ("UDP", Transport::Udp), ("SCTP", Transport::Sctp)];
        self.one_of(field, text, &known).unwrap_or(Transport::Tcp)
    }

    /// One of the spellings that an enumeration has.
    pub(super) fn one_of<T: Copy>(&mut self, field: &str, text: &str, known: &[(&str, T)]) -> Option<T> {
        if let Some((_, value)) = known.iter().find(|(spelling, _)| *spelling == text) {
            return Some(*value);
        }
        let spellings: Vec<_> = known.iter().map(|(spelling, _)| *spelling).filter(|s| !s.is_empty()).collect();
        self.bad(field, text, &format!("is none of {}", spellings.join(", ")));
        None
    }

    pub(super) fn selector(&mut self, field: &str, selector: &object::LabelSelector) -> LabelSelector {
        let object::LabelSelector { match_labels, match_expressions } = selector;
        let known = [
            ("In", LabelOperator::In),
            ("NotIn", LabelOperator::NotIn),
            ("Exists", LabelOperator::Exists),
            ("DoesNotExist", LabelOperator::DoesNotExist),
        ];
        let match_expressions = match_expressions.iter().enumerate().filter_map(|(at, expression)| {
            let object::LabelSelectorRequirement { key, operator, values } = expression;
            let field = format!("{field}.matchExpressions[{at}].operator");
            let operator = self.one_of(&field, operator, &known)?;
            Some(LabelExpression { key: name(key), operator, values: names(values) })
        });
        LabelSelector { match_expressions: match_expressions.collect(), match_labels: labels(match_labels) }
    }

    fn some<T>(&mut self, read: Option<T>, field: &str, text: &str, why: &str) -> Option<T> {
        if read.is_none() {
            self.bad(field, text, why);
        }
        read
    }
}

pub(super) fn name(text: &str) -> Name {
    Name::from(text)
}

pub(super) fn names(texts: &[String]) -> Vec<Name> {
    texts.iter().map(|text| name(text)).collect()
}

/// `None` for what was left out.
pub(super) fn some_name(text: &str) -> Option<Name> {
    (!text.is_empty()).then(|| name(text))
}

pub(super) fn labels(of: &BTreeMap<String, String>) -> Labels {
    of.iter().map(|(key, value)| (name(key), name(value))).collect()
}

pub(super) fn key(metadata: &Metadata) -> ObjectKey {
    ObjectKey { namespace: name(&metadata.namespace), name: name(&metadata.name) }
}

/// `exportTo` of an object in `namespace`. Empty is absent: the mesh default holds. `.` among others is the namespace.
pub(super) fn export_to<'t>(of: impl IntoIterator<Item = &'t str>, namespace: &str) -> Option<ExportTo> {
    let of: Vec<_> = of.into_iter().map(str::trim).filter(|to| !to.is_empty()).collect();
    match &*of {
        [] => None,
        all if all.contains(&"*") => Some(ExportTo::All),
        ["."] => Some(ExportTo::OwnNamespace),
        ["~"] => Some(ExportTo::Nobody),
        listed => Some(ExportTo::Namespaces(
            listed.iter().filter(|to| **to != "~").map(|to| name(if *to == "." { namespace } else { to })).collect(),
        )),
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.value {
            "" => write!(f, "{} {}", self.field, self.why),
            value => write!(f, "{} {value:?} {}", self.field, self.why),
        }
    }
}
