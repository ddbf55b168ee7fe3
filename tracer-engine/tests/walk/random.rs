//! Meshes made at random: whatever the facts, what is sent lies among the candidates of what is not known, `explain`
//! ends as `walk` does, and every outcome agrees with itself.

use crate::mesh::{Mesh, PortOf, addr, app_label, call, hello, http, route, to};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use smallvec::smallvec;
use std::collections::BTreeSet;
use tracer_engine::mesh::facts::*;
use tracer_engine::net::Ktime;
use tracer_engine::verdict::{Class, Reason, Security};
use tracer_engine::walk::outcome::{ArrivalEnd, HopBytes, Outcome, Sends};
use tracer_engine::walk::{explain, walk};

const NAMESPACES: [&str; 3] = ["a", "b", "legacy"];
const NAMES: [&str; 9] = ["http", "grpc", "tcp", "tls", "mongo", "udp-x", "", "metrics", "https"];
const PORTS: [u16; 4] = [80, 3306, 9000, 9001];
const MODES: [MtlsMode; 4] = [MtlsMode::Unset, MtlsMode::Disable, MtlsMode::Permissive, MtlsMode::Strict];
const CLIENT_MODES: [ClientTlsMode; 4] =
    [ClientTlsMode::Disable, ClientTlsMode::Simple, ClientTlsMode::Mutual, ClientTlsMode::IstioMutual];

/// Numbers to build from: one for every choice.
fn build(choices: &[u8]) -> Mesh {
    let mut choices = choices.iter().copied().cycle();
    let mut pick = move |of: usize| usize::from(choices.next().unwrap_or_default()) % of;
    let mut mesh = Mesh::new();
    let mut pods = Vec::new();
    for n in 0..7 {
        let name = format!("{}/{}-{n}", NAMESPACES[pick(3)], ["x", "y"][n % 2]);
        let (kind, label, account) = (pick(6), pick(5) > 0, ["default", "other"][pick(2)]);
        mesh.pod_with(&name, &format!("10.0.0.{}", n + 1), |pod| {
            pod.enrolment = match kind {
                0 => Enrolment::None.into(),
                1 => Enrolment::Ambient.into(),
                _ => pod.enrolment.clone(),
            };
            pod.tls_mode_istio = label && kind > 1;
            pod.service_account = account.into();
        });
        pods.push(name);
    }
    for n in 0..5_u8 {
        let name = format!("{}/s{n}", NAMESPACES[pick(2)]);
        let kind = match pick(5) {
            0 => ServiceKind::ExternalName("s0.a.svc.cluster.local".into()),
            1 | 2 => ServiceKind::ClusterIp(smallvec![addr(&format!("10.96.0.{n}"))]),
            _ => ServiceKind::Headless,
        };
        let first = pick(4);
        let ports: Vec<PortOf> =
            (0..2).map(|p| PortOf(NAMES[pick(9)], PORTS[(first + p) % 4], PORTS[pick(4)])).collect();
        let of: Vec<&str> = pods.iter().filter(|_| pick(3) > 0).map(String::as_str).collect();
        let hidden = pick(6) == 0;
        mesh.service(&name, kind, &ports, &of, |service| {
            service.export_to = hidden.then_some(ExportTo::OwnNamespace);
        });
    }
    mesh.peer("istio-system", MODES[pick(4)]).peer("a", MODES[pick(4)]);
    mesh.peer_for("a/w", Some("x"), MODES[pick(4)], &[(PORTS[pick(4)], MODES[pick(4)])]);
    if pick(2) == 0 {
        mesh.registry_only();
    }
    if pick(2) == 0 {
        mesh.rule("a/r", ["*.local", "s1.a.svc.cluster.local"][pick(2)], CLIENT_MODES[pick(4)]);
    }
    if pick(2) == 0 {
        let (resolution, protocol) = ([Resolution::None, Resolution::Static][pick(2)], ["TCP", "HTTP", "TLS"][pick(3)]);
        mesh.entry("a/e", (PORTS[pick(4)], protocol), |entry| entry.resolution = resolution);
    }
    if pick(3) == 0 {
        let hosts = [["./*"], ["b/*"]][pick(2)].iter().map(|host| (*host).into()).collect();
        mesh.sidecar("a/sc", |sidecar| {
            sidecar.workload_selector = Some(app_label("x"));
            sidecar.egress = vec![EgressListener { port: None, bind: None, hosts }];
        });
    }
    if pick(2) == 0 {
        let (host, target) = (format!("s{}", pick(5)), format!("s{}", pick(5)));
        let port = [None, Some(PORTS[pick(4)])][pick(2)];
        mesh.virtual_service("a/v", &[&host, "v.example.com"], |service| {
            service.http = vec![route(to(&target, port))];
            service.tcp = vec![L4Route { matches: Vec::new(), route: vec![to(&target, port)] }];
        });
    }
    mesh
}

