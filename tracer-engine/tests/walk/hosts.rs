//! Section 5, S4: virtual hosts, their names, and what VirtualServices make of them.

use crate::mesh::{Mesh, call, http, route, to};
use tracer_engine::mesh::facts::{ExportTo, HttpMatch, HttpRoute, MtlsMode, ServiceKind, StringMatch};
use tracer_engine::net::Ktime;
use tracer_engine::verdict::{Cause, Reason};
use tracer_engine::walk::outcome::{Call, Caveat, Known, Sends};
use tracer_engine::walk::walk;

/// On port 9200: `app/es` headless, `app/web` with a VIP, and `other/web` with one.
fn shared() -> Mesh {
    let mut mesh = Mesh::strict();
    mesh.headless("app/es", &[("http", 9200)], &["app/db-0"]);
    mesh.vip("app/web", "10.96.0.1", &[("http", 9200)], &["app/db-0"]);
    mesh.vip("other/web", "10.96.0.2", &[("x", 9200)], &["app/db-0"]);
    mesh
}

#[test]
fn a_service_is_known_by_its_names_and_its_vip() {
    let mesh = shared();
    let host =
        |host: &str| mesh.ask("app/client", "10.0.0.2:9200", http(host)).remove(0).path.hop.and_then(|hop| hop.cluster);
    for (said, of) in [
        ("es", "es.app"),
        ("es.app", "es.app"),
        ("es.app.svc", "es.app"),
        ("es.app.svc.cluster.local", "es.app"),
        ("es.app.svc.cluster.local.", "es.app"),
        ("ES.App:9200", "es.app"),
        ("es:1", "es.app"),
        ("es-0.es", "es.app"),
        ("es-7.es.app", "es.app"),
        ("a.b.es.app.svc.cluster.local", "es.app"),
        ("x.es.app.svc.cluster.local.", "es.app"),
        ("web", "web.app"),
        ("web.other", "web.other"),
        ("10.96.0.2", "web.other"),
        ("10.96.0.1:9200", "web.app"),
    ] {
        assert_eq!(host(said).map(|c| c.host.to_string()), Some(format!("{of}.svc.cluster.local")), "{said}");
    }
    for unknown in ["es.app.", "web-0.web.app", "es.other", "es.app.svc.cluster", "10.0.0.2", "x", "es.app.svc."] {
        assert_eq!(host(unknown), None, "{unknown}");
    }
}

#[test]
fn what_a_matched_host_is_called_depends_on_its_cluster() {
    let mesh = shared();
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9200", http("es.app")), Reason::HostMatched);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9200", http("web.app")), Reason::HostBalanced);
    assert_eq!(mesh.reason("app/client", "10.96.0.1:9200", http("web.app")), Reason::ServiceVip);
    assert_eq!(mesh.reason("app/client", "10.96.0.1:9200", http("web.other")), Reason::HostBalanced);
}

#[test]
fn an_unknown_host_takes_the_catch_all() {
    let mut mesh = shared();
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9200", http("x")), Reason::PlaintextToStrict);
    mesh.registry_only();
    let outcome = mesh.one("app/client", "10.0.0.2:9200", http("x"));
    assert_eq!((outcome.reason, outcome.path.proxy_answers), (Reason::NoVirtualHost, Some(502)));
    assert!(outcome.path.hop.is_none());
}

#[test]
fn a_host_of_a_virtual_service_counts_where_it_is_for_a_service_of_the_port() {
    let mut mesh = shared();
    mesh.virtual_service("app/web", &["web", "web.example.com", "10.0.0.2", "*.wild.org"], |service| {
        service.http = vec![route(to("web", None))];
    });
    for host in ["web.example.com", "10.0.0.2:9200", "a.b.wild.org", "web.app"] {
        assert_eq!(mesh.reason("app/client", "10.0.0.2:9200", http(host)), Reason::HostBalanced, "{host}");
    }
    mesh.virtual_service("app/alone", &["alone.org"], |service| service.http = vec![route(to("web", Some(9200)))]);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9200", http("alone.org")), Reason::PlaintextToStrict);
    // Port 80 has the hosts of every VirtualService.
    mesh.vip("app/eighty", "10.96.0.8", &[("http", 80)], &["app/db-0"]);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:80", http("alone.org")), Reason::HostBalanced);
}

#[test]
fn a_virtual_service_on_a_headless_host_replaces_the_routes_of_its_own_listener_too() {
    let mut mesh = shared();
    mesh.headless("app/auto", &[("x", 9300)], &["app/db-0"]);
    mesh.virtual_service("app/auto", &["auto"], |service| service.http = vec![route(to("web", Some(9200)))]);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9300", http("anything")), Reason::HostBalanced);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9300", Sends::Other), Reason::HeadlessTcp);
}

