//! Section 5, S5 and S6: hops and who encrypts them.

use crate::mesh::{Mesh, PortOf, app_label, http, tls};
use tracer_engine::mesh::facts::*;
use tracer_engine::verdict::{Cause, Reason, Security};
use tracer_engine::walk::outcome::{Hop, HopBytes, HopTarget, Sends};

#[track_caller]
fn hop(mesh: &Mesh, to: &str, sends: Sends) -> Hop {
    mesh.one("app/client", to, sends).path.hop.expect("it goes on")
}

#[test]
fn mtls_shows_the_sni_of_the_chosen_service() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("tcp", 9000), ("x", 9300)], &["app/db-0"]);
    let sni = |port: u16| format!("outbound_.{port}_._.db.app.svc.cluster.local").into();
    assert_eq!(hop(&mesh, "10.0.0.2:9000", Sends::Other).begins, HopBytes::MeshTls { sni: sni(9000), http: false });
    assert_eq!(hop(&mesh, "10.0.0.2:9300", http("x")).begins, HopBytes::MeshTls { sni: sni(9300), http: true });
    mesh.rule_with("app/db", "db", |rule| {
        let named = ClientTls { sni: Some("own.example".into()), ..tls(ClientTlsMode::IstioMutual) };
        rule.traffic_policy = Some(TrafficPolicy { tls: Some(named), ..TrafficPolicy::default() });
    });
    let own = HopBytes::MeshTls { sni: "own.example".into(), http: false };
    assert_eq!(hop(&mesh, "10.0.0.2:9000", Sends::Other).begins, own);
}

#[test]
fn headless_goes_by_every_endpoint_of_the_port() {
    let mut mesh = Mesh::strict();
    mesh.plain("app/old-0", "10.0.0.5");
    mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0", "app/old-0"]);
    let (reason, causes) = mesh.causes("app/client", "10.0.0.2:9000", Sends::Other);
    assert_eq!((reason, causes), (Reason::PlaintextToStrict, vec![Cause::MixedHeadlessEndpoints]));

    // Another port of the same Service that the plain pod has not stays in mTLS.
    let slice = |name: &str, endpoint, ports: &[PortOf]| {
        Fact::EndpointSlice(EndpointSlice {
            key: crate::mesh::key(name),
            service: Some("two".into()),
            endpoints: [endpoint].into(),
            ports: ports
                .iter()
                .map(|p| SlicePort { name: p.0.into(), port: Some(p.2), transport: Transport::Tcp })
                .collect(),
        })
    };
    mesh.headless("app/two", &[("tcp-a", 5672), ("tcp-b", 15672)], &[]);
    let (labelled, plain) = (mesh.endpoint("app/db-0"), mesh.endpoint("app/old-0"));
    mesh.put(slice("app/two-1", labelled, &[PortOf("tcp-a", 5672, 5672), PortOf("tcp-b", 15672, 15672)]));
    mesh.put(slice("app/two-2", plain, &[PortOf("tcp-b", 15672, 15672)]));
    assert_eq!(mesh.reason("app/client", "10.0.0.2:5672", Sends::Other), Reason::HeadlessTcp);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:15672", Sends::Other), Reason::PlaintextToStrict);
}

#[test]
fn the_label_counts_and_not_the_sidecar() {
    let mut mesh = Mesh::strict();
    mesh.pod_with("app/a-0", "10.0.0.5", |pod| pod.tls_mode_istio = false).headless(
        "app/a",
        &[("tcp", 9000)],
        &["app/a-0"],
    );
    assert_eq!(mesh.reason("app/client", "10.0.0.5:9000", Sends::Other), Reason::PlaintextToStrict);
    mesh.pod_with("app/b-0", "10.0.0.6", |pod| pod.enrolment = Enrolment::None.into()).headless(
        "app/b",
        &[("tcp", 9000)],
        &["app/b-0"],
    );
    let (reason, causes) = mesh.causes("app/client", "10.0.0.6:9000", Sends::Other);
    assert_eq!((reason, causes), (Reason::MtlsNotTerminated, vec![Cause::LabelWithoutSidecar]));
}

