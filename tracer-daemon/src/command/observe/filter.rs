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
pub(in crate::command) struct End<'r> {
    pub(in crate::command) ip: IpAddr,
    pub(in crate::command) namespace: Option<&'r str>,
    pub(in crate::command) pod: Option<&'r str>,
    pub(in crate::command) workload: Option<&'r str>,
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

/// The client and the server.
pub(in crate::command) fn ends(record: &Record) -> [End<'_>; 2] {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::sink::wire::{self, Line};

    /// shop/web-0 (10.244.0.5) to search/es-2 (10.244.1.7:9300): rejected, plaintext-to-strict, port-undeclared.
    const LINE: &str = r#"{"version":"v1","time":"2026-11-23T10:00:00Z","node":"n1","id":"1","reporter":"source",
        "client":{"ip":"10.244.0.5","port":57282,"namespace":"shop","pod":"web-0","workload":"web","workload_kind":"StatefulSet","mesh":"sidecar"},
        "server":{"ip":"10.244.1.7","port":9300,"namespace":"search","pod":"es-2","workload":"es","workload_kind":"StatefulSet","service":null,"mesh":"sidecar"},
        "class":"rejected","reason":"plaintext-to-strict","cause":"port-undeclared","causes":["port-undeclared","endpoint-too-new"],"security":"none","basis":"observed","candidates":[],
        "scope":"first-request","handshake":null,"seen_from":"start","traffic":"app","legs_ambiguous":false,"revises":null,"outcome":"reset","connect_us":410,
        "bytes_sent":78,"bytes_received":0,"legs":[],"evidence":[],"drops":[],"explanation":"","remedy":"","events_lost":0}"#;

    /// As the command line has them.
    fn passes(filters: &str) -> bool {
        let words = ["mesh-tracer", "observe"].into_iter().chain(filters.split_whitespace());
        let cli = Cli::parse_all(words.map(Into::into)).unwrap_or_else(|error| panic!("{filters}: {error}"));
        let Command::Observe(observe) = cli.command else { panic!("it is observe") };
        let Ok(Line::Record(record)) = wire::read(LINE) else { panic!("it is a record") };
        Filters(observe.filters).pass(&record)
    }

    #[test]
    fn every_filter_alone() {
        let table = [
            ("", true),
            ("-n shop", true),
            ("--namespace search", true),
            ("-n data", false),
            ("--pod shop/web-0", true),
            ("--pod search/es-2", true),
            ("--pod search/web-0", false),
            ("--from-pod shop/web-0", true),
            ("--from-pod search/es-2", false),
            ("--to-pod search/es-2", true),
            ("--to-pod shop/web-0", false),
            ("--ip 10.244.1.7", true),
            ("--ip 10.244.0.0/24", true),
            ("--ip 10.245.0.0/16", false),
            ("--from-ip 10.244.0.0/24", true),
            ("--from-ip 10.244.1.0/24", false),
            ("--to-ip 10.244.1.7", true),
            ("--to-ip 10.244.0.5", false),
            ("--port 9300", true),
            ("--port 57282", false),
            ("--workload web", true),
            ("--workload search/es", true),
            ("--workload shop/es", false),
            ("--class rejected", true),
            ("--class unmeshed", false),
            ("--rejected", true),
            ("--reason plaintext-to-strict", true),
            ("--reason refused", false),
            ("--cause port-undeclared", true),
            ("--cause endpoint-too-new", true),
            ("--cause host-unknown", false),
            ("--reporter source", true),
            ("--reporter destination", false),
        ];
        for (filters, passed) in table {
            assert_eq!(passes(filters), passed, "{filters}");
            if !filters.is_empty() {
                assert_eq!(passes(&format!("--not {filters}")), !passed, "--not {filters}");
            }
        }
    }

    #[test]
    fn the_same_twice_is_or_and_different_ones_are_and() {
        let table = [
            ("--class unmeshed --class rejected", true),
            ("--class unmeshed --class opaque-tcp", false),
            ("--class unmeshed --rejected", true),
            ("--rejected --port 9300", true),
            ("--rejected --port 80", false),
            ("--rejected --port 80 --port 9300", true),
            ("-n shop -n data --to-pod search/es-2", true),
        ];
        for (filters, passed) in table {
            assert_eq!(passes(filters), passed, "{filters}");
        }
    }

    #[test]
    fn not_negates_the_one_filter_after_it() {
        let table = [
            ("--not --class unmeshed --not --class opaque-tcp", true),
            ("--not --class unmeshed --not --class rejected", false),
            ("--not --class unmeshed --class rejected", true),
            ("--class rejected --not --class unmeshed", true),
            ("--class rejected --not --port 9300", false),
            ("--not --port 80 --rejected", true),
            ("--port 9300 --not --rejected", false),
            ("--not -n data -n shop", true),
        ];
        for (filters, passed) in table {
            assert_eq!(passes(filters), passed, "{filters}");
        }
    }
}
