//! Which records are meant. The same filter twice is "or", different ones are "and" (Hubble's rule); a negated filter
//! takes away.

use crate::sink::wire::Record;
use ipnet::IpNet;
use std::mem::discriminant;
use std::net::IpAddr;
use std::str::FromStr;

#[derive(Clone, PartialEq, Debug)]
pub struct Filter {
    pub negated: bool,
    pub test: Test,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Test {
    Namespace(String),
    Pod(PodName),
    FromPod(PodName),
    ToPod(PodName),
    Ip(IpNet),
    FromIp(IpNet),
    ToIp(IpNet),
    Port(u16),
    Workload(WorkloadName),
    Class(String),
    Reason(String),
    Cause(String),
    Reporter(String),
}

/// `namespace/pod`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PodName {
    pub namespace: String,
    pub name: String,
}

/// `name` or `namespace/name`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkloadName {
    pub namespace: Option<String>,
    pub name: String,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Filters(pub Vec<Filter>);

/// What the filters look at of either end.
struct End<'r> {
    ip: IpAddr,
    namespace: Option<&'r str>,
    pod: Option<&'r str>,
    workload: Option<&'r str>,
}

impl Filters {
    pub fn pass(&self, record: &Record) -> bool {
        self.0.iter().all(|filter| {
            if filter.negated {
                return !filter.test.holds(record);
            }
            let mut alike = self.0.iter().filter(|f| !f.negated && discriminant(&f.test) == discriminant(&filter.test));
            alike.any(|alike| alike.test.holds(record))
        })
    }
}

impl Test {
    fn holds(&self, record: &Record) -> bool {
        let [client, server] = ends(record);
        let either = |test: &dyn Fn(&End<'_>) -> bool| test(&client) || test(&server);
        match self {
            Self::Namespace(name) => either(&|end| end.namespace == Some(name)),
            Self::Pod(pod) => either(&|end| pod.names(end)),
            Self::FromPod(pod) => pod.names(&client),
            Self::ToPod(pod) => pod.names(&server),
            Self::Ip(range) => either(&|end| range.contains(&end.ip)),
            Self::FromIp(range) => range.contains(&client.ip),
            Self::ToIp(range) => range.contains(&server.ip),
            Self::Port(port) => record.server.port == *port,
            Self::Workload(workload) => either(&|end| workload.names(end)),
            Self::Class(code) => record.class == *code,
            Self::Reason(code) => record.reason.as_deref() == Some(code),
            Self::Cause(code) => {
                record.cause.as_deref() == Some(code) || record.causes.iter().any(|cause| cause == code)
            }
            Self::Reporter(code) => record.reporter == *code,
        }
    }
}

impl PodName {
    fn names(&self, end: &End<'_>) -> bool {
        end.namespace == Some(&self.namespace) && end.pod == Some(&self.name)
    }
}

impl WorkloadName {
    fn names(&self, end: &End<'_>) -> bool {
        let namespace = self.namespace.as_deref();
        end.workload == Some(&self.name) && (namespace.is_none() || end.namespace == namespace)
    }
}

impl FromStr for PodName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((namespace, name)) if is_name(namespace) && is_name(name) => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err("expected namespace/pod, such as shop/web-0".to_owned()),
        }
    }
}

impl FromStr for WorkloadName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        };
        if namespace.is_none_or(is_name) && is_name(name) {
            Ok(Self { namespace: namespace.map(str::to_owned), name: name.to_owned() })
        } else {
            Err("expected a workload such as web, or with its namespace shop/web".to_owned())
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains('/')
}

fn ends(record: &Record) -> [End<'_>; 2] {
    let Record { client, server, .. } = record;
    [
        End {
            ip: client.ip,
            namespace: client.namespace.as_deref(),
            pod: client.pod.as_deref(),
            workload: client.workload.as_deref(),
        },
        End {
            ip: server.ip,
            namespace: server.namespace.as_deref(),
            pod: server.pod.as_deref(),
            workload: server.workload.as_deref(),
        },
    ]
}
