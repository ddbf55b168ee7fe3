//! Section 8, ambient. No truth covers it: every answer bears the caveat.

use crate::mesh::{Mesh, hello, http};
use tracer_engine::mesh::facts::{ClientTlsMode, Enrolment, Fact, MtlsMode, Namespace};
use tracer_engine::verdict::{Cause, Reason, Security};
use tracer_engine::walk::outcome::{Caveat, HopBytes, HopTarget, Sends};

fn mesh() -> Mesh {
    let mut mesh = Mesh::strict();
    mesh.ambient("amb/a-0", "10.0.0.20").ambient("amb/b-0", "10.0.0.21");
    mesh
}

#[test]
fn both_ends_ambient_is_hbone_whatever_the_port() {
    let mesh = mesh();
    for sends in [Sends::Nothing, Sends::Other, http("x"), hello("a")] {
        let outcome = mesh.one("amb/a-0", "10.0.0.21:7777", sends);
        assert_eq!((outcome.reason, outcome.security), (Reason::AmbientHbone, Security::MutualTls));
        assert_eq!(outcome.caveats, [Caveat::Ambient]);
        let hop = outcome.path.hop.expect("a hop");
        assert_eq!(hop.begins, HopBytes::Hbone);
        assert!(matches!(&hop.to, HopTarget::OneOf(at) if at[0].to_string() == "10.0.0.21:15008"), "{hop:?}");
    }
    assert_eq!(mesh.reason("amb/a-0", "10.0.0.20:80", http("x")), Reason::Own);
}

#[test]
fn ambient_to_a_sidecar_is_plaintext_unless_it_takes_hbone() {
    let mut mesh = mesh();
    let (reason, causes) = mesh.causes("amb/a-0", "10.0.0.2:9000", Sends::Other);
    assert_eq!((reason, causes), (Reason::PlaintextToStrict, vec![Cause::AmbientToSidecar]));
    mesh.pod_with("app/db-0", "10.0.0.2", |pod| {
        let tunnel = ("networking.istio.io/tunnel".into(), "http".into());
        pod.labels = pod.labels.iter().cloned().chain([tunnel]).collect();
    });
    assert_eq!(mesh.reason("amb/a-0", "10.0.0.2:9000", Sends::Other), Reason::AmbientHbone);
}

#[test]
fn ztunnel_denies_whoever_shows_no_identity_where_strict() {
    let mut mesh = mesh();
    for (from, cause) in [("legacy/plain", Cause::SourceNotInMesh), ("app/client", Cause::PortUndeclared)] {
        for sends in [Sends::Nothing, http("x"), hello("a")] {
            let (reason, causes) = mesh.causes(from, "10.0.0.21:7777", sends);
            assert_eq!((reason, causes[0]), (Reason::AmbientPolicyDenied, cause), "{from}");
            assert_eq!(causes.contains(&Cause::SidecarToAmbient), from == "app/client");
        }
    }
    mesh.peer("amb", MtlsMode::Permissive);
    assert_eq!(
        mesh.reason("legacy/plain", "10.0.0.21:7777", Sends::Nothing),
        Reason::SourceUncaptured,
        "nothing is sniffed"
    );
}

#[test]
fn ambient_to_outside_the_mesh_passes_on() {
    let mesh = mesh();
    assert_eq!(mesh.reason("amb/a-0", "10.0.0.9:80", http("x")), Reason::Passthrough);
}

#[test]
fn a_vip_leads_ztunnel_to_its_ready_endpoints() {
    let mut mesh = mesh();
    mesh.vip("amb/b", "10.96.0.7", &[("http", 80, 8080)], &["amb/b-0"]);
    let outcome = mesh.one("amb/a-0", "10.96.0.7:80", http("b"));
    assert_eq!(outcome.reason, Reason::AmbientHbone);
}