fn sent() -> Vec<Sends> {
    let hosts =
        ["10.0.0.3", "s0.a", "s1.b.svc.cluster.local", "v.example.com", "x.s2.a", "nobody.org", "e.ext", "10.96.0.1"];
    let other = [Sends::Nothing, Sends::Other, hello("e.ext"), hello("nobody.org")];
    hosts.iter().map(|host| http(host)).chain(other).collect()
}

fn reasons(outcomes: &[Outcome]) -> BTreeSet<Reason> {
    outcomes.iter().map(|outcome| outcome.reason).collect()
}

/// What must hold of any outcome, whatever it says.
fn agrees_with_itself(outcome: &Outcome) -> Result<(), TestCaseError> {
    let path = &outcome.path;
    let nobody_there = matches!(outcome.reason, Reason::StalePodIp | Reason::Refused);
    prop_assert_eq!(path.arrival.is_none(), path.hop.is_none() || nobody_there, "{:?}", outcome);
    let delivered = path.arrival.is_some_and(|arrival| arrival.end == ArrivalEnd::Delivered);
    prop_assert_eq!(delivered, outcome.reason.class() != Class::Rejected, "{:?}", outcome);
    let mesh_tls =
        path.hop.as_ref().is_some_and(|hop| matches!(hop.begins, HopBytes::MeshTls { .. } | HopBytes::Hbone));
    prop_assert_eq!(mesh_tls, outcome.security == Security::MutualTls, "{:?}", outcome);
    let asks_why = matches!(outcome.reason, Reason::PlaintextToStrict | Reason::Blackhole | Reason::ServerFirstStall);
    let routed = path.hop.as_ref().is_some_and(|hop| hop.cluster.is_some());
    prop_assert!(!asks_why || routed || !outcome.causes.is_empty(), "{:?}", outcome);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_is_among_the_candidates(choices in prop::collection::vec(any::<u8>(), 160), from in 0..7_usize) {
        let mesh = build(&choices);
        let from = NAMESPACES.iter().find_map(|namespace| {
            let name = format!("{namespace}/{}-{from}", ["x", "y"][from % 2]);
            mesh.index.pod(&crate::mesh::key(&name)).map(|_| name)
        }).expect("one namespace has it");
        for ip in ["10.0.0.1", "10.0.0.3", "10.0.0.4", "10.96.0.1", "10.7.7.7"] {
            for port in PORTS.into_iter().chain([7777]) {
                let dialled = format!("{ip}:{port}");
                let open = reasons(&mesh.ask(&from, &dialled, Sends::Unknown));
                for sends in sent() {
                    let asked = call(&from, &dialled, sends.clone());
                    let outcomes = walk(&mesh.index, &asked, Ktime(2));
                    prop_assert!(!outcomes.is_empty());
                    outcomes.iter().try_for_each(agrees_with_itself)?;
                    let explained: Vec<Reason> = explain(&mesh.index, &asked, Ktime(2)).iter().map(|o| o.reason).collect();
                    prop_assert_eq!(explained, outcomes.iter().map(|o| o.reason).collect::<Vec<_>>());
                    let closed = reasons(&outcomes);
                    prop_assert!(closed.is_subset(&open), "{} -> {} {:?}: {:?} is not in {:?}", from, dialled, sends, closed, open);
                }
            }
        }
    }
}
