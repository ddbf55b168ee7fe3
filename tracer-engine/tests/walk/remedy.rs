//! Patches: what is proposed, what is not, and that trying one leaves no trace. That each keeps its promise on 44
//! clusters is tested where they are applied as YAML (`tracer-daemon/tests/explain/patch.rs`).

use crate::mesh::{Mesh, addr, call, hello, http, key};
use tracer_engine::classify::predict;
use tracer_engine::mesh::facts::*;
use tracer_engine::net::Ktime;
use tracer_engine::remedy::{Manifest, Patch, patch};
use tracer_engine::verdict::{Class, Reason, Security};
use tracer_engine::walk::explain;
use tracer_engine::walk::outcome::Sends;

fn patched(mesh: &mut Mesh, from: &str, to: &str, sends: Sends) -> Option<Patch> {
    let call = call(from, to, sends);
    let verdict = predict(&mesh.index, &call, Ktime(2));
    patch(&mut mesh.index, &call, &verdict, Ktime(2))
}

fn only(patch: &Patch) -> &Manifest {
    assert_eq!(patch.manifests.len(), 1, "{patch:?}");
    &patch.manifests[0]
}

fn service(patch: &Patch) -> &Service {
    match &only(patch).fact {
        Fact::Service(service) => service,
        other => panic!("{other:?}"),
    }
}