#[test]
fn without_the_bytes_ambient_gives_one_reason() {
    let outcomes = mesh().ask("amb/a-0", "10.0.0.21:7777", Sends::Unknown);
    assert_eq!(outcomes.len(), 4);
    assert!(outcomes.iter().all(|outcome| outcome.reason == Reason::AmbientHbone));
}

/// `for: workload` and `for: all` take what dials a pod's ip, the default what dials a Service.
#[test]
fn a_waypoint_takes_what_it_is_for() {
    let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    for (of, by_ip, by_vip) in
        [(Some("workload"), true, false), (Some("all"), true, true), (Some("none"), false, false), (None, false, true)]
    {
        let mut mesh = mesh();
        mesh.put(Fact::Namespace(Namespace {
            name: "amb".into(),
            labels: labels(&[("istio.io/use-waypoint", "way")]),
        }));
        mesh.vip("amb/b", "10.96.0.7", &[("tcp", 80)], &["amb/b-0"]);
        mesh.pod_with("amb/way-0", "10.0.0.25", |pod| {
            pod.enrolment = Enrolment::None.into();
            let own = ("gateway.networking.k8s.io/gateway-name", "way");
            pod.labels = of.map_or_else(|| labels(&[own]), |of| labels(&[own, ("istio.io/waypoint-for", of)]));
        });
        let hop = |to| match mesh.one("amb/a-0", to, Sends::Other).path.hop.expect("a hop").to {
            HopTarget::OneOf(at) => at[0].to_string(),
            other => panic!("{other:?}"),
        };
        let at = |waypoint| if waypoint { "10.0.0.25:15008" } else { "10.0.0.21:15008" };
        assert_eq!(hop("10.0.0.21:7777"), at(by_ip), "{of:?}");
        assert_eq!(hop("10.96.0.7:80"), at(by_vip), "{of:?}");
    }
}

#[test]
fn a_waypoint_that_nobody_knows_leaves_open_where_the_hop_goes() {
    let mut mesh = mesh();
    mesh.pod_with("amb/b-0", "10.0.0.21", |pod| {
        pod.enrolment = Enrolment::Ambient.into();
        pod.labels = [("istio.io/use-waypoint".into(), "way".into())].into_iter().collect();
    });
    let outcome = mesh.one("amb/a-0", "10.0.0.21:7777", Sends::Other);
    assert_eq!((outcome.reason, outcome.path.hop.map(|hop| hop.to)), (Reason::AmbientHbone, Some(HopTarget::Unknown)));
    assert!(outcome.caveats.iter().any(|caveat| caveat.to_string().contains("waypoint way")), "{:?}", outcome.caveats);
    mesh.pod_with("amb/b-0", "10.0.0.21", |pod| {
        pod.enrolment = Enrolment::Ambient.into();
        pod.labels = [("istio.io/use-waypoint".into(), "none".into())].into_iter().collect();
    });
    assert_eq!(mesh.one("amb/a-0", "10.0.0.21:7777", Sends::Other).caveats, [Caveat::Ambient]);
}

/// A sidecar goes by HBONE towards endpoints of a Service that it balances, and in plaintext by a headless route.
#[test]
fn a_sidecar_reaches_ambient_pods_by_hbone_where_it_balances() {
    let mut mesh = mesh();
    mesh.vip("amb/b", "10.96.0.7", &[("http", 80, 8080)], &["amb/b-0"]);
    let outcome = mesh.one("app/client", "10.96.0.7:80", http("b.amb"));
    assert_eq!((outcome.reason, outcome.security), (Reason::ServiceVip, Security::MutualTls));
    let hop = outcome.path.hop.expect("a hop");
    assert_eq!(hop.begins, HopBytes::Hbone);
    assert!(matches!(&hop.to, HopTarget::OneOf(at) if at[0].to_string() == "10.0.0.21:15008"), "{hop:?}");
    mesh.rule("amb/b", "b.amb.svc.cluster.local", ClientTlsMode::Disable);
    assert_eq!(mesh.reason("app/client", "10.96.0.7:80", http("b.amb")), Reason::AmbientPolicyDenied);
}
