//! Each kind of row of the `basic`, `strict` and `registry-only` meshes that the demo does not have. Those where nobody
//! answers are in `unanswered`.

use crate::cluster::Cluster;
use crate::lab::{A_WHILE, Lab, check, endpoint};
use crate::wire::{By, Conn, says};
use std::time::Duration;
use tracer_engine::mesh::facts::MtlsMode;
use tracer_engine::socket::{Payload, ResponseBody};

pub(crate) const CLIENT: &str = "shop/client";
pub(crate) const NOMESH: &str = "shop/nomesh";
pub(crate) const DB: &str = "data/db-0";
pub(crate) const DB_HOST: &str = "db.data.svc.cluster.local";

fn mesh() -> Cluster {
    let db = [("db-0", "10.244.1.20"), ("db-1", "10.244.1.21")];
    Cluster::new(&["istio-system", "shop", "data"])
        .sidecar(CLIENT, "10.244.1.10")
        .plain(NOMESH, "10.244.1.11")
        .sidecar(DB, "10.244.1.20")
        .sidecar("data/db-1", "10.244.1.21")
        .sidecar("data/web-0", "10.244.1.30")
        .sidecar("data/web-1", "10.244.1.31")
        .sidecar("data/mix-0", "10.244.1.40")
        .plain("data/mix-1", "10.244.1.41")
        .sidecar("data/srv-0", "10.244.1.50")
        .gone("data/old-job", "10.244.1.98")
        .headless(
            "data/db",
            &db,
            &[
                ("transport", 9300, 9300),
                ("misc", 9301, 9301),
                ("http-api", 9200, 9200),
                ("tcp-repl", 9400, 9400),
                ("http-tp", 7000, 7001),
                ("tcp-off", 9800, 9800),
                ("secure", 9444, 9444),
            ],
        )
        .vip(
            "data/web",
            "10.96.0.10",
            &[("web-0", "10.244.1.30"), ("web-1", "10.244.1.31")],
            &[("http", 80, 8080), ("tcp-x", 81, 8081), ("misc", 82, 8082), ("odd", 83, 8083)],
        )
        .headless(
            "data/mix",
            &[("mix-0", "10.244.1.40"), ("mix-1", "10.244.1.41")],
            &[("transport", 9700, 9700), ("tcp-x", 9702, 9702)],
        )
        .headless("data/srv", &[("srv-0", "10.244.1.50")], &[("mail", 2525, 2525), ("tcp-mail", 2626, 2626)])
}

pub(crate) fn basic() -> Lab {
    Lab::new(mesh())
}

pub(crate) fn strict() -> Lab {
    Lab::new(mesh().mtls(MtlsMode::Strict))
}

fn registry_only() -> Lab {
    Lab::new(mesh().registry_only())
}

/// Closes what is still open, from the application on.
pub(crate) fn hang_up(lab: &mut Lab, conns: &[&Conn]) {
    for conn in conns {
        lab.wire.fin(conn, By::Client);
    }
}

/// A captured connection that goes out as it came and gets an answer.
fn passed_through(lab: &mut Lab, to: &str, at: &str, port: u16, sends: &Payload, answers: &Payload) {
    let mut app = lab.captured(CLIENT, to);
    let mut up = lab.upstream(CLIENT, to, at);
    lab.relay(&mut [&mut app, &mut up], By::Client, sends);
    let mut local = lab.local(at, port);
    lab.wire.says(&mut local, By::Client, sends);
    lab.relay(&mut [&mut local, &mut up, &mut app], By::Server, answers);
    hang_up(lab, &[&app, &up, &local]);
}

#[test]
fn an_undeclared_port_passes_through() {
    let mut lab = basic();
    passed_through(&mut lab, "10.244.1.20:9600", DB, 9600, &says::OTHER, &says::OTHER);
    check(&lab, CLIENT, DB, ["unmeshed", "passthrough", "port-undeclared", "none"]);
}

#[test]
fn own_tls_passes_through_as_such() {
    let mut lab = basic();
    passed_through(&mut lab, "10.244.1.20:9601", DB, 9601, &says::tls("app.internal"), &says::SERVER_HELLO);
    check(&lab, CLIENT, DB, ["unmeshed", "passthrough", "port-undeclared", "app-tls"]);
}

