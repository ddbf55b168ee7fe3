//! Sections 5 to 8, row by row: for each reason, and for each cause that it can have, a mesh where the walk ends just
//! there. What only the wire shows is in `tests/flow/rows.rs`.

use crate::mesh::*;
use std::collections::BTreeSet;
use tracer_engine::mesh::facts::*;
use tracer_engine::net::Ktime;
use tracer_engine::verdict::{Cause, Reason, rows};
use tracer_engine::walk::outcome::{Call, Outcome, Sends};
use tracer_engine::walk::walk;

/// Reasons, and with the second also a cause, that no configuration foresees.
const OBSERVED: [(Reason, Option<Cause>); 11] = [
    (Reason::NoPayload, None),
    (Reason::AuthorizationDenied, None),
    (Reason::AppNotListening, None),
    (Reason::TimedOut, None),
    (Reason::Unreachable, None),
    (Reason::Abandoned, None),
    (Reason::Abandoned, Some(Cause::NoLocalPort)),
    (Reason::Dropped, None),
    (Reason::AppMtls, None),
    (Reason::FactsContradictEvidence, None),
    (Reason::Refused, None),
];

const POD: &str = "10.0.0.2:9000";
const IP: &str = "10.0.0.2";

type Row = (Reason, Option<Cause>, fn() -> Vec<Outcome>);

/// `app/client` calls, in the mesh of most tests with this on top.
fn ask(change: impl FnOnce(&mut Mesh), to: &str, sends: Sends) -> Vec<Outcome> {
    ask_by("app/client", change, to, sends)
}

fn ask_by(from: &str, change: impl FnOnce(&mut Mesh), to: &str, sends: Sends) -> Vec<Outcome> {
    let mut mesh = Mesh::strict();
    change(&mut mesh);
    mesh.ask(from, to, sends)
}

fn headless(name: &'static str) -> impl Fn(&mut Mesh) {
    move |mesh| {
        mesh.headless("app/db", &[(name, 9000)], &["app/db-0"]);
    }
}

fn open(mesh: &mut Mesh) {
    mesh.peer("istio-system", MtlsMode::Permissive);
}

/// Somebody's HTTP port of this number makes the shared listener.
fn others_http(mesh: &mut Mesh) {
    mesh.vip("other/any", "10.96.0.9", &[("http", 9000)], &[]);
}

/// The proxy's own uid.
fn by_the_proxy(change: impl FnOnce(&mut Mesh)) -> Vec<Outcome> {
    let mut mesh = Mesh::strict();
    change(&mut mesh);
    walk(&mesh.index, &Call { uid: Some(1337), ..call("app/client", POD, Sends::Other) }, Ktime(2))
}

fn hidden(mesh: &mut Mesh) {
    mesh.pod("data/db-0", "10.0.0.3");
    mesh.service("data/db", ServiceKind::Headless, &[("tcp", 9000)], &["data/db-0"], |service| {
        service.export_to = Some(ExportTo::OwnNamespace);
    });
}

/// A pod that was told of a moment ago.
fn new_pod(mesh: &mut Mesh) {
    mesh.index.apply(Ktime(1), &Delta::Synced(Kind::Pod));
    mesh.pod("app/new-0", "10.0.0.4").headless("app/new", &[("x", 9000)], &["app/new-0"]);
}

/// What the proxy does that knows it already is another end.
fn not_told(outcomes: Vec<Outcome>) -> Vec<Outcome> {
    let all = outcomes.len();
    let left: Vec<_> = outcomes.into_iter().filter(|o| o.causes.contains(&Cause::EndpointTooNew)).collect();
    assert!(!left.is_empty() && left.len() < all, "both ends are open");
    left
}

fn rule(mesh: &mut Mesh, mode: ClientTlsMode) {
    headless("tcp")(mesh);
    mesh.rule("app/db", "db", mode);
}

