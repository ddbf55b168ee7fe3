//! Section 9: what is not known forks, and nothing is guessed away; and the steps of `explain`.

use crate::mesh::{Mesh, call, http};
use std::collections::BTreeSet;
use tracer_engine::net::Ktime;
use tracer_engine::verdict::Reason;
use tracer_engine::walk::explain;
use tracer_engine::walk::outcome::{Known, Place, Sends};

fn reasons(mesh: &Mesh, to: &str, sends: Sends) -> BTreeSet<&'static str> {
    mesh.ask("app/client", to, sends).iter().map(|outcome| outcome.reason.code()).collect()
}

#[test]
fn without_first_bytes_all_ends_stay_open() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("x", 9300), ("http", 9200)], &["app/db-0"]);
    assert_eq!(
        reasons(&mesh, "10.0.0.2:9300", Sends::Unknown),
        ["any-host", "headless-tcp", "server-first-stall"].into()
    );
    let open = ["host-matched", "plaintext-to-strict", "server-first-stall", "tls-without-mesh-certificate"];
    assert_eq!(reasons(&mesh, "10.0.0.2:9200", Sends::Unknown), open.into());
    mesh.registry_only();
    assert_eq!(reasons(&mesh, "10.0.0.2:7777", Sends::Unknown), ["blackhole"].into());
}

#[test]
fn no_outcome_is_left_with_unknown_bytes() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("http", 9200)], &["app/db-0"]);
    for to in ["10.0.0.2:9200", "10.0.0.2:7777", "10.0.0.1:80"] {
        let outcomes = mesh.ask("app/client", to, Sends::Unknown);
        assert!(outcomes.iter().all(|outcome| outcome.sends != Sends::Unknown), "{to}");
    }
}

#[test]
fn a_host_that_is_not_known_forks_over_those_that_make_a_difference() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("http", 9200)], &["app/db-0"]);
    mesh.vip("app/web", "10.96.0.1", &[("http", 9200)], &["app/db-0"]);
    mesh.virtual_service("app/web", &["web", "web.example.com"], |service| {
        service.http = vec![crate::mesh::route(crate::mesh::to("web", None))];
    });
    let unread = Sends::Http { http2: false, host: Known::No };
    let outcomes = mesh.ask("app/client", "10.0.0.2:9200", unread);
    let hosts: BTreeSet<String> = outcomes
        .iter()
        .filter_map(|outcome| match &outcome.sends {
            Sends::Http { host: Known::Yes(Some(host)), .. } => Some(host.to_string()),
            _ => None,
        })
        .collect();
    for host in ["10.0.0.2", "db.app.svc.cluster.local", "web.app.svc.cluster.local", "web.example.com"] {
        assert!(hosts.contains(host), "{host} is not in {hosts:?}");
    }
    let reasons: BTreeSet<_> = outcomes.iter().map(|outcome| outcome.reason.code()).collect();
    assert_eq!(reasons, ["host-balanced", "host-matched", "plaintext-to-strict"].into());
}

#[test]
fn an_sni_that_is_not_known_forks_over_those_that_the_listener_tells_apart() {
    let mut mesh = Mesh::strict();
    mesh.entry("app/tls", (8443, "TLS"), |_| {});
    let unread = Sends::Tls { sni: Known::No, alpn: smallvec::SmallVec::new() };
    assert_eq!(
        reasons(&mesh, "10.0.0.2:8443", unread),
        ["service-entry-takeover", "tls-without-mesh-certificate"].into()
    );
}

#[test]
fn explain_ends_as_walk_does_and_names_the_object_of_each_step() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("http", 9200)], &["app/db-0"]);
    let asked = call("app/client", "10.0.0.2:9200", http("10.0.0.2"));
    let explained = explain(&mesh.index, &asked, Ktime(2));
    let mut walked = mesh.ask("app/client", "10.0.0.2:9200", http("10.0.0.2"));
    assert!(walked.iter().all(|outcome| outcome.steps.is_empty()));
    for (outcome, explained) in walked.iter_mut().zip(&explained) {
        outcome.steps.clone_from(&explained.steps);
    }
    assert_eq!(walked, explained);
    let steps: Vec<_> = explained[0].steps.iter().map(|step| (step.at, step.because.as_str())).collect();
    assert_eq!(
        steps,
        [
            (Place::Source, "Pod app/client: its capture rules"),
            (Place::SourceProxy, "HTTP port 9200 of Service app/db"),
            (Place::SourceProxy, "ALLOW_ANY (mesh config)"),
            (Place::DestinationProxy, "PeerAuthentication istio-system/default"),
        ]
    );
    assert_eq!(explained[0].reason, Reason::PlaintextToStrict);
}