#[test]
fn own_tls_inside_mesh_tls() {
    let mut lab = basic();
    let mut app = lab.captured(CLIENT, "10.244.1.20:9444");
    lab.wire.says(&mut app, By::Client, &says::tls("app.internal"));
    let mut up = lab.upstream(CLIENT, "10.244.1.20:9444", DB);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls(DB_HOST, 9444));
    let mut local = lab.local(DB, 9444);
    lab.wire.says(&mut up, By::Server, &says::SERVER_HELLO);
    lab.wire.says(&mut local, By::Client, &says::tls("app.internal"));
    lab.relay(&mut [&mut local, &mut app], By::Server, &says::SERVER_HELLO);
    hang_up(&mut lab, &[&app, &up, &local]);
    check(&lab, CLIENT, DB, ["opaque-tcp", "headless-tcp", "", "mutual-tls"]);
}

#[test]
fn own_tls_to_strict_is_answered_and_refused() {
    let mut lab = strict();
    let mut app = lab.captured(CLIENT, "10.244.1.20:9601");
    let mut up = lab.upstream(CLIENT, "10.244.1.20:9601", DB);
    lab.relay(&mut [&mut app, &mut up], By::Client, &says::tls("app.internal"));
    let local = lab.local(DB, 9601);
    lab.relay(&mut [&mut up, &mut app], By::Server, &says::SERVER_HELLO);
    lab.wire.pass(Duration::from_millis(2));
    lab.wire.fin(&local, By::Client);
    lab.wire.fin(&up, By::Server);
    lab.wire.fin(&app, By::Server);
    check(&lab, CLIENT, DB, ["rejected", "tls-without-mesh-certificate", "app-tls", "app-tls"]);
}

#[test]
fn own_tls_to_an_http_port_has_no_filter_chain() {
    let mut lab = basic();
    let mut app = lab.dial(NOMESH, "10.244.1.20:9200");
    lab.arrive(&mut app, DB);
    lab.wire.says(&mut app, By::Client, &says::tls("app.internal"));
    lab.wire.reset(&app, By::Server);
    check(&lab, NOMESH, DB, ["rejected", "tls-to-http-port", "", "app-tls"]);
}

#[test]
fn other_bytes_to_an_http_port_die_in_the_codec() {
    let mut lab = basic();
    let mut app = lab.captured(CLIENT, "10.244.1.20:9200");
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    let mut up = lab.upstream(CLIENT, "10.244.1.20:9200", DB);
    lab.wire.says(&mut up, By::Client, &says::OTHER);
    lab.relay(&mut [&mut up, &mut app], By::Server, &says::response(400, Some(false), None));
    lab.wire.fin(&up, By::Server);
    lab.wire.fin(&app, By::Server);
    check(&lab, CLIENT, DB, ["rejected", "not-http-on-http-port", "", "none"]);
}

#[test]
fn a_vip_with_an_unknown_host_passes_through_to_kube_proxy() {
    let mut lab = basic();
    let mut app = lab.captured(CLIENT, "10.96.0.10:80");
    lab.wire.says(&mut app, By::Client, &says::http("whatever.example"));
    let proxy = lab.proxy(CLIENT, 0);
    let mut up = lab.wire.dial(proxy, endpoint("10.96.0.10:80"));
    lab.arrive(&mut up, "data/web-1");
    lab.wire.says(&mut up, By::Client, &says::http("whatever.example"));
    let mut local = lab.local("data/web-1", 8080);
    lab.wire.says(&mut local, By::Client, &says::http("whatever.example"));
    lab.relay(&mut [&mut local, &mut up, &mut app], By::Server, &says::answer(200));
    hang_up(&mut lab, &[&app]);
    check(&lab, CLIENT, "data/web-1", ["unmeshed", "passthrough", "host-unknown", "none"]);
}

#[test]
fn a_vip_by_tcp() {
    let mut lab = basic();
    let mut app = lab.captured(CLIENT, "10.96.0.10:81");
    let mut up = lab.upstream(CLIENT, "10.244.1.31:8081", "data/web-1");
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls("web.data.svc.cluster.local", 81));
    let mut local = lab.local("data/web-1", 8081);
    lab.wire.says(&mut up, By::Server, &says::SERVER_HELLO);
    lab.wire.says(&mut local, By::Client, &says::OTHER);
    lab.relay(&mut [&mut local, &mut app], By::Server, &says::OTHER);
    hang_up(&mut lab, &[&app, &up, &local]);
    check(&lab, CLIENT, "data/web-1", ["opaque-tcp", "service-vip-tcp", "", "mutual-tls"]);
}

