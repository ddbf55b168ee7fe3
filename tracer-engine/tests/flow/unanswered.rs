//! Nobody says a word, nobody listens, or somebody gives up: in the meshes of `meshes`.

use crate::lab::{check, endpoint};
use crate::meshes::{CLIENT, DB, DB_HOST, NOMESH, basic, hang_up, strict};
use crate::wire::{By, says};
use std::time::Duration;
use tracer_engine::socket::ConnectError;

#[test]
fn a_silent_client_stalls_at_the_destination() {
    let mut lab = basic();
    let app = lab.captured(CLIENT, "10.244.1.50:2727");
    let up = lab.upstream(CLIENT, "10.244.1.50:2727", "data/srv-0");
    lab.wire.pass(Duration::from_secs(6));
    hang_up(&mut lab, &[&app, &up]);
    check(&lab, CLIENT, "data/srv-0", ["rejected", "server-first-stall", "destination-sniffs", "none"]);
}

#[test]
fn a_silent_client_from_outside_stalls_there_too() {
    let mut lab = basic();
    let mut app = lab.dial(NOMESH, "10.244.1.50:2626");
    lab.arrive(&mut app, "data/srv-0");
    lab.wire.pass(Duration::from_secs(6));
    hang_up(&mut lab, &[&app]);
    check(&lab, NOMESH, "data/srv-0", ["rejected", "server-first-stall", "destination-sniffs", "none"]);
}

#[test]
fn nobody_listens_behind_mesh_tls() {
    let mut lab = basic();
    let mut app = lab.captured(CLIENT, "10.244.1.20:9800");
    let mut up = lab.upstream(CLIENT, "10.244.1.20:9800", DB);
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    lab.wire.says(&mut up, By::Client, &says::mesh_tls(DB_HOST, 9800));
    lab.local_refused(DB, 9800);
    lab.wire.reset(&up, By::Server);
    lab.wire.fin(&app, By::Server);
    check(&lab, CLIENT, DB, ["rejected", "app-not-listening", "", "mutual-tls"]);
}

#[test]
fn nobody_listens_on_an_undeclared_port() {
    let mut lab = basic();
    let mut app = lab.captured(CLIENT, "10.244.1.20:9999");
    let mut up = lab.upstream(CLIENT, "10.244.1.20:9999", DB);
    lab.relay(&mut [&mut app, &mut up], By::Client, &says::OTHER);
    lab.local_refused(DB, 9999);
    lab.wire.reset(&up, By::Server);
    lab.wire.reset(&app, By::Server);
    check(&lab, CLIENT, DB, ["rejected", "app-not-listening", "", "none"]);
}

#[test]
fn nobody_listens_but_strict_refuses_before() {
    let mut lab = strict();
    let mut app = lab.captured(CLIENT, "10.244.1.20:9999");
    let mut up = lab.upstream(CLIENT, "10.244.1.20:9999", DB);
    lab.relay(&mut [&mut app, &mut up], By::Client, &says::OTHER);
    lab.wire.reset(&up, By::Server);
    lab.wire.reset(&app, By::Server);
    check(&lab, CLIENT, DB, ["rejected", "plaintext-to-strict", "port-undeclared", "none"]);
}

#[test]
fn nobody_listens_and_nobody_captures() {
    let mut lab = basic();
    let app = lab.dial(NOMESH, "10.244.1.41:9999");
    lab.wire.fails(&app, ConnectError::Refused);
    check(&lab, NOMESH, NOMESH, ["rejected", "app-not-listening", "", ""]);
}

#[test]
fn a_proxy_that_gives_up_means_timed_out() {
    let mut lab = basic();
    let mut app = lab.captured(CLIENT, "10.244.1.99:9300");
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    let proxy = lab.proxy(CLIENT, 0);
    let up = lab.wire.dial(proxy, endpoint("10.244.1.99:9300"));
    for (count, after) in [(1, 1), (2, 2), (3, 4)] {
        lab.wire.pass(Duration::from_secs(after));
        lab.wire.retransmits(&up, count);
    }
    lab.wire.pass(Duration::from_secs(3));
    lab.wire.fails(&up, ConnectError::Abandoned);
    lab.wire.reset(&app, By::Server);
    check(&lab, CLIENT, CLIENT, ["rejected", "timed-out", "", ""]);
}

#[test]
fn an_application_that_gives_up_is_abandoned() {
    let mut lab = basic();
    let app = lab.dial(NOMESH, "10.244.1.99:9300");
    lab.wire.pass(Duration::from_secs(3));
    lab.wire.fails(&app, ConnectError::Abandoned);
    check(&lab, NOMESH, NOMESH, ["rejected", "abandoned", "", ""]);
}
