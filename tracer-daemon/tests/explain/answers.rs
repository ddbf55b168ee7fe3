//! What an answer says, in JSON and for a person.

use crate::{answers, cluster, file};
use serde_json::{Value, json};
use tracer_daemon::command::explain::{Format, Question, what_if};
use tracer_daemon::command::{Answer, Failure};

const DEMO: &str = "../tracer-lab/meshes/demo/cluster.yaml";

fn question(from: &str, to: &str, send: Option<&str>, host: Option<&str>) -> Question {
    let text = |of: Option<&str>| of.map(str::to_owned);
    Question { from: from.to_owned(), to: to.to_owned(), send: text(send), host: text(host), ..Question::default() }
}

/// What a terminal without colour shows.
fn page(question: &Question) -> String {
    let mut out = Vec::new();
    what_if(&mut cluster(&file(DEMO)), question, Format::Text, &[], &mut out).expect("an answer");
    anstream::adapter::strip_str(&String::from_utf8(out).expect("text")).to_string()
}

fn json(asked: &Value) -> Value {
    let (mut all, ended) = answers(&mut cluster(&file(DEMO)), &asked.to_string());
    ended.expect("a good line");
    all.remove(0)
}

#[test]
fn a_page_opens_with_the_verdict_and_ends_with_what_to_do() {
    let text = page(&question("search/es-0", "10.244.1.21:9300", Some("tcp"), None));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "REJECTED  plaintext-to-strict (port-undeclared)  predicted, security none");
    assert_eq!(lines[1], "search/es-0 (sidecar) --plaintext--X search/es-1 10.244.1.21:9300 (sidecar, STRICT)");
    assert!(
        text.contains("  4. destination-proxy search/es-1, undeclared port 9300, STRICT: no filter chain takes it")
    );
    assert!(text.contains("[PeerAuthentication istio-system/default]"), "{text}");
    assert!(text.contains("To do: Add the port to a headless Service that selects the pod"), "{text}");
}

#[test]
fn every_step_names_the_object_that_it_comes_from() {
    for (asked, because) in [
        (question("monitoring/prometheus-0", "10.244.1.20:9114", Some("tcp"), None), "Pod monitoring/prometheus-0"),
        (
            question("shop/cart-0", "10.244.1.70:8080", Some("http"), Some("10.244.1.70")),
            "HTTP port 8080 of Service shop/web",
        ),
        (question("data/redis-1", "10.244.1.40:6379", Some("tcp"), None), "Service data/redis"),
        (question("shop/cart-0", "10.244.1.98:8080", Some("tcp"), None), "Pod shop/web-old had this ip and is gone"),
    ] {
        let text = page(&asked);
        assert!(text.contains(&format!("[{because}")), "{because} is not in\n{text}");
    }
}

#[test]
fn what_is_open_is_listed_with_what_leads_there() {
    let asked = question("data/connect-0", "10.244.1.51:8083", None, None);
    let text = page(&asked);
    assert!(text.starts_with("UNDETERMINED  any-host | headless-tcp | server-first-stall  predicted"), "{text}");
    for line in ["if the client sends nothing first", "if the client sends neither HTTP nor TLS", "a. "] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let answer = json(&json!({"from": "data/connect-0", "to": "10.244.1.51:8083"}));
    assert_eq!((&answer["class"], &answer["reason"]), (&json!("undetermined"), &Value::Null));
    let reasons: Vec<&str> =
        answer["candidates"].as_array().expect("a list").iter().filter_map(|way| way["reason"].as_str()).collect();
    assert_eq!(reasons, ["server-first-stall", "headless-tcp", "any-host"]);
    assert_eq!(answer["steps"].as_array().map(Vec::len), Some(2), "the steps that all share");
    assert!(answer["candidates"][1]["steps"][0]["says"].as_str().expect("text").starts_with("cluster outbound|8083||"));
}