fn by_path(path: &str) -> HttpRoute {
    let uri = Some(StringMatch::Prefix(path.into()));
    HttpRoute { matches: vec![HttpMatch { uri, ..HttpMatch::default() }], ..route(to("web", None)) }
}

#[test]
fn no_route_inside_a_matched_host_is_404() {
    let mut mesh = shared();
    mesh.virtual_service("app/web", &["web"], |service| service.http = vec![by_path("/never")]);
    let outcome = mesh.one("app/client", "10.0.0.2:9200", http("web"));
    assert_eq!((outcome.reason, outcome.path.proxy_answers), (Reason::NoRoute, Some(404)));
}

#[test]
fn a_path_that_is_not_known_forks_with_a_caveat() {
    let mut mesh = shared();
    mesh.virtual_service("app/web", &["web"], |service| service.http = vec![by_path("/some")]);
    let asked = Call { path: None, ..call("app/client", "10.0.0.2:9200", http("web")) };
    let outcomes = walk(&mesh.index, &asked, Ktime(2));
    let reasons: Vec<Reason> = outcomes.iter().map(|outcome| outcome.reason).collect();
    assert_eq!(reasons, [Reason::HostBalanced, Reason::NoRoute]);
    assert!(outcomes.iter().all(|o| matches!(o.caveats[..], [Caveat::UnseenMatch { .. }])), "{outcomes:#?}");
}

#[test]
fn routes_for_other_sources_leave_the_service_as_it_is() {
    let mut mesh = shared();
    for matched in [
        HttpMatch { source_namespace: Some("other".into()), ..HttpMatch::default() },
        HttpMatch { gateways: vec!["ingress".into()], ..HttpMatch::default() },
        HttpMatch { port: Some(1), ..HttpMatch::default() },
        HttpMatch { source_labels: crate::mesh::app_label("nobody"), ..HttpMatch::default() },
    ] {
        mesh.virtual_service("app/web", &["web"], |service| {
            service.http = vec![HttpRoute { matches: vec![matched], ..route(to("es", None)) }];
        });
        assert_eq!(mesh.reason("app/client", "10.0.0.2:9200", http("web")), Reason::HostBalanced);
    }
}

#[test]
fn only_virtual_services_of_the_mesh_gateway_that_are_exported_here_count() {
    let changes: [fn(&mut tracer_engine::mesh::facts::VirtualService); 3] = [
        |service| service.gateways = vec!["app/ingress".into()],
        |service| service.export_to = Some(ExportTo::Nobody),
        |service| service.export_to = Some(ExportTo::Namespaces(vec!["other".into()])),
    ];
    for change in changes {
        let mut mesh = shared();
        mesh.virtual_service("app/web", &["web", "web.org"], |service| {
            service.http = vec![route(to("web", None))];
            change(service);
        });
        assert_eq!(mesh.reason("app/client", "10.0.0.2:9200", http("web.org")), Reason::PlaintextToStrict);
    }
}

#[test]
fn a_redirect_is_answered_by_the_proxy() {
    let mut mesh = shared();
    mesh.virtual_service("app/web", &["web"], |service| {
        service.http = vec![HttpRoute { answers: true, route: Vec::new(), ..route(to("web", None)) }];
    });
    let outcome = mesh.one("app/client", "10.0.0.2:9200", http("web"));
    assert_eq!((outcome.reason, outcome.path.hop), (Reason::NoRoute, None));
}

#[test]
fn a_route_to_nowhere_is_503() {
    let mut mesh = shared();
    for nowhere in [
        to("gone", None),
        to("web", Some(1)),
        tracer_engine::mesh::facts::Destination { subset: Some("v9".into()), ..to("web", None) },
    ] {
        mesh.virtual_service("app/web", &["web"], |service| service.http = vec![route(nowhere)]);
        let outcome = mesh.one("app/client", "10.0.0.2:9200", http("web"));
        assert_eq!((outcome.reason, outcome.path.proxy_answers), (Reason::NoHealthyUpstream, Some(503)));
    }
}

#[test]
fn weighted_destinations_fork_where_the_outcome_differs() {
    let mut mesh = shared();
    let weighted = |host: &str, weight| tracer_engine::mesh::facts::Destination { weight, ..to(host, None) };
    mesh.virtual_service("app/web", &["web"], |service| {
        service.http = vec![HttpRoute {
            route: vec![weighted("web", 90), weighted("es", 10), weighted("gone", 0)],
            ..route(to("x", None))
        }];
    });
    let outcomes = mesh.ask("app/client", "10.0.0.2:9200", http("web"));
    let reasons: Vec<Reason> = outcomes.iter().map(|outcome| outcome.reason).collect();
    assert_eq!(reasons, [Reason::HostBalanced, Reason::HostMatched]);
}