#[test]
fn a_headless_service_with_one_plain_endpoint_is_dialled_in_plaintext() {
    let mut lab = basic();
    passed_through(&mut lab, "10.244.1.40:9702", "data/mix-0", 9702, &says::OTHER, &says::OTHER);
    check(&lab, CLIENT, "data/mix-0", ["opaque-tcp", "headless-tcp", "", "none"]);
}

#[test]
fn and_refused_by_strict() {
    let mut lab = strict();
    let mut app = lab.captured(CLIENT, "10.244.1.40:9702");
    let mut up = lab.upstream(CLIENT, "10.244.1.40:9702", "data/mix-0");
    lab.relay(&mut [&mut app, &mut up], By::Client, &says::OTHER);
    lab.wire.reset(&up, By::Server);
    lab.wire.reset(&app, By::Server);
    check(&lab, CLIENT, "data/mix-0", ["rejected", "plaintext-to-strict", "mixed-headless-endpoints", "none"]);
}

#[test]
fn a_server_that_speaks_first_on_a_tcp_port_works() {
    let mut lab = basic();
    let mut app = lab.captured(CLIENT, "10.244.1.50:2626");
    let mut up = lab.upstream(CLIENT, "10.244.1.50:2626", "data/srv-0");
    lab.wire.says(&mut up, By::Client, &says::mesh_tls("srv.data.svc.cluster.local", 2626));
    let mut local = lab.local("data/srv-0", 2626);
    lab.wire.says(&mut up, By::Server, &says::SERVER_HELLO);
    lab.relay(&mut [&mut local, &mut app], By::Server, &says::OTHER);
    lab.wire.pass(A_WHILE);
    hang_up(&mut lab, &[&app, &up, &local]);
    check(&lab, CLIENT, "data/srv-0", ["opaque-tcp", "headless-tcp", "", "mutual-tls"]);
}

#[test]
fn a_pod_dials_itself() {
    let mut lab = basic();
    let mut app = lab.dial(CLIENT, "10.244.1.10:8080");
    let (process, from) = (lab.app(CLIENT), app.client.local);
    lab.wire.accept(&mut app, process, endpoint("10.244.1.10:8080"), from);
    lab.wire.says(&mut app, By::Client, &says::http("10.244.1.10:8080"));
    lab.wire.says(&mut app, By::Server, &says::bare_answer(200));
    hang_up(&mut lab, &[&app]);
    check(&lab, CLIENT, CLIENT, ["unmeshed", "self", "", ""]);
}

#[test]
fn an_application_with_the_proxys_uid_is_not_captured() {
    let mut lab = basic();
    let process = crate::wire::Process { uid: 1337, ..lab.app(CLIENT) };
    let mut app = lab.wire.dial(process, endpoint("10.244.1.20:9300"));
    lab.arrive(&mut app, DB);
    lab.wire.says(&mut app, By::Client, &says::http("10.244.1.20:9300"));
    let mut local = lab.local(DB, 9300);
    lab.wire.says(&mut local, By::Client, &says::http("10.244.1.20:9300"));
    lab.wire.says(&mut local, By::Server, &says::bare_answer(200));
    lab.wire.says(&mut app, By::Server, &says::answer(200));
    hang_up(&mut lab, &[&app]);
    check(&lab, CLIENT, DB, ["unmeshed", "source-uncaptured", "proxy-uid", "none"]);
}

#[test]
fn a_plain_pod_calls_into_the_mesh() {
    let mut lab = basic();
    let mut app = lab.dial(NOMESH, "10.244.1.20:9400");
    lab.arrive(&mut app, DB);
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    let mut local = lab.local(DB, 9400);
    lab.wire.says(&mut local, By::Client, &says::OTHER);
    lab.relay(&mut [&mut local, &mut app], By::Server, &says::OTHER);
    hang_up(&mut lab, &[&app, &local]);
    check(&lab, NOMESH, DB, ["unmeshed", "source-uncaptured", "source-not-in-mesh", "none"]);
}

#[test]
fn an_application_with_a_mesh_certificate_of_its_own() {
    for lab in [basic(), strict()] {
        let mut lab = lab;
        let mut app = lab.dial(NOMESH, "10.244.1.20:9400");
        lab.arrive(&mut app, DB);
        lab.wire.says(&mut app, By::Client, &says::mesh_tls(DB_HOST, 9400));
        let mut local = lab.local(DB, 9400);
        lab.wire.says(&mut app, By::Server, &says::SERVER_HELLO);
        lab.wire.says(&mut local, By::Client, &says::OTHER);
        lab.wire.says(&mut local, By::Server, &says::OTHER);
        lab.wire.says(&mut app, By::Server, &says::OTHER);
        lab.wire.pass(Duration::from_millis(100));
        hang_up(&mut lab, &[&app, &local]);
        check(&lab, NOMESH, DB, ["unmeshed", "app-mtls", "", ""]);
    }
}

