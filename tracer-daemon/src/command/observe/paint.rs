//! Names that compact and wide lines share.

use crate::command::paint;
use crate::sink::wire::{Party, Record, Server};
use std::net::IpAddr;

/// A client or a server, in as few words as name it.
pub(in crate::command) struct End<'r> {
    ip: IpAddr,
    port: Option<u16>,
    namespace: Option<&'r str>,
    pod: Option<&'r str>,
    gone: bool,
    workload: Option<&'r str>,
    unknown: Option<&'r str>,
    service: Option<&'r str>,
}

/// The class as a heading: a connect that still hangs has none yet.
pub(in crate::command) fn heading(record: &Record) -> String {
    if record.outcome == "still-connecting" { "CONNECTING".to_owned() } else { record.class.to_uppercase() }
}

/// The reason and its cause; what is still open where there is none.
pub(in crate::command) fn because(record: &Record) -> String {
    if record.reason.is_none() && record.outcome == "still-connecting" {
        return format!("{} SYNs unanswered", record.syn_retransmits + 1);
    }
    let open = record.candidates.iter().map(|candidate| &candidate.reason);
    paint::because(record.reason.as_ref(), record.cause.as_ref(), open)
}

impl<'r> From<&'r Party> for End<'r> {
    fn from(party: &'r Party) -> Self {
        let Party { ip, port: _, namespace, pod, pod_unknown, pod_gone, workload, workload_kind: _, mesh: _ } = party;
        Self {
            ip: *ip,
            port: None,
            namespace: namespace.as_deref(),
            pod: pod.as_deref(),
            gone: *pod_gone,
            workload: workload.as_deref(),
            unknown: pod_unknown.as_deref(),
            service: None,
        }
    }
}

impl<'r> From<&'r Server> for End<'r> {
    fn from(server: &'r Server) -> Self {
        let Server { ip, port, namespace, pod, pod_unknown, pod_gone, workload, workload_kind: _, service, mesh: _ } =
            server;
        Self {
            ip: *ip,
            port: Some(*port),
            namespace: namespace.as_deref(),
            pod: pod.as_deref(),
            gone: *pod_gone,
            workload: workload.as_deref(),
            unknown: pod_unknown.as_deref(),
            service: service.as_deref(),
        }
    }
}

impl End<'_> {
    /// `shop/web-0`, `svc/shop/web:80`, `node/n1`, or the bare address.
    pub(in crate::command) fn short(&self) -> String {
        let Self { ip, port, namespace, pod, gone: _, workload, unknown, service } = *self;
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let name = match (namespace, pod, unknown) {
            (Some(namespace), Some(pod), _) => format!("{namespace}/{pod}"),
            (_, None, Some("service")) => format!("svc/{}", service.unwrap_or("?")),
            (_, None, Some("node")) => format!("node/{}", workload.unwrap_or("?")),
            _ if ip.is_ipv6() && !port.is_empty() => format!("[{ip}]"),
            _ => ip.to_string(),
        };
        format!("{name}{port}")
    }

    pub(super) fn long(&self) -> String {
        format!("{}{}", self.short(), if self.gone { " (gone)" } else { "" })
    }
}
