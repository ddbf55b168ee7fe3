//! Section 4: exportTo, Sidecar egress, outbound policy, discovery selectors, revisions, where a DestinationRule is
//! looked up.

use crate::mesh::{Mesh, app_label, http, mesh_config};
use tracer_engine::mesh::facts::*;
use tracer_engine::verdict::{Cause, Reason};
use tracer_engine::walk::outcome::Sends;

fn egress(hosts: &[&str]) -> Vec<EgressListener> {
    vec![EgressListener { port: None, bind: None, hosts: hosts.iter().map(|host| (*host).into()).collect() }]
}

#[track_caller]
fn is_seen(mesh: &Mesh) -> bool {
    let (reason, causes) = mesh.causes("app/client", "10.0.0.5:9000", Sends::Other);
    match reason {
        Reason::HeadlessTcp => true,
        Reason::PlaintextToStrict => {
            assert_eq!(causes, [Cause::ServiceNotVisible]);
            false
        }
        other => panic!("{other}"),
    }
}

/// `data/es-0` (10.0.0.5) behind a headless Service of its namespace.
fn exported(export_to: Option<ExportTo>) -> Mesh {
    let mut mesh = Mesh::strict();
    mesh.pod("data/es-0", "10.0.0.5");
    mesh.service("data/es", ServiceKind::Headless, &[("tcp", 9000)], &["data/es-0"], |service| {
        service.export_to = export_to;
    });
    mesh
}

#[test]
fn export_to_hides_a_service() {
    for (export_to, seen) in [
        (None, true),
        (Some(ExportTo::All), true),
        (Some(ExportTo::OwnNamespace), false),
        (Some(ExportTo::Nobody), false),
        (Some(ExportTo::Namespaces(vec!["app".into()])), true),
        (Some(ExportTo::Namespaces(vec!["other".into()])), false),
    ] {
        assert_eq!(is_seen(&exported(export_to.clone())), seen, "{export_to:?}");
    }
    let mut mesh = exported(None);
    mesh.config(|config| config.default_service_export_to = ExportTo::OwnNamespace);
    assert!(!is_seen(&mesh), "the mesh's default holds where nothing is said");
}

#[test]
fn sidecar_egress_hides_what_it_does_not_name() {
    for (hosts, seen) in [
        (&["*/*"][..], true),
        (&["./*", "istio-system/*"], false),
        (&["data/*"], true),
        (&["data/es.data.svc.cluster.local"], true),
        (&["data/other.data.svc.cluster.local"], false),
        (&["*/*.data.svc.cluster.local"], true),
        (&["~/*"], false),
    ] {
        let mut mesh = exported(None);
        mesh.sidecar("app/default", |sidecar| sidecar.egress = egress(hosts));
        assert_eq!(is_seen(&mesh), seen, "{hosts:?}");
    }
}

#[test]
fn the_sidecar_of_the_workload_comes_before_the_namespaces_and_that_before_the_roots() {
    let mut mesh = exported(None);
    mesh.sidecar("istio-system/default", |sidecar| sidecar.egress = egress(&["./*"]));
    assert!(!is_seen(&mesh));
    mesh.sidecar("app/default", |sidecar| sidecar.egress = egress(&["data/*"]));
    assert!(is_seen(&mesh));
    mesh.sidecar("app/own", |sidecar| {
        sidecar.workload_selector = Some(app_label("client"));
        sidecar.egress = egress(&["./*"]);
    });
    assert!(!is_seen(&mesh));
    mesh.sidecar("app/own", |sidecar| sidecar.workload_selector = Some(app_label("nobody")));
    assert!(is_seen(&mesh));
}

#[test]
fn outbound_policy_is_the_sidecars_else_the_meshs() {
    let mut mesh = Mesh::strict();
    mesh.peer_for("app/open", Some("db"), MtlsMode::Permissive, &[]);
    let ask = |mesh: &Mesh| mesh.reason("app/client", "10.0.0.2:7777", Sends::Other);
    assert_eq!(ask(&mesh), Reason::Passthrough);
    mesh.registry_only();
    assert_eq!(ask(&mesh), Reason::Blackhole);
    mesh.sidecar("app/default", |sidecar| sidecar.outbound = None);
    assert_eq!(ask(&mesh), Reason::Blackhole);
    mesh.sidecar("app/default", |sidecar| sidecar.outbound = Some(OutboundPolicy::AllowAny));
    assert_eq!(ask(&mesh), Reason::Passthrough);
}

#[test]
fn the_mesh_configuration_is_that_of_the_proxys_revision() {
    let mut mesh = Mesh::strict();
    mesh.put(Fact::MeshConfig(MeshConfig { outbound: OutboundPolicy::RegistryOnly, ..mesh_config("canary") }));
    assert_eq!(mesh.reason("app/client", "10.0.0.2:7777", Sends::Other), Reason::PlaintextToStrict);
    mesh.pod_with("app/client", "10.0.0.1", |pod| {
        if let Enrolment::Sidecar(proxy) = std::sync::Arc::make_mut(&mut pod.enrolment) {
            proxy.revision = Some("canary".into());
        }
    });
    assert_eq!(mesh.reason("app/client", "10.0.0.2:7777", Sends::Other), Reason::Blackhole);
}

