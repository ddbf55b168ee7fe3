//! Each recorded call ends, as the applications see it, the way it did when the mesh was recorded.

use std::collections::BTreeSet;
use std::time::Duration;

use tracer_lab::{Call, Ending, Mesh, Options};

use crate::{options, up};

fn every_call_is_accepted_as_recorded(name: &str) {
    let mesh = up(name);
    let results = mesh.call_all(mesh.calls(), Duration::from_millis(60)).unwrap();
    let pairs = mesh.calls().iter().zip(&results);
    let others: Vec<_> = pairs.filter(|(call, result)| result.accepted() != call.truth.accepted).collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn demo() {
    every_call_is_accepted_as_recorded("demo");
}

#[test]
fn basic() {
    every_call_is_accepted_as_recorded("basic");
}

#[test]
fn strict() {
    every_call_is_accepted_as_recorded("strict");
}

#[test]
fn registry_only() {
    every_call_is_accepted_as_recorded("registry-only");
}

#[test]
fn ambient() {
    every_call_is_accepted_as_recorded("ambient");
}

#[test]
fn unanswered() {
    every_call_is_accepted_as_recorded("unanswered");
}

#[test]
fn the_client_tells_how_a_call_ended() {
    let mesh = up("basic");
    let call = |id: &str| mesh.call(named(&mesh, id)).unwrap();

    let answered = call("http-svc-503");
    assert_eq!((answered.ending, answered.status), (Ending::Answered, Some(503)));
    assert_eq!(call("n-to-n-off").ending, Ending::Refused);
    assert_eq!(call("n-gone-unreach").ending, Ending::Unreachable);
    assert_eq!(call("http-own-tls").ending, Ending::Reset);
    assert_eq!(call("tcp-off").ending, Ending::Eof);

    let mut gone = named(&mesh, "n-gone-drop").clone();
    gone.request.connect_timeout_ms = Some(50);
    let gone = mesh.call(&gone).unwrap();
    assert_eq!((gone.ending, gone.connected), (Ending::TimedOut, None));
    let local = gone.local.expect("a port that was taken for a connect that never succeeded");
    assert_ne!(local.port(), 0);
}

#[test]
fn a_strict_port_tells_a_client_without_a_certificate_why() {
    let mesh = up("strict");
    let result = mesh.call(named(&mesh, "n-owntls-auto")).unwrap();
    assert_eq!(result.ending, Ending::Failed("received fatal alert: CertificateRequired".to_owned()));
    assert!(result.bytes_received > 700, "the proxy's ServerHello counts: {result}");
}

#[test]
fn fifty_calls_at_once_each_have_a_port_of_their_own() {
    let mesh = Mesh::up("basic", &Options { concurrency: 4, ..options() }).unwrap();
    let calls = vec![named(&mesh, "tcp-tcp").clone(); 50];
    let results = mesh.call_all(&calls, Duration::ZERO).unwrap();
    let ports: BTreeSet<_> = results.iter().map(|result| result.local.unwrap().port()).collect();
    assert_eq!(ports.len(), 50);
    assert!(results.iter().all(|result| result.receivers == [named_pod("data/db-0")]), "{results:#?}");
}

#[test]
fn a_thousand_calls_at_five_hundred_a_second() {
    let mesh = up("basic");
    let ids = ["tcp-tcp", "auto-tcp", "auto-http-podip", "undeclared-tcp", "n-tcp"];
    let calls: Vec<_> = ids.iter().cycle().take(1000).map(|id| named(&mesh, id).clone()).collect();
    let results = mesh.call_all(&calls, Duration::from_millis(2)).unwrap();
    let lost: Vec<_> = calls.iter().zip(&results).filter(|(_, result)| !result.accepted()).collect();
    assert!(lost.is_empty(), "{lost:#?}");
    let took = results[999].started - results[0].started;
    assert!(took > 1_900_000_000, "a thousand calls began within {took} ns");
}

fn named<'a>(mesh: &'a Mesh, id: &str) -> &'a Call {
    mesh.calls().iter().find(|call| call.id == id).unwrap_or_else(|| panic!("no call {id}"))
}

fn named_pod(name: &str) -> tracer_lab::PodName {
    name.parse().unwrap()
}