#[test]
fn the_authority_of_a_match_is_compared_with_host() {
    let mut mesh = shared();
    let authority = Some(StringMatch::Exact("web.app".into()));
    mesh.virtual_service("app/web", &["web"], |service| {
        service.http = vec![HttpRoute {
            matches: vec![HttpMatch { authority, ..HttpMatch::default() }],
            ..route(to("web", None))
        }];
    });
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9200", http("web.app")), Reason::HostBalanced);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9200", http("web")), Reason::NoRoute);
}

#[test]
fn an_external_name_is_another_name_of_its_host() {
    let mut mesh = shared();
    mesh.service(
        "app/alias",
        ServiceKind::ExternalName("web.app.svc.cluster.local".into()),
        &[("http", 9200)],
        &[],
        |_| {},
    );
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9200", http("alias.app")), Reason::HostBalanced);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9200", http("alias")), Reason::HostBalanced);
    mesh.virtual_service("app/alias", &["alias"], |service| service.http = vec![route(to("es", None))]);
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9200", http("alias")), Reason::HostMatched, "routes of its own");
    assert_eq!(mesh.reason("app/client", "10.0.0.2:9200", http("web")), Reason::HostBalanced);
}

#[test]
fn hosts_that_nobody_should_send_do_no_harm() {
    let mesh = shared();
    for host in ["", ".", "..", ":", "*", "*.es.app", "[::", "[fd00::1]:x", "a:b:c", "\u{130}.app", "999999999999.1"] {
        assert_eq!(mesh.ask("app/client", "10.0.0.2:9200", http(host)).len(), 1, "{host:?}");
    }
}

/// Each as Envoy 1.40 answered it under REGISTRY_ONLY: 200, 502 or 400.
#[test]
fn odd_hosts_are_read_as_envoy_reads_them() {
    let mut mesh = shared();
    mesh.registry_only();
    let answer = |sends: Sends| mesh.one("app/client", "10.0.0.2:9200", sends).path.proxy_answers;
    for routed in ["es.app:", "es.app:http", "es.app:99999", "ES.APP:9200", "es.app.svc.cluster.local.:9200"] {
        assert_eq!(answer(http(routed)), None, "{routed:?}");
    }
    for unknown in [
        "es.app.svc.cluster.local..",
        "es.app.",
        "[fd00::1]:9200",
        "fd00::1",
        "es.app,es.app",
        "user@es.app",
        "a_b",
        "*",
        "%65s.app",
        ":80",
        "@",
        ".",
        "[]",
        "[fd00::1",
    ] {
        assert_eq!(answer(http(unknown)), Some(502), "{unknown:?}");
    }
    let invalid =
        ["a b", "es.app/x", "es.app\0", "caf\u{e9}", "es.app\u{fffd}", "es#", "a<b", "a\\b", "{es}", "es`", "\"es\""];
    for invalid in invalid.map(http).into_iter().chain([http(""), Sends::Http { http2: true, host: Known::Yes(None) }])
    {
        let outcome = mesh.one("app/client", "10.0.0.2:9200", invalid.clone());
        let said = (outcome.reason, outcome.causes[..].to_vec(), outcome.path.proxy_answers);
        assert_eq!(said, (Reason::NotHttpOnHttpPort, vec![Cause::InvalidRequest], Some(400)), "{invalid:?}");
    }
}

/// The destination's own codec refuses it where no proxy stands before the client; a TCP port takes any bytes.
#[test]
fn an_invalid_host_without_a_proxy_of_its_own_is_refused_at_the_destination() {
    let mut mesh = shared();
    mesh.peer("istio-system", MtlsMode::Permissive);
    let ask = |mesh: &Mesh| mesh.causes("legacy/plain", "10.0.0.2:9200", http("a b"));
    assert_eq!(ask(&mesh), (Reason::NotHttpOnHttpPort, vec![Cause::InvalidRequest]));
    mesh.peer("istio-system", MtlsMode::Strict);
    assert_eq!(ask(&mesh).0, Reason::PlaintextToStrict);
    mesh.peer("istio-system", MtlsMode::Permissive);
    mesh.headless("app/es", &[("tcp", 9200)], &["app/db-0"]);
    mesh.vip("app/web", "10.96.0.1", &[("tcp", 9200)], &["app/db-0"]);
    assert_eq!(ask(&mesh).0, Reason::SourceUncaptured);
}