#[test]
fn endpoints_that_count_are_not_ready_ones_too_and_addresses_without_a_pod() {
    let mut mesh = Mesh::strict();
    mesh.plain("app/old-0", "10.0.0.5");
    let ports = [PortOf("tcp", 9000, 9000)];
    let mut leaving = mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0"]).endpoint("app/old-0");
    leaving.ready = false;
    let own = mesh.endpoint("app/db-0");
    let stranger = SliceEndpoint { pod: None, address: "10.1.1.1".parse().unwrap(), ..own.clone() };
    for other in [leaving, stranger] {
        mesh.slice("app/db", vec![own.clone(), other], &ports);
        assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Other), Reason::PlaintextToStrict);
    }
    // A pod that nobody was told of yet is left out.
    let unseen = SliceEndpoint { pod: Some("new-0".into()), address: "10.1.1.2".parse().unwrap(), ..own.clone() };
    mesh.slice("app/db", vec![own, unseen], &ports);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Other), Reason::HeadlessTcp);
}

#[test]
fn an_endpoint_without_target_ref_whose_ip_is_a_labelled_pods_is_undetermined() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("tcp", 9000)], &[]);
    let nameless = SliceEndpoint { pod: None, ..mesh.endpoint("app/db-0") };
    mesh.slice("app/db", vec![nameless], &[PortOf("tcp", 9000, 9000)]);
    let reasons: Vec<_> = mesh.ask("app/client", "10.0.0.2:9000", Sends::Other).iter().map(|o| o.reason).collect();
    assert_eq!(reasons, [Reason::HeadlessTcp, Reason::PlaintextToStrict]);
}

#[test]
fn a_headless_route_in_plaintext_is_still_that_route() {
    let mut mesh = Mesh::strict();
    mesh.peer_for("app/open", Some("db"), MtlsMode::Permissive, &[]);
    mesh.plain("app/old-0", "10.0.0.5").headless("app/db", &[("x", 9300)], &["app/db-0", "app/old-0"]);
    assert_eq!(mesh.security("app/client", "10.0.0.2:9300", http("x")), (Reason::AnyHost, Security::None));
    assert_eq!(
        mesh.security("app/client", "10.0.0.2:9300", crate::mesh::hello("x")),
        (Reason::HeadlessTcp, Security::AppTls)
    );
}

#[test]
fn clients_go_by_the_mode_of_the_services_namespace_alone() {
    for (namespace, workload, expected) in [
        (MtlsMode::Disable, MtlsMode::Strict, (Reason::PlaintextToStrict, vec![Cause::WorkloadPolicyIgnoredByClient])),
        (MtlsMode::Strict, MtlsMode::Disable, (Reason::MtlsNotTerminated, vec![Cause::WorkloadPolicyIgnoredByClient])),
        (MtlsMode::Permissive, MtlsMode::Strict, (Reason::HeadlessTcp, vec![])),
    ] {
        let mut mesh = Mesh::strict();
        mesh.peer("app", namespace).peer_for("app/own", Some("db"), workload, &[]);
        mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0"]);
        assert_eq!(mesh.causes("app/client", "10.0.0.2:9000", Sends::Other), expected, "{namespace:?} {workload:?}");
    }
}

#[test]
fn balanced_clusters_can_only_be_switched_off_per_endpoint() {
    let mut mesh = Mesh::strict();
    mesh.vip("app/db", "10.96.0.1", &[("tcp", 9000)], &["app/db-0"]);
    assert_eq!(
        mesh.security("app/client", "10.96.0.1:9000", Sends::Other),
        (Reason::ServiceVipTcp, Security::MutualTls)
    );
    mesh.peer_for("app/own", Some("db"), MtlsMode::Disable, &[]);
    assert_eq!(mesh.security("app/client", "10.96.0.1:9000", Sends::Other), (Reason::ServiceVipTcp, Security::None));
    mesh.peer_for("app/own", Some("db"), MtlsMode::Strict, &[(9000, MtlsMode::Disable)]);
    assert_eq!(mesh.security("app/client", "10.96.0.1:9000", Sends::Other), (Reason::ServiceVipTcp, Security::None));
    mesh.peer_for("app/own", Some("db"), MtlsMode::Strict, &[]).peer("app", MtlsMode::Disable);
    assert_eq!(
        mesh.causes("app/client", "10.96.0.1:9000", Sends::Other),
        (Reason::PlaintextToStrict, vec![Cause::WorkloadPolicyIgnoredByClient])
    );
}

