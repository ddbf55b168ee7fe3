//! Section 4: PeerAuthentication, strongest first; what selects and what is ignored; caveats.

use crate::mesh::{Mesh, app_label, http, key};
use tracer_engine::mesh::facts::{AuthorizationPolicy, Enrolment, Fact, MtlsMode};
use tracer_engine::verdict::Reason;
use tracer_engine::walk::outcome::{Caveat, Sends};

use MtlsMode::{Disable, Permissive, Strict, Unset};

/// Whether plaintext from outside the mesh is refused at port 9000.
fn is_strict(build: impl FnOnce(&mut Mesh)) -> bool {
    let mut mesh = Mesh::new();
    mesh.pod("app/db-0", "10.0.0.2").plain("legacy/plain", "10.0.0.9");
    build(&mut mesh);
    match mesh.reason("legacy/plain", "10.0.0.2:9000", http("x")) {
        Reason::PlaintextToStrict => true,
        Reason::SourceUncaptured => false,
        other => panic!("{other}"),
    }
}

#[test]
fn the_strongest_scope_that_says_something_wins() {
    type Build = fn(&mut Mesh);
    let rows: [(&str, Build, bool); 14] = [
        ("nothing: PERMISSIVE", |_| {}, false),
        (
            "mesh",
            |m| {
                m.peer("istio-system", Strict);
            },
            true,
        ),
        (
            "mesh UNSET: PERMISSIVE",
            |m| {
                m.peer("istio-system", Unset);
            },
            false,
        ),
        (
            "namespace over mesh",
            |m| {
                m.peer("istio-system", Strict).peer("app", Permissive);
            },
            false,
        ),
        (
            "namespace UNSET inherits",
            |m| {
                m.peer("istio-system", Strict).peer("app", Unset);
            },
            true,
        ),
        (
            "workload over namespace",
            |m| {
                m.peer("app", Permissive).peer_for("app/w", Some("db"), Strict, &[]);
            },
            true,
        ),
        (
            "workload UNSET inherits",
            |m| {
                m.peer("app", Strict).peer_for("app/w", Some("db"), Unset, &[]);
            },
            true,
        ),
        (
            "port over workload",
            |m| {
                m.peer_for("app/w", Some("db"), Permissive, &[(9000, Strict)]);
            },
            true,
        ),
        (
            "another port",
            |m| {
                m.peer_for("app/w", Some("db"), Permissive, &[(9001, Strict)]);
            },
            false,
        ),
        (
            "port UNSET inherits",
            |m| {
                m.peer_for("app/w", Some("db"), Strict, &[(9000, Unset)]);
            },
            true,
        ),
        (
            "ports of a namespace policy do not count",
            |m| {
                m.peer_for("app/n", None, Permissive, &[(9000, Strict)]);
            },
            false,
        ),
        (
            "another workload",
            |m| {
                m.peer_for("app/w", Some("web"), Strict, &[]);
            },
            false,
        ),
        (
            "a selector in the root namespace is ignored",
            |m| {
                m.peer_for("istio-system/w", Some("db"), Strict, &[]);
            },
            false,
        ),
        (
            "another namespace",
            |m| {
                m.peer("other", Strict);
            },
            false,
        ),
    ];
    for (row, build, expected) in rows {
        assert_eq!(is_strict(build), expected, "{row}");
    }
}

#[test]
fn the_oldest_wins_within_a_scope_whatever_comes_first() {
    let young_first = |mesh: &mut Mesh| {
        let policy = |name: &str, created, mode| {
            Fact::PeerAuthentication(tracer_engine::mesh::facts::PeerAuthentication {
                key: key(name),
                created: tracer_engine::mesh::facts::Timestamp(created),
                selector: None,
                mode,
                port_level: Vec::new(),
            })
        };
        mesh.put(policy("app/young", 20, Permissive)).put(policy("app/old", 10, Strict));
    };
    assert!(is_strict(young_first));
}

#[test]
fn an_empty_selector_is_none() {
    assert!(is_strict(|mesh| {
        mesh.put(Fact::PeerAuthentication(tracer_engine::mesh::facts::PeerAuthentication {
            key: key("app/all"),
            created: tracer_engine::mesh::facts::Timestamp(1),
            selector: Some(tracer_engine::mesh::facts::Labels::default()),
            mode: Strict,
            port_level: Vec::new(),
        }));
    }));
}

#[test]
fn port_levels_hold_for_target_ports_and_for_undeclared_ones() {
    let mut mesh = Mesh::new();
    mesh.pod("app/db-0", "10.0.0.2").plain("legacy/plain", "10.0.0.9");
    mesh.headless("app/db", &[("http", 80, 8080)], &["app/db-0"]);
    mesh.peer_for("app/w", Some("db"), Permissive, &[(8080, Strict), (80, Disable), (7777, Strict)]);
    for (port, expected) in
        [(8080, Reason::PlaintextToStrict), (80, Reason::SourceUncaptured), (7777, Reason::PlaintextToStrict)]
    {
        assert_eq!(mesh.reason("legacy/plain", &format!("10.0.0.2:{port}"), http("x")), expected, "{port}");
    }
}

#[test]
fn an_authorization_policy_is_a_caveat_by_name_and_nothing_else() {
    let mut mesh = Mesh::strict();
    mesh.headless("app/db", &[("tcp", 9000)], &["app/db-0"]);
    let policy = |name: &str, selector| Fact::AuthorizationPolicy(AuthorizationPolicy { key: key(name), selector });
    mesh.put(policy("app/deny", Some(app_label("db")))).put(policy("istio-system/all", None));
    mesh.put(policy("app/others", Some(app_label("web")))).put(policy("other/all", None));
    let outcome = mesh.one("app/client", "10.0.0.2:9000", Sends::Other);
    assert_eq!(outcome.reason, Reason::HeadlessTcp);
    let caveat = |name: &str| Caveat::AuthorizationPolicy { policy: key(name), pod: "db-0".into() };
    assert_eq!(outcome.caveats, [caveat("app/deny"), caveat("istio-system/all")]);
}

#[test]
fn a_proxy_outside_the_tested_versions_is_a_caveat() {
    for (version, untested) in
        [("1.30.3", false), ("1.30.0-distroless", false), ("1.30", false), ("1.29.1", true), ("1.300.1", true)]
    {
        let mut mesh = Mesh::strict();
        mesh.pod_with("app/db-0", "10.0.0.2", |pod| {
            if let Enrolment::Sidecar(proxy) = std::sync::Arc::make_mut(&mut pod.enrolment) {
                proxy.version = Some(version.into());
            }
        });
        let outcome = mesh.one("app/client", "10.0.0.2:9000", Sends::Other);
        assert_eq!(!outcome.caveats.is_empty(), untested, "{version}");
    }
}

#[test]
fn a_source_that_is_not_known_is_said() {
    let mesh = Mesh::strict();
    let outcome = mesh.one("app/nobody", "10.0.0.2:9000", Sends::Other);
    assert!(matches!(&outcome.caveats[..], [Caveat::Missing(what)] if what.contains("app/nobody")), "{outcome:?}");
}
