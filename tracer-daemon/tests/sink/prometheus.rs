//! What is scraped, and what is alerted on, judged by Prometheus itself (2.42, Debian 12's).

use crate::dashboard;
use crate::metrics::{CONTRACT, filled};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tracer_daemon::lifecycle::{Drain, Ready};
use tracer_daemon::sink::http::{Answers, Listener};
use tracer_daemon::sink::metrics::Format;
use tracer_lab::prometheus::{Prometheus, program};

fn promtool(args: &[&str], folder: &Path, input: &str) -> String {
    let mut promtool = Command::new(program("promtool").unwrap());
    promtool.args(args).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = promtool.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {args:?}: {said}");
    said
}

/// What is below `spec` of the PrometheusRule, as a rule file.
fn rules(folder: &Path) -> Value {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/overlays/prometheus-operator/rules.yaml");
    let rule: Value = serde_saphyr::from_str(&fs::read_to_string(shipped).unwrap()).unwrap();
    fs::write(folder.join("rules.json"), rule["spec"].to_string()).unwrap();
    rule["spec"].clone()
}

#[test]
fn promtool_finds_nothing_to_say_about_the_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let said = promtool(&["check", "metrics"], folder.path(), &filled().encode(Format::Classic).unwrap());
    assert_eq!(said, "");
}

#[test]
fn each_alert_fires_for_what_it_is_about() {
    let folder = tempfile::tempdir().unwrap();
    let rules = rules(folder.path());
    promtool(&["check", "rules", "rules.json"], folder.path(), "");
    let tests = include_str!("alerts.test.yaml");
    fs::write(folder.path().join("tests.yaml"), tests).unwrap();
    promtool(&["test", "rules", "tests.yaml"], folder.path(), "");
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        let Some(alert) = rule["alert"].as_str() else {
            let record = rule["record"].as_str().unwrap();
            assert!(tests.contains(&format!("expr: {record}\n")), "{record} has no test");
            continue;
        };
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} has no test");
        // Of a metric that does not exist an alert would be silent for ever.
        let expression = rule["expr"].as_str().unwrap();
        let start = expression.find("meshtracer_").unwrap();
        let name = expression[start..].split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap();
        assert!(CONTRACT.lines().any(|line| line.split(' ').next() == Some(name)), "{alert} asks for {name}");
    }
}

/// Each query that the page about metrics shows, of mesh-tracer's and Istio's metrics together, has an answer that is
/// known beforehand.
#[test]
fn what_is_joined_with_istios_own_metrics_is_told_right() {
    let folder = tempfile::tempdir().unwrap();
    let tests = include_str!("joins.test.yaml");
    fs::write(folder.path().join("tests.yaml"), tests).unwrap();
    promtool(&["test", "rules", "tests.yaml"], folder.path(), "");
    let page = include_str!("../../../docs/metrics.md");
    let shown: Vec<&str> = page.split("```promql\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert!(shown.len() >= 3, "{shown:?}");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let tested = words(tests);
    for query in shown {
        assert!(tested.contains(&words(query)), "the page shows what no test asks: {query}");
    }
}

#[tokio::test]
async fn a_real_prometheus_reads_every_family() {
    let (_drain, stop) = Drain::new();
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let at = listener.address().unwrap();
    let answers = Answers { metrics: filled(), ready: Ready::new(), live: Arc::new(|| true) };
    tokio::spawn(listener.serve(answers, stop));
    tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir().unwrap();
        assert!(rules(folder.path())["groups"].is_array());
        let prometheus = Prometheus::scraping("mesh-tracer", at, Some(Path::new("rules.json")), folder.path()).unwrap();
        let answered = |query: &str| prometheus.answer(query).unwrap();
        assert_eq!(answered("up == 1").len(), 1);
        for family in CONTRACT.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty()) {
            let name = if family.ends_with("_seconds") && family.contains("connect") {
                format!("{family}_count")
            } else {
                family.to_owned()
            };
            assert!(!answered(&name).is_empty(), "{name}");
        }
        // Every panel of the dashboard shows something, as Grafana would ask for it.
        for panel in dashboard::ROWS.iter().flat_map(|(_, panels)| *panels) {
            let query = panel.query.replace("$__rate_interval", "1m").replace("$namespace", ".*");
            assert!(!answered(&query).is_empty(), "{query}");
        }
        for record in ["meshtracer:flows:rate5m", "meshtracer:flow_rejections:rate5m"] {
            assert!(!answered(record).is_empty(), "{record}");
        }
        let rejected = answered("meshtracer_flow_rejections_total");
        assert_eq!(rejected[0]["metric"]["job"], "mesh-tracer");
        assert_eq!(rejected[0]["value"][1], "1");
    })
    .await
    .unwrap();
}