#[test]
fn an_endpoint_without_label_gets_plaintext_and_the_outcome_forks_by_endpoint() {
    let mut mesh = Mesh::strict();
    mesh.pod_with("app/db-1", "10.0.0.3", |pod| pod.tls_mode_istio = false);
    mesh.vip("app/db", "10.96.0.1", &[("tcp", 9000)], &["app/db-0", "app/db-1"]);
    let outcomes = mesh.ask("app/client", "10.96.0.1:9000", Sends::Other);
    let told: Vec<_> = outcomes.iter().map(|o| (o.reason, o.causes.first().copied())).collect();
    assert_eq!(told, [(Reason::ServiceVipTcp, None), (Reason::PlaintextToStrict, Some(Cause::EndpointWithoutLabel))]);
    let at = |n: usize| match &outcomes[n].path.hop.as_ref().expect("a hop").to {
        HopTarget::OneOf(at) => at.iter().map(|e| e.ip.to_string()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!((at(0), at(1)), (vec!["10.0.0.2".into()], vec!["10.0.0.3".into()]));
}

#[test]
fn only_ready_endpoints_are_picked_and_none_is_503() {
    let mut mesh = Mesh::strict();
    mesh.vip("app/db", "10.96.0.1", &[("http", 80)], &["app/db-0"]);
    let mut unready = mesh.endpoint("app/db-0");
    unready.ready = false;
    mesh.slice("app/db", vec![unready], &[PortOf("http", 80, 80)]);
    let outcome = mesh.one("app/client", "10.96.0.1:80", http("db"));
    assert_eq!((outcome.reason, outcome.path.proxy_answers), (Reason::NoHealthyUpstream, Some(503)));
}

#[test]
fn a_destination_rules_mode_comes_before_auto_mtls() {
    for (mode, expected) in [
        (ClientTlsMode::Disable, (Reason::PlaintextToStrict, Security::None)),
        (ClientTlsMode::Simple, (Reason::TlsWithoutMeshCertificate, Security::Tls)),
        (ClientTlsMode::Mutual, (Reason::TlsWithoutMeshCertificate, Security::Tls)),
        (ClientTlsMode::IstioMutual, (Reason::HeadlessTcp, Security::MutualTls)),
    ] {
        let mut mesh = Mesh::strict();
        mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0"]).rule("app/db", "db.app.svc.cluster.local", mode);
        assert_eq!(mesh.security("app/client", "10.0.0.2:9000", Sends::Other), expected, "{mode:?}");
    }
}

#[test]
fn port_level_settings_replace_the_hosts_whole() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("tcp", 9000), ("tcp-b", 9001)], &["app/db-0"]);
    mesh.rule_with("app/db", "db", |rule| {
        let disabled = TrafficPolicy { tls: Some(tls(ClientTlsMode::Disable)), ..TrafficPolicy::default() };
        rule.traffic_policy = Some(TrafficPolicy { port_level: vec![(9000, TrafficPolicy::default())], ..disabled });
    });
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Other), Reason::HeadlessTcp, "back to auto-mTLS");
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9001", Sends::Other), Reason::PlaintextToStrict);
}

#[test]
fn load_balancer_passthrough_keeps_the_dialled_ip() {
    let mut mesh = Mesh::strict();
    mesh.pod("app/other-0", "10.0.0.3").vip("app/web", "10.96.0.1", &[("http", 80)], &["app/db-0"]);
    mesh.rule_with("app/web", "web", |rule| {
        rule.traffic_policy = Some(TrafficPolicy { passthrough: true, ..TrafficPolicy::default() });
    });
    let outcome = mesh.one("app/client", "10.0.0.3:80", http("web"));
    assert_eq!(outcome.reason, Reason::HostMatched, "another Service's pod takes it");
    assert!(matches!(outcome.path.hop.expect("a hop").to, HopTarget::Dialled(at) if at.to_string() == "10.0.0.3:80"));
}

#[test]
fn auto_mtls_off_is_plaintext_unless_a_rule_says_otherwise() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0"]).config(|config| config.auto_mtls = false);
    assert_eq!(mesh.causes("app/client", "10.0.0.2:9000", Sends::Other).1, [Cause::AutoMtlsOff]);
    mesh.rule("app/db", "db", ClientTlsMode::IstioMutual);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Other), Reason::HeadlessTcp);
}

#[test]
fn the_certificate_must_be_of_the_chosen_services_endpoints() {
    let mut mesh = Mesh::strict();
    mesh.pod_with("app/other-0", "10.0.0.3", |pod| pod.service_account = "other".into());
    mesh.headless("app/db", &[("http", 9200)], &["app/db-0"]);
    let to_other = |mesh: &Mesh| mesh.reason("app/client", "10.0.0.3:9200", http("db"));
    assert_eq!(to_other(&mesh), Reason::IdentityMismatch);
    // One that cannot terminate mTLS shows no certificate at all.
    mesh.capture("app/other-0", |capture| capture.exclude_inbound_ports.push(9200));
    assert_eq!(to_other(&mesh), Reason::MtlsNotTerminated);
    mesh.capture("app/other-0", |capture| capture.exclude_inbound_ports.clear());
    // Names in a DestinationRule replace those of the endpoints.
    mesh.rule_with("app/db", "db", |rule| {
        let names = vec!["spiffe://cluster.local/ns/app/sa/other".into()];
        let named = ClientTls { subject_alt_names: names, ..tls(ClientTlsMode::IstioMutual) };
        rule.traffic_policy = Some(TrafficPolicy { tls: Some(named), ..TrafficPolicy::default() });
    });
    assert_eq!(to_other(&mesh), Reason::HostMatched);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9200", http("db")), Reason::IdentityMismatch);
}