fn policy(patch: &Patch) -> &PeerAuthentication {
    match &only(patch).fact {
        Fact::PeerAuthentication(policy) => policy,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_undeclared_port_gets_a_headless_service() {
    let mut mesh = Mesh::strict();
    let found = patched(&mut mesh, "app/client", "10.0.0.2:7777", http("10.0.0.2")).expect("a patch");
    let (reason, security) = (found.then.reason, found.then.security);
    assert_eq!((reason, security), (Some(Reason::AnyHost), Security::MutualTls));
    let new = service(&found);
    assert_eq!((&new.key, &new.kind), (&key("app/db-0-headless"), &ServiceKind::Headless));
    assert_eq!((&*new.ports[0].name, new.ports[0].port), ("port-7777", 7777), "HTTP is left to be told apart");
    let other = patched(&mut mesh, "app/client", "10.0.0.2:7777", Sends::Other).expect("a patch");
    assert_eq!(&*service(&other).ports[0].name, "tcp-7777");
    assert_eq!(other.then.reason, Some(Reason::HeadlessTcp));
}

#[test]
fn a_port_is_added_to_the_headless_service_that_is_there() {
    let mut mesh = Mesh::strict();
    mesh.service("app/db", ServiceKind::Headless, &[("tcp-a", 9000)], &["app/db-0"], |service| {
        service.selector = crate::mesh::app_label("db");
    });
    let found = patched(&mut mesh, "app/client", "10.0.0.2:7777", Sends::Other).expect("a patch");
    assert!(only(&found).amends);
    let ports: Vec<_> = service(&found).ports.iter().map(|port| (&*port.name, port.port)).collect();
    assert_eq!(ports, [("tcp-a", 9000), ("tcp-7777", 7777)]);
}

#[test]
fn a_service_that_would_select_a_pod_without_the_label_is_not_proposed() {
    let mut mesh = Mesh::strict();
    mesh.plain("app/db-1", "10.0.0.3");
    assert_eq!(
        patched(&mut mesh, "app/client", "10.0.0.2:7777", Sends::Other),
        None,
        "all would be dialled in plaintext"
    );
    mesh.pod_with("app/db-0", "10.0.0.2", |pod| {
        pod.labels = [("app", "db"), ("statefulset.kubernetes.io/pod-name", "db-0")]
            .map(|(key, value)| (key.into(), value.into()))
            .into_iter()
            .collect();
    });
    let found = patched(&mut mesh, "app/client", "10.0.0.2:7777", Sends::Other).expect("the pod alone can be selected");
    assert_eq!(service(&found).selector.get("statefulset.kubernetes.io/pod-name").map(|name| &**name), Some("db-0"));
}

#[test]
fn a_client_outside_the_mesh_gets_an_exception_for_just_this_port() {
    let mut mesh = Mesh::strict();
    let found = patched(&mut mesh, "legacy/plain", "10.0.0.2:9000", Sends::Other).expect("a patch");
    assert_eq!(found.then.reason, Some(Reason::SourceUncaptured));
    let new = policy(&found);
    assert_eq!((new.mode, &new.port_level[..]), (MtlsMode::Unset, &[(9000, MtlsMode::Permissive)][..]));
    mesh.peer_for("app/own", Some("db"), MtlsMode::Strict, &[(9000, MtlsMode::Strict), (80, MtlsMode::Disable)]);
    let found = patched(&mut mesh, "legacy/plain", "10.0.0.2:9000", Sends::Other).expect("a patch");
    assert!(only(&found).amends, "the oldest that selects a pod stands alone");
    assert_eq!(policy(&found).port_level, [(80, MtlsMode::Disable), (9000, MtlsMode::Permissive)]);
}

#[test]
fn no_exception_where_a_selector_selects_nobody() {
    let mut mesh = Mesh::strict();
    mesh.pod("istio-system/gw-0", "10.0.0.30");
    assert_eq!(patched(&mut mesh, "legacy/plain", "10.0.0.30:9000", Sends::Other), None);
}

#[test]
fn an_ambient_destination_gets_one_too() {
    let mut mesh = Mesh::strict();
    mesh.ambient("amb/a-0", "10.0.0.20");
    let found = patched(&mut mesh, "legacy/plain", "10.0.0.20:9000", Sends::Other).expect("a patch");
    assert_eq!((policy(&found).key.namespace.as_ref(), found.then.class), ("amb", Class::Unmeshed));
}

#[test]
fn a_rule_that_would_cut_off_others_is_not_proposed() {
    let mut mesh = Mesh::strict();
    mesh.pod("app/db-1", "10.0.0.3").headless("app/db", &[("tcp", 9000)], &["app/db-0"]);
    mesh.capture("app/db-0", |capture| capture.exclude_inbound_ports.push(9000));
    let found = patched(&mut mesh, "app/client", "10.0.0.2:9000", Sends::Other).expect("a patch");
    let Fact::DestinationRule(rule) = &only(&found).fact else { panic!("{found:?}") };
    assert_eq!(&*rule.host, "db.app.svc.cluster.local");
    mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0", "app/db-1"]);
    assert_eq!(patched(&mut mesh, "app/client", "10.0.0.2:9000", Sends::Other), None, "db-1 demands mutual TLS");
}

#[test]
fn every_pod_that_has_a_sidecar_and_no_label_is_labelled() {
    let mut mesh = Mesh::strict();
    mesh.pod_with("app/db-0", "10.0.0.2", |pod| pod.tls_mode_istio = false);
    mesh.pod_with("app/db-1", "10.0.0.3", |pod| pod.tls_mode_istio = false);
    mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0", "app/db-1"]);
    let found = patched(&mut mesh, "app/client", "10.0.0.2:9000", Sends::Other).expect("a patch");
    assert_eq!(found.manifests.len(), 2);
    assert_eq!(found.then.security, Security::MutualTls);
    mesh.plain("app/db-1", "10.0.0.3");
    assert_eq!(patched(&mut mesh, "app/client", "10.0.0.2:9000", Sends::Other), None, "a label alone would be a lie");
}

#[test]
fn an_address_outside_gets_a_service_entry_under_registry_only() {
    let mut mesh = Mesh::strict();
    for kind in [Kind::Pod, Kind::Service, Kind::Node] {
        mesh.index.apply(Ktime(1), &Delta::Synced(kind));
    }
    mesh.registry_only();
    let found = patched(&mut mesh, "app/client", "203.0.113.7:443", hello("x")).expect("a patch");
    let Fact::ServiceEntry(entry) = &only(&found).fact else { panic!("{found:?}") };
    assert_eq!((&entry.addresses[0].addr(), &entry.export_to), (&addr("203.0.113.7"), &Some(ExportTo::OwnNamespace)));
    assert_eq!(found.then.reason, Some(Reason::Passthrough));
}

#[test]
fn what_needs_no_mending_or_more_than_one_object_has_no_patch() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0"]);
    for (to, sends) in [("10.0.0.2:9000", Sends::Other), ("10.0.0.1:80", http("x")), ("10.0.0.2:9000", Sends::Unknown)]
    {
        assert_eq!(patched(&mut mesh, "app/client", to, sends), None, "{to}");
    }
}

/// The facts answer as before, and nothing that was cached of them is thrown away.
#[test]
fn a_trial_leaves_no_trace() {
    let mut mesh = Mesh::strict();
    mesh.service("app/db", ServiceKind::Headless, &[("http-es", 9200)], &["app/db-0"], |service| {
        service.selector = crate::mesh::app_label("db");
    });
    mesh.vip("app/web", "10.96.0.1", &[("http", 80, 8080)], &["app/db-0"]).rule("app/db", "db", ClientTlsMode::Disable);
    mesh.peer_for("app/own", Some("db"), MtlsMode::Strict, &[]);
    mesh.pod_with("app/bare-0", "10.0.0.4", |pod| pod.tls_mode_istio = false);
    mesh.headless("app/bare", &[("tcp", 9000)], &["app/bare-0"]);
    let questions = [
        ("app/client", "10.0.0.2:9200", http("10.0.0.2")),
        ("app/client", "10.0.0.2:9200", http("db")),
        ("app/client", "10.0.0.2:7777", Sends::Other),
        ("app/client", "10.0.0.4:9000", Sends::Other),
        ("app/client", "10.96.0.1:80", http("web")),
        ("legacy/plain", "10.0.0.2:9200", Sends::Nothing),
    ];
    let all = |mesh: &Mesh| {
        let answers =
            questions.iter().map(|(from, to, sends)| explain(&mesh.index, &call(from, to, sends.clone()), Ktime(2)));
        (answers.collect::<Vec<_>>(), mesh.index.generation(), mesh.index.objects(Kind::EndpointSlice))
    };
    let before = all(&mesh);
    let mended = questions.iter().filter(|(from, to, sends)| patched(&mut mesh, from, to, sends.clone()).is_some());
    assert!(mended.count() >= 4);
    assert_eq!(all(&mesh), before);
}