#[test]
fn an_answer_has_the_fields_that_were_promised() {
    let asked = json!({"id": {"a": [1]}, "from": "search/es-0", "to": "10.244.1.21:9300", "send": "tcp", "host": "", "sni": "", "alpn": ""});
    let mut answer = json(&asked);
    let steps = answer["steps"].take();
    for field in ["explanation", "remedy", "caveats", "patch", "patched"] {
        answer.as_object_mut().expect("an object").remove(field).expect(field);
    }
    assert_eq!(
        answer,
        json!({
            "version": "v1", "id": {"a": [1]}, "class": "rejected", "reason": "plaintext-to-strict",
            "cause": "port-undeclared", "causes": ["port-undeclared"], "security": "none", "basis": "predicted",
            "from": {"ip": "10.244.1.20", "namespace": "search", "pod": "es-0", "workload": "es",
                "workload_kind": "StatefulSet", "mesh": "sidecar"},
            "to": {"ip": "10.244.1.21", "port": 9300, "namespace": "search", "pod": "es-1", "workload": "es",
                "workload_kind": "StatefulSet", "service": null, "mesh": "sidecar", "mtls": "STRICT"},
            "hop": {"to": [{"address": "10.244.1.21:9300", "pod": "search/es-1"}], "cluster": null, "sni": null},
            "candidates": [], "steps": null
        })
    );
    assert_eq!(steps[0]["at"], "source");
}

#[test]
fn what_means_nothing_in_a_question_is_told_back() {
    let asked = json!({"from": "search/es-0", "to": "10.244.1.21:9300", "send": "tcp", "host": "x", "hots": "y", "timeout_ms": 1});
    assert_eq!(json(&asked)["ignored"], json!(["hots", "timeout_ms", "host"]));
    let asked = json!({"from": "search/es-0", "to": "10.244.1.21:9300", "host": "x", "sni": "s"});
    assert_eq!(json(&asked)["ignored"], json!(["host", "sni"]), "without send nothing is left out");
}

#[test]
fn a_caller_may_be_an_ip_and_an_address_may_be_ipv6() {
    let pod = json(&json!({"from": "10.244.1.20", "to": "10.244.1.21:9300", "send": "tcp"}));
    assert_eq!((&pod["from"]["pod"], &pod["cause"]), (&json!("es-0"), &json!("port-undeclared")));
    let outside = json(&json!({"from": "203.0.113.7", "to": "10.244.1.21:9300", "send": "tcp"}));
    assert_eq!(
        (&outside["from"]["pod_unknown"], &outside["cause"]),
        (&json!("external"), &json!("source-not-in-mesh"))
    );
    let v6 = json(&json!({"from": "search/es-0", "to": "[2001:db8::7]:9300", "send": "tcp"}));
    assert_eq!((&v6["to"]["ip"], &v6["reason"]), (&json!("2001:db8::7"), &json!("passthrough")));
}

#[test]
fn fail_on_names_the_classes_that_fail() {
    let asked = question("search/es-0", "10.244.1.21:9300", Some("tcp"), None);
    let ended = |fail_on: &[&str]| {
        let fail_on: Vec<String> = fail_on.iter().map(ToString::to_string).collect();
        what_if(&mut cluster(&file(DEMO)), &asked, Format::Json, &fail_on, &mut Vec::new()).expect("an answer")
    };
    assert_eq!(ended(&[]), Answer::Yes);
    assert_eq!(ended(&["unmeshed"]), Answer::Yes);
    assert_eq!(ended(&["unmeshed", "rejected"]), Answer::No);
}

#[test]
fn a_reader_that_has_enough_ends_it_quietly() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let asked = question("search/es-0", "10.244.1.21:9300", Some("tcp"), None);
    let ended = what_if(&mut cluster(&file(DEMO)), &asked, Format::Json, &[], &mut Closed);
    assert!(matches!(ended, Err(Failure::ClosedPipe)), "{ended:?}");
}