#[test]
fn a_certificate_is_judged_before_the_codec() {
    let mut mesh = Mesh::strict();
    mesh.pod_with("app/other-0", "10.0.0.3", |pod| pod.service_account = "other".into());
    mesh.vip("app/web", "10.96.0.1", &[("http", 9000)], &["app/other-0"]);
    mesh.entry("app/none", (9001, "TCP"), |entry| {
        (entry.resolution, entry.location) = (Resolution::None, Location::MeshInternal);
        entry.subject_alt_names = vec!["spiffe://cluster.local/ns/app/sa/default".into()];
        entry.endpoints.clear();
    });
    mesh.vip("app/web2", "10.96.0.2", &[("http", 9001)], &["app/other-0"]);
    mesh.rule("app/none", "none.ext", ClientTlsMode::IstioMutual);
    assert_eq!(mesh.reason("app/client", "10.0.0.3:9001", Sends::Other), Reason::IdentityMismatch);
}

#[test]
fn subsets_pick_by_label_and_have_a_name_of_their_own() {
    let mut mesh = Mesh::strict();
    mesh.pod("app/green-0", "10.0.0.3").vip("app/web", "10.96.0.1", &[("http", 80)], &["app/db-0", "app/green-0"]);
    mesh.rule_with("app/web", "web", |rule| {
        rule.subsets = vec![Subset { name: "green".into(), labels: app_label("green"), traffic_policy: None }];
    });
    mesh.virtual_service("app/web", &["web"], |service| {
        let destination = Destination { subset: Some("green".into()), ..crate::mesh::to("web", None) };
        service.http = vec![crate::mesh::route(destination)];
    });
    let hop = hop(&mesh, "10.96.0.1:80", http("web"));
    assert!(matches!(&hop.to, HopTarget::OneOf(at) if at.len() == 1 && at[0].ip.to_string() == "10.0.0.3"), "{hop:?}");
    let sni = "outbound_.80_.green_.web.app.svc.cluster.local".into();
    assert_eq!(hop.begins, HopBytes::MeshTls { sni, http: true });
}

#[test]
fn a_dns_service_entry_leads_where_nobody_knows() {
    let mut mesh = Mesh::strict();
    mesh.entry("app/dns", (9000, "TCP"), |entry| (entry.resolution, entry.endpoints) = (Resolution::Dns, Vec::new()));
    let outcome = mesh.one("app/client", "10.0.0.2:9000", Sends::Other);
    assert_eq!(outcome.reason, Reason::ServiceEntryTakeover);
    assert_eq!(outcome.path.hop.expect("a hop").to, HopTarget::Unknown);
}

#[test]
fn an_unknown_host_on_a_vip_passes_through_to_what_kube_proxy_picks() {
    let mut mesh = Mesh::strict();
    mesh.vip("app/web", "10.96.0.1", &[("http", 80, 8080)], &["app/db-0"]);
    let outcome = mesh.one("app/client", "10.96.0.1:80", http("x"));
    assert_eq!((outcome.reason, &outcome.causes[..]), (Reason::PlaintextToStrict, &[Cause::HostUnknown][..]));
    assert!(matches!(outcome.path.hop.expect("a hop").to, HopTarget::Dialled(at) if at.to_string() == "10.96.0.1:80"));
}

#[test]
fn an_endpoint_may_name_a_pod_of_another_namespace() {
    let mut mesh = Mesh::strict();
    mesh.plain("data/db-0", "10.0.0.5");
    mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0"]);
    let own = mesh.endpoint("app/db-0");
    let foreign = SliceEndpoint { pod: Some("data/db-0".into()), address: "10.0.0.5".parse().unwrap(), ..own.clone() };
    mesh.slice("app/db", vec![own, foreign], &[PortOf("tcp", 9000, 9000)]);
    // Its pod has no sidecar: clients send plaintext to all of them.
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9000", Sends::Other), Reason::PlaintextToStrict);
}
