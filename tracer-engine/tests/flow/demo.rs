//! The stories of the demo mesh, each as the source's node, the destination's and one that has both ends see it.

use crate::cluster::Cluster;
use crate::lab::{A_WHILE, Lab, check};
use crate::wire::{By, says};
use std::time::Duration;
use tracer_engine::mesh::facts::MtlsMode;
use tracer_engine::socket::{ConnectError, ResponseBody, Unreachable};

fn demo() -> Lab {
    let cluster = Cluster::new(&["istio-system", "monitoring", "search", "data", "shop"])
        .plain("monitoring/prometheus-0", "10.244.1.10")
        .sidecar("monitoring/prometheus-mesh-0", "10.244.1.11")
        .sidecar("search/es-0", "10.244.1.20")
        .sidecar("search/es-1", "10.244.1.21")
        .sidecar("data/etcd-0", "10.244.1.30")
        .sidecar("data/etcd-1", "10.244.1.31")
        .sidecar("data/redis-0", "10.244.1.40")
        .sidecar("data/redis-1", "10.244.1.41")
        .sidecar("data/connect-0", "10.244.1.50")
        .sidecar("data/connect-1", "10.244.1.51")
        .sidecar("data/mail-0", "10.244.1.60")
        .plain("data/legacy-0", "10.244.1.61")
        .sidecar("shop/web-0", "10.244.1.70")
        .sidecar("shop/web-1", "10.244.1.71")
        .sidecar("shop/cart-0", "10.244.1.72")
        .gone("shop/web-old", "10.244.1.98")
        .gone("shop/web-older", "10.244.1.99")
        .headless(
            "search/es",
            &[("es-0", "10.244.1.20"), ("es-1", "10.244.1.21")],
            &[("http", 9200, 9200), ("metrics", 9114, 9114), ("debug", 9999, 9999)],
        )
        .headless("data/etcd", &[("etcd-0", "10.244.1.30"), ("etcd-1", "10.244.1.31")], &[("http-peer", 2380, 2380)])
        .headless("data/redis", &[("redis-0", "10.244.1.40"), ("redis-1", "10.244.1.41")], &[("tcp-redis", 6379, 6379)])
        .headless(
            "data/connect",
            &[("connect-0", "10.244.1.50"), ("connect-1", "10.244.1.51")],
            &[("rest", 8083, 8083)],
        )
        .headless("data/mail", &[("mail-0", "10.244.1.60")], &[("intake", 2525, 2525)])
        .vip("shop/web", "10.96.0.70", &[("web-0", "10.244.1.70"), ("web-1", "10.244.1.71")], &[("http", 8080, 8080)])
        .mtls(MtlsMode::Strict);
    Lab::new(cluster)
}

const REFUSED_UNMESHED: [&str; 4] = ["rejected", "plaintext-to-strict", "source-not-in-mesh", "none"];

#[test]
fn prometheus_without_a_sidecar_is_refused_by_strict() {
    let mut lab = demo();
    let mut app = lab.dial("monitoring/prometheus-0", "10.244.1.20:9114");
    lab.arrive(&mut app, "search/es-0");
    lab.wire.says(&mut app, By::Client, &says::http("10.244.1.20:9114"));
    lab.wire.reset(&app, By::Server);
    check(&lab, "monitoring/prometheus-0", "search/es-0", REFUSED_UNMESHED);
}

/// An HTTP call that the source's proxy carries in mesh mTLS and the application answers.
fn http_through(lab: &mut Lab, from: &str, to: &str, at: (&str, &str, u16), host: &str, cluster: (&str, u16)) {
    let (pod, address, port) = at;
    let mut app = lab.captured(from, to);
    lab.wire.says(&mut app, By::Client, &says::http(host));
    let mut up = lab.upstream(from, address, pod);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls(cluster.0, cluster.1));
    lab.wire.says(&mut up, By::Server, &says::SERVER_HELLO);
    let mut local = lab.local(pod, port);
    lab.wire.says(&mut local, By::Client, &says::http(host));
    lab.wire.says(&mut local, By::Server, &says::bare_answer(200));
    lab.wire.says(&mut app, By::Server, &says::answer(200));
    lab.wire.pass(A_WHILE);
    lab.wire.fin(&app, By::Client);
}

#[test]
fn prometheus_with_a_sidecar_scrapes_a_declared_port_by_any_host() {
    let mut lab = demo();
    http_through(
        &mut lab,
        "monitoring/prometheus-mesh-0",
        "10.244.1.20:9114",
        ("search/es-0", "10.244.1.20:9114", 9114),
        "10.244.1.20:9114",
        ("es.search.svc.cluster.local", 9114),
    );
    let says = ["headless-fallback", "any-host", "", "mutual-tls"];
    check(&lab, "monitoring/prometheus-mesh-0", "search/es-0", says);
}

