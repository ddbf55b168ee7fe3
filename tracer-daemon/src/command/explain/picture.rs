//! Who calls whom, in one line: `shop/web-0 (sidecar) --plaintext--X search/es-2 10.244.1.7:9300 (sidecar, STRICT)`.

use crate::sink::wire::{Answer, Caller, Dialled, Hop, HopTo};

/// How many of the pods that a proxy may pick are named.
const NAMED: usize = 3;

pub(super) fn picture(answer: &Answer) -> String {
    let target = dialled(&answer.to);
    let through = match &*answer.class {
        "rejected" => "X",
        "undetermined" => "?",
        _ => ">",
    };
    let Some(hop) = &answer.hop else {
        return format!("{} --{through} {target}", caller(&answer.from));
    };
    let carried = match &*answer.security {
        "mutual-tls" => "mutual TLS",
        "tls" => "TLS",
        "app-tls" => "the application's TLS",
        "none" => "plaintext",
        _ => "",
    };
    let line = if carried.is_empty() { "--".to_owned() } else { format!("--{carried}--") };
    let behind = answer.to.server.pod_unknown.as_deref() == Some("service");
    let word = if behind { " behind " } else { "; dialled: " };
    let onward = elsewhere(answer, hop).map(|at| format!("{at}{word}")).unwrap_or_default();
    format!("{} {line}{through} {onward}{target}", caller(&answer.from))
}

fn caller(Caller { ip, namespace, pod, pod_unknown, mesh, .. }: &Caller) -> String {
    let address = || ip.map_or_else(|| "?".to_owned(), |ip| ip.to_string());
    match (namespace, pod) {
        (Some(namespace), Some(pod)) => format!("{namespace}/{pod} ({})", enrolled(mesh)),
        _ => format!("{} ({})", address(), pod_unknown.as_deref().unwrap_or("no pod")),
    }
}

fn dialled(Dialled { server, mtls }: &Dialled) -> String {
    let address = if server.ip.is_ipv6() {
        format!("[{}]:{}", server.ip, server.port)
    } else {
        format!("{}:{}", server.ip, server.port)
    };
    let mode = mtls.as_ref().map(|mode| format!(", {mode}")).unwrap_or_default();
    match (&server.namespace, &server.pod, &server.service) {
        (Some(namespace), Some(pod), _) if server.pod_gone => format!("{namespace}/{pod} {address} (gone)"),
        (Some(namespace), Some(pod), _) => format!("{namespace}/{pod} {address} ({}{mode})", enrolled(&server.mesh)),
        (_, None, Some(service)) if server.pod_unknown.as_deref() == Some("service") => {
            format!("Service {service} {address}{}", mtls.as_ref().map(|mode| format!(" ({mode})")).unwrap_or_default())
        }
        _ => format!("{address} ({})", server.pod_unknown.as_deref().unwrap_or("no pod")),
    }
}

fn enrolled(mesh: &str) -> &str {
    if mesh == "none" { "not in the mesh" } else { mesh }
}

/// Where it goes instead of the dialled address.
fn elsewhere(answer: &Answer, hop: &Hop) -> Option<String> {
    let ip = answer.to.server.ip;
    let here = |to: &HopTo| to.address.parse::<std::net::SocketAddr>().is_ok_and(|at| at.ip() == ip);
    if hop.to.iter().any(here) && hop.to.len() == 1 {
        return None;
    }
    let name = |to: &HopTo| match &to.pod {
        Some(pod) => format!("{pod} {}", to.address),
        None => to.address.clone(),
    };
    let mut names: Vec<String> = hop.to.iter().take(NAMED).map(name).collect();
    if hop.to.len() > NAMED {
        names.push(format!("{} more", hop.to.len() - NAMED));
    }
    Some(if names.is_empty() { "wherever DNS says".to_owned() } else { names.join(" or ") })
}
