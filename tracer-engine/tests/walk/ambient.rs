//! Section 8, ambient. No truth covers it: every answer bears the caveat.

use crate::mesh::{Mesh, hello, http};
use tracer_engine::mesh::facts::MtlsMode;
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
    mesh.pod_with("app/db-0", "10.0.0.2", |pod| pod.hbone = true);
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