/// An HTTP call that passes through in plaintext and meets STRICT: the source's proxy tries, is reset, and says 503.
fn http_refused(lab: &mut Lab, from: &str, to: &str, at: &str, host: &str) {
    let mut app = lab.captured(from, to);
    lab.wire.says(&mut app, By::Client, &says::http(host));
    for _ in 0..3 {
        let mut up = lab.upstream(from, to, at);
        lab.wire.says(&mut up, By::Client, &says::http(host));
        lab.wire.reset(&up, By::Server);
    }
    lab.wire.says(&mut app, By::Server, &says::own_answer(503));
    lab.wire.pass(A_WHILE);
    lab.wire.fin(&app, By::Client);
}

#[test]
fn an_http_named_headless_port_dialled_by_ip_goes_out_in_plaintext() {
    let mut lab = demo();
    http_refused(&mut lab, "monitoring/prometheus-mesh-0", "10.244.1.21:9200", "search/es-1", "10.244.1.21:9200");
    let says = ["rejected", "plaintext-to-strict", "http-named-headless-port", "none"];
    check(&lab, "monitoring/prometheus-mesh-0", "search/es-1", says);
}

#[test]
fn elasticsearch_peers_on_an_undeclared_port_are_refused() {
    let mut lab = demo();
    let mut app = lab.captured("search/es-0", "10.244.1.21:9300");
    let mut up = lab.upstream("search/es-0", "10.244.1.21:9300", "search/es-1");
    lab.relay(&mut [&mut app, &mut up], By::Client, &says::OTHER);
    lab.wire.reset(&up, By::Server);
    lab.wire.reset(&app, By::Server);
    check(&lab, "search/es-0", "search/es-1", ["rejected", "plaintext-to-strict", "port-undeclared", "none"]);
}

#[test]
fn etcd_peers_by_pod_name_are_matched_by_host() {
    let mut lab = demo();
    http_through(
        &mut lab,
        "data/etcd-0",
        "10.244.1.31:2380",
        ("data/etcd-1", "10.244.1.31:2380", 2380),
        "etcd-1.etcd.data.svc.cluster.local:2380",
        ("etcd.data.svc.cluster.local", 2380),
    );
    check(&lab, "data/etcd-0", "data/etcd-1", ["mesh-routed", "host-matched", "", "mutual-tls"]);
}

#[test]
fn a_redis_replica_is_carried_as_tcp() {
    let mut lab = demo();
    let mut app = lab.captured("data/redis-1", "10.244.1.40:6379");
    let mut up = lab.upstream("data/redis-1", "10.244.1.40:6379", "data/redis-0");
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls("redis.data.svc.cluster.local", 6379));
    let mut local = lab.local("data/redis-0", 6379);
    lab.wire.says(&mut up, By::Server, &says::SERVER_HELLO);
    lab.wire.says(&mut local, By::Client, &says::OTHER);
    lab.relay(&mut [&mut local, &mut app], By::Server, &says::OTHER);
    lab.wire.fin(&app, By::Client);
    lab.wire.fin(&up, By::Client);
    lab.wire.fin(&local, By::Client);
    check(&lab, "data/redis-1", "data/redis-0", ["opaque-tcp", "headless-tcp", "", "mutual-tls"]);
}

#[test]
fn a_server_that_speaks_first_stalls_behind_a_sniffing_source() {
    let mut lab = demo();
    let app = lab.captured("shop/cart-0", "10.244.1.60:2525");
    lab.wire.pass(Duration::from_secs(6));
    lab.wire.fin(&app, By::Client);
    check(&lab, "shop/cart-0", "data/mail-0", ["rejected", "server-first-stall", "source-sniffs", ""]);
}

#[test]
fn a_service_dialled_by_a_pods_ip_is_balanced_all_the_same() {
    let mut lab = demo();
    http_through(
        &mut lab,
        "shop/cart-0",
        "10.244.1.70:8080",
        ("shop/web-1", "10.244.1.71:8080", 8080),
        "web.shop:8080",
        ("web.shop.svc.cluster.local", 8080),
    );
    check(&lab, "shop/cart-0", "shop/web-1", ["mesh-routed", "host-balanced", "", "mutual-tls"]);
}

#[test]
fn a_service_dialled_by_its_own_address() {
    let mut lab = demo();
    http_through(
        &mut lab,
        "shop/cart-0",
        "10.96.0.70:8080",
        ("shop/web-0", "10.244.1.70:8080", 8080),
        "web.shop:8080",
        ("web.shop.svc.cluster.local", 8080),
    );
    check(&lab, "shop/cart-0", "shop/web-0", ["mesh-routed", "service-vip", "", "mutual-tls"]);
}