#[test]
fn who_closes_first_says_nothing_of_a_certificate() {
    let mut lab = strict();
    let mut app = lab.dial(NOMESH, "10.244.1.20:9200");
    lab.arrive(&mut app, DB);
    lab.wire.says(&mut app, By::Client, &says::mesh_tls(DB_HOST, 9200));
    lab.wire.says(&mut app, By::Server, &says::SERVER_HELLO);
    lab.wire.says(&mut app, By::Server, &says::OTHER);
    lab.wire.fin(&app, By::Server);
    check(&lab, NOMESH, DB, ["unmeshed", "app-mtls", "", ""]);
}

#[test]
fn a_mesh_hello_without_a_certificate_gets_no_more_than_an_alert() {
    let mut lab = strict();
    let mut app = lab.dial(NOMESH, "10.244.1.20:9200");
    lab.arrive(&mut app, DB);
    lab.wire.says(&mut app, By::Client, &says::mesh_tls(DB_HOST, 9200));
    lab.wire.says(&mut app, By::Server, &says::SERVER_HELLO);
    lab.wire.fin(&app, By::Server);
    check(&lab, NOMESH, DB, ["rejected", "tls-without-mesh-certificate", "app-tls", "app-tls"]);
}

#[test]
fn registry_only_closes_what_it_does_not_know() {
    let mut lab = registry_only();
    let mut app = lab.captured(CLIENT, "10.244.1.20:9600");
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    lab.wire.reset(&app, By::Server);
    check(&lab, CLIENT, CLIENT, ["rejected", "blackhole", "port-undeclared", ""]);
}

#[test]
fn registry_only_closes_a_silent_client_at_once() {
    let mut lab = registry_only();
    let app = lab.captured(CLIENT, "10.244.1.50:2727");
    lab.wire.fin(&app, By::Server);
    check(&lab, CLIENT, CLIENT, ["rejected", "blackhole", "", ""]);
}

#[test]
fn registry_only_answers_an_unknown_host_itself() {
    let mut lab = registry_only();
    let mut app = lab.captured(CLIENT, "10.244.1.20:9200");
    lab.wire.says(&mut app, By::Client, &says::http("10.244.1.20:9200"));
    lab.wire.says(&mut app, By::Server, &says::own_answer(502));
    hang_up(&mut lab, &[&app]);
    check(&lab, CLIENT, CLIENT, ["rejected", "no-virtual-host", "http-named-headless-port", ""]);
}

#[test]
fn an_applications_own_503_is_no_refusal() {
    let mut lab = basic();
    let mut app = lab.captured(CLIENT, "10.244.1.20:9200");
    lab.wire.says(&mut app, By::Client, &says::http("db.data:9200"));
    let mut up = lab.upstream(CLIENT, "10.244.1.20:9200", DB);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls(DB_HOST, 9200));
    lab.wire.says(&mut up, By::Server, &says::SERVER_HELLO);
    let mut local = lab.local(DB, 9200);
    lab.wire.says(&mut local, By::Client, &says::http("db.data:9200"));
    lab.wire.says(&mut local, By::Server, &says::bare_answer(503));
    lab.wire.says(&mut app, By::Server, &says::answer(503));
    hang_up(&mut lab, &[&app]);
    check(&lab, CLIENT, DB, ["mesh-routed", "host-matched", "", "mutual-tls"]);
}

#[test]
fn a_policy_denies_by_http() {
    let mut lab = Lab::new(mesh().authorization("data/deny"));
    let mut app = lab.captured(CLIENT, "10.244.1.20:9200");
    lab.wire.says(&mut app, By::Client, &says::http("db.data:9200"));
    let mut up = lab.upstream(CLIENT, "10.244.1.20:9200", DB);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls(DB_HOST, 9200));
    lab.wire.says(&mut up, By::Server, &says::SERVER_HELLO);
    lab.wire.says(&mut app, By::Server, &says::far_answer(403, ResponseBody::AccessDenied));
    hang_up(&mut lab, &[&app]);
    check(&lab, CLIENT, DB, ["rejected", "authorization-denied", "", "mutual-tls"]);
}
