//! What leads to one of several ends, in words.

use crate::mesh::index::Index;
use crate::net::{Endpoint, Ktime};
use crate::walk::outcome::{Call, Hop, HopTarget, Known, Outcome, Sends};

/// What was open in the question and is taken for granted on the way to `outcome`.
pub(super) fn of(index: &Index, call: &Call, outcome: &Outcome, as_of: Ktime) -> String {
    if is_open(&call.sends) {
        return sent(&outcome.sends);
    }
    match &outcome.path.hop {
        Some(Hop { to: HopTarget::OneOf(endpoints), .. }) => {
            let names: Vec<String> = endpoints.iter().map(|at| named(index, *at, as_of)).collect();
            format!("the proxy picks {}", names.join(" or "))
        }
        Some(Hop { cluster: Some(cluster), .. }) => format!("the route to {} is taken", cluster.host),
        Some(_) => "it goes on as it is".to_owned(),
        None => "no route is taken".to_owned(),
    }
}

fn is_open(sends: &Sends) -> bool {
    matches!(sends, Sends::Unknown | Sends::Http { host: Known::No, .. } | Sends::Tls { sni: Known::No, .. })
}

fn sent(sends: &Sends) -> String {
    match sends {
        Sends::Unknown => "whatever the client sends".to_owned(),
        Sends::Nothing => "the client sends nothing first".to_owned(),
        Sends::Other => "the client sends neither HTTP nor TLS".to_owned(),
        Sends::Http { host: Known::Yes(Some(host)), .. } => format!("the client sends HTTP with Host {host}"),
        Sends::Http { .. } => "the client sends HTTP with a Host that nobody knows".to_owned(),
        Sends::Tls { sni: Known::Yes(Some(sni)), .. } => format!("the client sends TLS with SNI {sni}"),
        Sends::Tls { .. } => "the client sends TLS".to_owned(),
    }
}

fn named(index: &Index, at: Endpoint, as_of: Ktime) -> String {
    index.pod_at(at.ip, as_of).map_or_else(|| at.to_string(), |pod| format!("{} ({at})", pod.key))
}