fn entry_none(mesh: &mut Mesh) {
    mesh.entry("app/none", (9000, "TCP"), |entry| (entry.resolution, entry.endpoints) = (Resolution::None, Vec::new()));
}

/// Two ambient pods and a Service over the second.
fn ambient(mesh: &mut Mesh) {
    mesh.ambient("amb/a-0", "10.0.0.20").ambient("amb/b-0", "10.0.0.21");
    mesh.headless("amb/b", &[("tcp", 9000)], &["amb/b-0"]);
}

/// Every row that a configuration can lead to.
#[rustfmt::skip]
const ROWS: &[Row] = {
    use Cause as C;
    use Reason as R;
    &[
        (R::AnyHost, None, || ask(headless("x"), POD, http("whatever"))),
        (R::HostMatched, None, || ask(headless("http"), POD, http("db-0.db.app"))),
        (R::HostBalanced, None, || ask(|m| { m.vip("app/web", "10.96.0.1", &[("http", 9000)], &["app/db-0"]); }, POD, http("web"))),
        (R::ServiceVip, None, || ask(|m| { m.vip("app/web", "10.96.0.1", &[("http", 80, 8080)], &["app/db-0"]); }, "10.96.0.1:80", http("web"))),
        (R::ServiceEntryTakeover, None, || ask(|m| { m.entry("app/out", (9000, "TCP"), |_| {}); }, POD, Sends::Other)),
        (R::HeadlessTcp, None, || ask(headless("tcp"), POD, Sends::Nothing)),
        (R::ServiceVipTcp, None, || ask(|m| { m.vip("app/web", "10.96.0.1", &[("x", 80)], &["app/db-0"]); }, "10.96.0.1:80", Sends::Other)),
        (R::VirtualServiceTcp, None, || ask(|m| {
            m.pod("app/r-0", "10.0.0.5").headless("app/r", &[("tcp", 9000)], &["app/r-0"]);
            headless("tcp")(m);
            m.virtual_service("app/db", &["db"], |v| v.tcp = vec![L4Route { matches: vec![], route: vec![to("r", Some(9000))] }]);
        }, "10.0.0.2:9000", Sends::Other)),
        (R::AmbientHbone, None, || ask_by("amb/a-0", ambient, "10.0.0.21:7777", Sends::Other)),

        (R::PlaintextToStrict, None, || ask(|m| { m.headless("app/none", &[("http", 9000)], &[]); }, POD, http("none"))),
        (R::PlaintextToStrict, Some(C::ProxyUid), || by_the_proxy(|_| {})),
        (R::PlaintextToStrict, Some(C::SourcePortExcluded), || ask(|m| { m.capture("app/client", |c| c.exclude_outbound_ports.push(9000)); }, POD, Sends::Other)),
        (R::PlaintextToStrict, Some(C::SourceRangeExcluded), || ask(|m| { m.capture("app/client", |c| c.include_outbound_ranges = Selection::Only(vec![])); }, POD, Sends::Other)),
        (R::PlaintextToStrict, Some(C::SourceNotInMesh), || ask_by("legacy/plain", |_| {}, POD, Sends::Other)),
        (R::PlaintextToStrict, Some(C::WorkloadPolicyIgnoredByClient), || ask(|m| {
            headless("tcp")(m);
            m.peer("app", MtlsMode::Disable).peer_for("app/own", Some("db"), MtlsMode::Strict, &[]);
        }, POD, Sends::Other)),
        (R::PlaintextToStrict, Some(C::DestinationRuleDisable), || ask(|m| rule(m, ClientTlsMode::Disable), POD, Sends::Other)),
        (R::PlaintextToStrict, Some(C::AutoMtlsOff), || ask(|m| { headless("tcp")(m); m.config(|c| c.auto_mtls = false); }, POD, Sends::Other)),
        (R::PlaintextToStrict, Some(C::ServiceEntryNone), || ask(entry_none, POD, Sends::Other)),
        (R::PlaintextToStrict, Some(C::MixedHeadlessEndpoints), || ask(|m| {
            m.plain("app/db-1", "10.0.0.3").headless("app/db", &[("tcp", 9000)], &["app/db-0", "app/db-1"]);
        }, POD, Sends::Other)),
        (R::PlaintextToStrict, Some(C::EndpointWithoutLabel), || ask(|m| {
            m.pod_with("app/db-0", IP, |p| p.tls_mode_istio = false).vip("app/web", "10.96.0.1", &[("http", 80)], &["app/db-0"]);
        }, "10.96.0.1:80", http("web"))),
        (R::PlaintextToStrict, Some(C::NonHttpOnHttpNamedPort), || ask(headless("http"), POD, Sends::Other)),
        (R::PlaintextToStrict, Some(C::HttpNamedHeadlessPort), || ask(headless("http"), POD, http(IP))),
        (R::PlaintextToStrict, Some(C::TargetPortDialled), || ask(|m| { m.headless("app/db", &[("tcp", 80, 9000)], &["app/db-0"]); }, POD, Sends::Other)),
        (R::PlaintextToStrict, Some(C::ServiceNotVisible), || ask(hidden, "10.0.0.3:9000", Sends::Other)),
        (R::PlaintextToStrict, Some(C::HostIsPodIp), || ask(others_http, POD, http(IP))),
        (R::PlaintextToStrict, Some(C::HostUnknown), || ask(others_http, POD, http("x"))),
        (R::PlaintextToStrict, Some(C::PortUndeclared), || ask(|_| {}, POD, Sends::Other)),
        (R::PlaintextToStrict, Some(C::AmbientToSidecar), || ask_by("amb/a-0", ambient, POD, Sends::Other)),
        (R::PlaintextToStrict, Some(C::EndpointTooNew), || not_told(ask(new_pod, "10.0.0.4:9000", Sends::Other))),

        (R::TlsWithoutMeshCertificate, Some(C::AppTls), || ask(|_| {}, POD, hello("a"))),
        (R::TlsWithoutMeshCertificate, Some(C::DestinationRule), || ask(|m| rule(m, ClientTlsMode::Simple), POD, Sends::Other)),
        (R::TlsToHttpPort, None, || ask(|m| { headless("http")(m); open(m); }, POD, hello("a"))),
        (R::NotHttpOnHttpPort, Some(C::InvalidRequest), || ask(headless("http"), POD, http("a b"))),
        (R::NotHttpOnHttpPort, None, || ask(|m| { headless("http")(m); open(m); }, POD, Sends::Other)),
        (R::IdentityMismatch, None, || ask(|m| {
            m.pod_with("app/other-0", "10.0.0.5", |p| p.service_account = "other".into()).headless("app/other", &[("http", 9000)], &["app/other-0"]);
        }, POD, http("other"))),
        (R::MtlsNotTerminated, None, || ask(|m| {
            m.plain("app/db-1", "10.0.0.3").headless("app/db", &[("http", 9000)], &["app/db-0"]);
        }, "10.0.0.3:9000", http("db"))),
        (R::MtlsNotTerminated, Some(C::WorkloadPolicyIgnoredByClient), || ask(|m| { headless("tcp")(m); m.peer_for("app/own", Some("db"), MtlsMode::Disable, &[]); }, POD, Sends::Other)),
        (R::MtlsNotTerminated, Some(C::InboundPortExcluded), || ask(|m| { headless("tcp")(m); m.capture("app/db-0", |c| c.exclude_inbound_ports.push(9000)); }, POD, Sends::Other)),
        (R::MtlsNotTerminated, Some(C::LabelWithoutSidecar), || ask(|m| {
            m.pod_with("app/db-0", IP, |p| p.enrolment = Enrolment::None.into());
            headless("tcp")(m);
        }, POD, Sends::Other)),
        (R::MtlsNotTerminated, Some(C::DestinationRule), || ask(|m| {
            m.headless("legacy/plain", &[("tcp", 9000)], &["legacy/plain"]).rule("app/plain", "plain.legacy.svc.cluster.local", ClientTlsMode::IstioMutual);
        }, "10.0.0.9:9000", Sends::Other)),

        (R::NoVirtualHost, Some(C::HttpNamedHeadlessPort), || ask(|m| { headless("http")(m); m.registry_only(); }, POD, http(IP))),
        (R::NoVirtualHost, Some(C::TargetPortDialled), || ask(|m| {
            others_http(m);
            m.headless("app/db", &[("tcp", 80, 9000)], &["app/db-0"]).registry_only();
        }, POD, http("x"))),
        (R::NoVirtualHost, Some(C::ServiceNotVisible), || ask(|m| { hidden(m); others_http(m); m.registry_only(); }, "10.0.0.3:9000", http("x"))),
        (R::NoVirtualHost, Some(C::HostIsPodIp), || ask(|m| { others_http(m); m.registry_only(); }, POD, http(IP))),
        (R::NoVirtualHost, Some(C::HostUnknown), || ask(|m| { others_http(m); m.registry_only(); }, POD, http("x"))),
        (R::NoVirtualHost, Some(C::EndpointTooNew), || not_told(ask(|m| { new_pod(m); others_http(m); m.registry_only(); }, "10.0.0.4:9000", http("x")))),
        (R::NoRoute, None, || ask(|m| {
            headless("x")(m);
            m.virtual_service("app/db", &["db"], |v| {
                let never = HttpMatch { uri: Some(StringMatch::Exact("/never".into())), ..HttpMatch::default() };
                v.http = vec![HttpRoute { matches: vec![never], ..route(to("db", None)) }];
            });
        }, POD, http("x"))),
        (R::NoHealthyUpstream, None, || ask(|m| { m.vip("app/web", "10.96.0.1", &[("http", 80)], &[]); }, "10.96.0.1:80", http("web"))),
        (R::Blackhole, Some(C::NonHttpOnHttpNamedPort), || ask(|m| { headless("http")(m); m.registry_only(); }, POD, Sends::Other)),
        (R::Blackhole, Some(C::TargetPortDialled), || ask(|m| { m.headless("app/db", &[("tcp", 80, 9000)], &["app/db-0"]).registry_only(); }, POD, Sends::Other)),
        (R::Blackhole, Some(C::ServiceNotVisible), || ask(|m| { hidden(m); m.registry_only(); }, "10.0.0.3:9000", Sends::Other)),
        (R::Blackhole, Some(C::PortUndeclared), || ask(|m| { m.registry_only(); }, POD, Sends::Other)),
        (R::Blackhole, Some(C::EndpointTooNew), || not_told(ask(|m| { new_pod(m); m.registry_only(); }, "10.0.0.4:9000", Sends::Other))),

        (R::ServerFirstStall, Some(C::SourceSniffs), || ask(headless("x"), POD, Sends::Nothing)),
        (R::ServerFirstStall, Some(C::DestinationSniffs), || ask(|_| {}, POD, Sends::Nothing)),
        (R::ServerFirstStall, Some(C::HttpCodec), || ask_by("legacy/plain", |m| { headless("http")(m); m.peer("istio-system", MtlsMode::Disable); }, POD, Sends::Nothing)),
        (R::AmbientPolicyDenied, None, || ask(ambient, "10.0.0.21:7777", Sends::Other)),
        (R::AmbientPolicyDenied, Some(C::SourceNotInMesh), || ask_by("legacy/plain", ambient, "10.0.0.21:9000", Sends::Other)),
        (R::AmbientPolicyDenied, Some(C::SidecarToAmbient), || ask(ambient, "10.0.0.21:9000", Sends::Other)),
        (R::StalePodIp, None, || ask(|m| { m.pod_with("app/old", "10.0.0.7", |p| p.gone = true); }, "10.0.0.7:9000", Sends::Other)),

        (R::Passthrough, Some(C::ServiceEntryNone), || ask(|m| { entry_none(m); open(m); }, POD, Sends::Other)),
        (R::Passthrough, Some(C::NonHttpOnHttpNamedPort), || ask(|m| { others_http(m); open(m); }, POD, Sends::Other)),
        (R::Passthrough, Some(C::HttpNamedHeadlessPort), || ask(|m| { headless("http")(m); open(m); }, POD, http(IP))),
        (R::Passthrough, Some(C::TargetPortDialled), || ask(|m| { m.headless("app/db", &[("tcp", 80, 9000)], &["app/db-0"]); open(m); }, POD, Sends::Other)),
        (R::Passthrough, Some(C::ServiceNotVisible), || ask(|m| { hidden(m); open(m); }, "10.0.0.3:9000", Sends::Other)),
        (R::Passthrough, Some(C::HostIsPodIp), || ask(|m| { others_http(m); open(m); }, POD, http(IP))),
        (R::Passthrough, Some(C::HostUnknown), || ask(|m| { others_http(m); open(m); }, POD, http("x"))),
        (R::Passthrough, Some(C::PortUndeclared), || ask(open, POD, Sends::Other)),
        (R::Passthrough, Some(C::AmbientToSidecar), || ask_by("amb/a-0", |m| { ambient(m); open(m); }, POD, Sends::Other)),
        (R::Passthrough, Some(C::EndpointTooNew), || not_told(ask(|m| { new_pod(m); open(m); }, "10.0.0.4:9000", Sends::Other))),
        (R::SourceUncaptured, Some(C::ProxyUid), || by_the_proxy(open)),
        (R::SourceUncaptured, Some(C::SourcePortExcluded), || ask(|m| { open(m); m.capture("app/client", |c| c.exclude_outbound_ports.push(9000)); }, POD, Sends::Other)),
        (R::SourceUncaptured, Some(C::SourceRangeExcluded), || ask(|m| { open(m); m.capture("app/client", |c| c.exclude_outbound_ranges.push("10.0.0.0/8".parse().expect("a range"))); }, POD, Sends::Other)),
        (R::SourceUncaptured, Some(C::SourceNotInMesh), || ask_by("legacy/plain", open, POD, Sends::Other)),
        (R::Own, None, || ask(|_| {}, "10.0.0.1:9000", Sends::Other)),
        (R::NotInMesh, None, || ask_by("legacy/plain", |m| { m.plain("legacy/other", "10.0.0.10"); }, "10.0.0.10:9000", Sends::Other)),
    ]
};

#[test]
fn each_row_is_where_its_mesh_leads() {
    for (reason, cause, outcomes) in ROWS {
        let outcomes = outcomes();
        assert!(!outcomes.is_empty(), "{reason} {cause:?}");
        for outcome in outcomes {
            let found = (outcome.reason, outcome.causes.first().copied());
            let generic = cause.is_none() && outcome.reason == *reason;
            assert!(found == (*reason, *cause) || generic, "{reason} {cause:?}: {found:?} {:?}", outcome.causes);
        }
    }
}

#[test]
fn no_row_is_left_out() {
    let covered: BTreeSet<(Reason, Option<Cause>)> =
        ROWS.iter().map(|(reason, cause, _)| (*reason, *cause)).chain(OBSERVED).collect();
    for (reason, cause, _) in rows() {
        // A reason that always has a cause is covered by its causes.
        let by_cause = cause.is_none() && covered.iter().any(|(own, _)| *own == reason);
        assert!(covered.contains(&(reason, cause)) || by_cause, "{reason} {cause:?} has no scenario");
    }
    for (reason, cause) in covered {
        assert!(cause.is_none() || rows().any(|(r, c, _)| (r, c) == (reason, cause)), "{reason} {cause:?} has no text");
    }
}