#[test]
fn istiod_does_not_look_at_namespaces_that_no_discovery_selector_selects() {
    let mut mesh = exported(None);
    let namespace = |name: &str, labels| Fact::Namespace(Namespace { name: name.into(), labels });
    mesh.put(namespace("app", app_label("mesh"))).put(namespace("data", Labels::default()));
    mesh.put(namespace("istio-system", app_label("mesh")));
    let selector = |operator, values: &[&str]| LabelSelector {
        match_labels: Labels::default(),
        match_expressions: vec![LabelExpression {
            key: "app".into(),
            operator,
            values: values.iter().map(|value| (*value).into()).collect(),
        }],
    };
    for (operator, values, seen) in [
        (LabelOperator::In, &["mesh"][..], false),
        (LabelOperator::Exists, &[], false),
        (LabelOperator::NotIn, &["mesh"], true),
        (LabelOperator::DoesNotExist, &[], true),
    ] {
        mesh.config(|config| {
            config.discovery_selectors = vec![
                selector(operator, values),
                LabelSelector { match_labels: app_label("nobody"), match_expressions: Vec::new() },
            ];
        });
        assert_eq!(
            mesh.ask("app/client", "10.0.0.5:9000", Sends::Other)[0].reason == Reason::HeadlessTcp,
            seen,
            "{operator:?}"
        );
    }
}

#[test]
fn a_destination_rule_is_looked_up_at_the_client_then_the_service_then_the_root() {
    let disabled = |mesh: &Mesh| mesh.reason("app/client", "10.0.0.5:9000", Sends::Other) == Reason::PlaintextToStrict;
    let es = "es.data.svc.cluster.local";
    let mut mesh = exported(None);
    mesh.rule("istio-system/all", "*.local", ClientTlsMode::Disable);
    assert!(disabled(&mesh), "the root's");
    mesh.rule("data/es", es, ClientTlsMode::IstioMutual);
    assert!(!disabled(&mesh), "the Service's namespace before the root");
    mesh.rule("app/es", "*.data.svc.cluster.local", ClientTlsMode::Disable);
    assert!(disabled(&mesh), "the client's before the Service's, wildcards too");
    mesh.rule("app/exact", es, ClientTlsMode::IstioMutual);
    assert!(!disabled(&mesh), "the most specific host of one namespace");
}

#[test]
fn a_destination_rule_that_is_not_exported_here_does_not_count() {
    for (export_to, counts) in [
        (None, true),
        (Some(ExportTo::OwnNamespace), false),
        (Some(ExportTo::Namespaces(vec!["other".into()])), false),
        (Some(ExportTo::Namespaces(vec!["app".into()])), true),
    ] {
        let mut mesh = exported(None);
        mesh.rule("data/es", "es", ClientTlsMode::Disable);
        mesh.rule_with("data/es", "es", |rule| {
            rule.export_to = export_to.clone();
            rule.traffic_policy =
                Some(TrafficPolicy { tls: Some(crate::mesh::tls(ClientTlsMode::Disable)), ..TrafficPolicy::default() });
        });
        let disabled = mesh.reason("app/client", "10.0.0.5:9000", Sends::Other) == Reason::PlaintextToStrict;
        assert_eq!(disabled, counts, "{export_to:?}");
    }
}

#[test]
fn a_destination_rule_for_some_workloads_stands_alone_for_them() {
    let mut mesh = exported(None);
    let policy = |mode| Some(TrafficPolicy { tls: Some(crate::mesh::tls(mode)), ..TrafficPolicy::default() });
    let es = "es.data.svc.cluster.local";
    mesh.rule_with("app/some", es, |rule| {
        rule.workload_selector = Some(app_label("client"));
        rule.traffic_policy = policy(ClientTlsMode::Disable);
    });
    mesh.rule("app/all", es, ClientTlsMode::IstioMutual);
    assert_eq!(mesh.reason("app/client", "10.0.0.5:9000", Sends::Other), Reason::PlaintextToStrict);
    mesh.rule_with("app/some", es, |rule| {
        rule.workload_selector = Some(app_label("nobody"));
        rule.traffic_policy = policy(ClientTlsMode::Disable);
    });
    assert_eq!(mesh.reason("app/client", "10.0.0.5:9000", Sends::Other), Reason::HeadlessTcp);
}

#[test]
fn a_hidden_service_behind_a_shared_listener_is_reached_by_anothers_host() {
    let mut mesh = exported(Some(ExportTo::OwnNamespace));
    mesh.headless("app/seen", &[("http", 9000)], &["app/db-0"]);
    mesh.pod("data/es-0", "10.0.0.5");
    let (reason, causes) = mesh.causes("app/client", "10.0.0.5:9000", http("10.0.0.5"));
    assert_eq!((reason, causes), (Reason::PlaintextToStrict, vec![Cause::ServiceNotVisible, Cause::HostIsPodIp]));
    // By the name of a Service in sight, that Service's certificates are asked for.
    assert_eq!(mesh.reason("app/client", "10.0.0.5:9000", http("seen")), Reason::IdentityMismatch);
}