#[test]
fn a_pooled_connection_leaves_the_call_without_legs() {
    let mut lab = demo();
    let mut app = lab.captured("shop/cart-0", "10.96.0.70:8080");
    lab.wire.says(&mut app, By::Client, &says::http("web.shop:8080"));
    lab.wire.pass(Duration::from_millis(3));
    lab.wire.says(&mut app, By::Server, &says::answer(200));
    lab.wire.fin(&app, By::Client);
    check(&lab, "shop/cart-0", "shop/web-0", ["mesh-routed", "service-vip", "", "mutual-tls"]);
}

#[test]
fn a_pods_ip_as_host_passes_through_and_is_refused() {
    let mut lab = demo();
    http_refused(&mut lab, "shop/cart-0", "10.244.1.70:8080", "shop/web-0", "10.244.1.70:8080");
    check(&lab, "shop/cart-0", "shop/web-0", ["rejected", "plaintext-to-strict", "host-is-pod-ip", "none"]);
}

#[test]
fn two_pods_outside_the_mesh() {
    let mut lab = demo();
    let mut app = lab.dial("monitoring/prometheus-0", "10.244.1.61:7000");
    lab.arrive(&mut app, "data/legacy-0");
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    lab.wire.says(&mut app, By::Server, &says::OTHER);
    lab.wire.fin(&app, By::Client);
    check(&lab, "monitoring/prometheus-0", "data/legacy-0", ["unmeshed", "not-in-mesh", "", "none"]);
}

#[test]
fn a_legacy_pod_is_passed_through_to() {
    let mut lab = demo();
    let mut app = lab.captured("shop/cart-0", "10.244.1.61:7000");
    let mut up = lab.upstream("shop/cart-0", "10.244.1.61:7000", "data/legacy-0");
    lab.relay(&mut [&mut app, &mut up], By::Client, &says::OTHER);
    lab.relay(&mut [&mut up, &mut app], By::Server, &says::OTHER);
    lab.wire.fin(&app, By::Client);
    lab.wire.fin(&up, By::Client);
    check(&lab, "shop/cart-0", "data/legacy-0", ["unmeshed", "passthrough", "port-undeclared", "none"]);
}

#[test]
fn a_port_that_nobody_listens_on_is_three_local_tries_and_one_flow() {
    let mut lab = demo();
    let mut app = lab.captured("monitoring/prometheus-mesh-0", "10.244.1.20:9999");
    lab.wire.says(&mut app, By::Client, &says::http("10.244.1.20:9999"));
    let mut up = lab.upstream("monitoring/prometheus-mesh-0", "10.244.1.20:9999", "search/es-0");
    lab.wire.says(&mut up, By::Client, &says::mesh_tls("es.search.svc.cluster.local", 9999));
    lab.wire.says(&mut up, By::Server, &says::SERVER_HELLO);
    for _ in 0..3 {
        lab.local_refused("search/es-0", 9999);
        lab.wire.pass(Duration::from_millis(15));
    }
    lab.wire.says(&mut app, By::Server, &says::far_answer(503, ResponseBody::UpstreamConnectionFailure));
    lab.wire.fin(&app, By::Client);
    check(&lab, "monitoring/prometheus-mesh-0", "search/es-0", ["rejected", "app-not-listening", "", "mutual-tls"]);
}

#[test]
fn a_pod_that_is_gone_behind_a_proxy() {
    let mut lab = demo();
    let mut app = lab.captured("shop/cart-0", "10.244.1.98:8080");
    lab.wire.says(&mut app, By::Client, &says::http("10.244.1.98:8080"));
    for _ in 0..3 {
        let proxy = lab.proxy("shop/cart-0", 0);
        let up = lab.wire.dial(proxy, crate::lab::endpoint("10.244.1.98:8080"));
        lab.wire.fails(&up, ConnectError::Unreachable(Unreachable::Host));
    }
    lab.wire.says(&mut app, By::Server, &says::own_answer(503));
    lab.wire.fin(&app, By::Client);
    check(&lab, "shop/cart-0", "shop/cart-0", ["rejected", "stale-pod-ip", "", ""]);
}

#[test]
fn a_pod_that_is_gone_and_a_client_that_gives_up() {
    let mut lab = demo();
    let app = lab.dial("monitoring/prometheus-0", "10.244.1.99:8080");
    lab.wire.pass(Duration::from_secs(1));
    lab.wire.retransmits(&app, 1);
    lab.wire.pass(Duration::from_millis(1500));
    lab.wire.fails(&app, ConnectError::Abandoned);
    check(&lab, "monitoring/prometheus-0", "monitoring/prometheus-0", ["rejected", "stale-pod-ip", "", ""]);
}
