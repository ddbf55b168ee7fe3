//! The scrape against the metrics contract: names, types, labels, the cap, both formats.

use crate::sample::{key, pod, rejected};
use smallvec::smallvec;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tracer_daemon::sink::metrics::{self, Board, Exposition, Format, Options, Recorder, Stage};
use tracer_engine::mesh::facts::Kind;
use tracer_engine::net::Ktime;
use tracer_engine::record::{DropsRecord, FlowEnd, FlowId, FlowRecord, Outcome, Record};
use tracer_engine::verdict::{Cause, Class, Reason, Security};

/// Metric, type, labels; F is the contract's own shorthand. Families that later work fills are not here yet.
pub(crate) const CONTRACT: &str = "
meshtracer_flows_total counter F class reason connection_security_policy traffic
meshtracer_flow_rejections_total counter F reason cause
meshtracer_connect_duration_seconds histogram reporter class
meshtracer_flow_bytes_total counter reporter class direction
meshtracer_open_flows gauge reporter class
meshtracer_drops_total counter reason F
meshtracer_listen_overflows_total counter destination_workload destination_workload_namespace
meshtracer_resets_total counter direction leg reason
meshtracer_syn_retransmits_total counter F
meshtracer_events_total counter stage kind
meshtracer_probe_attached gauge probe
meshtracer_probe_missed_total counter probe
meshtracer_probe_run_seconds_total counter probe
meshtracer_facts_objects gauge kind
meshtracer_facts_synced gauge kind
meshtracer_facts_last_event_timestamp_seconds gauge kind
meshtracer_attributions_total counter end result
meshtracer_series_limited_total counter metric
meshtracer_contradictions_total counter reason
meshtracer_verdicts_revised_total counter from to
meshtracer_build_info gauge version revision kernel
";
const F: &str = "reporter source_workload source_workload_namespace destination_workload \
                 destination_workload_namespace destination_service_name destination_service_namespace";

fn registered(max_series: usize) -> (Recorder, Board, Arc<Exposition>) {
    metrics::new(&Options {
        max_series,
        started: "2026-11-23T09:00:00Z".parse().unwrap(),
        kernel: "6.18.0".to_owned(),
        node: "n1".into(),
    })
}

/// One sample at least in every family.
pub(crate) fn filled() -> Arc<Exposition> {
    let (mut recorder, board, exposition) = registered(10_000);
    let mut flow = rejected();
    flow.syn_retransmits = 2;
    recorder.record(&Record::Flow(Box::new(flow.clone())));
    flow.id = FlowId(1);
    flow.outcome = Outcome::Established;
    flow.verdict.class = Class::Undetermined;
    flow.verdict.reason = Some(Reason::FactsContradictEvidence);
    recorder.record(&Record::Flow(Box::new(flow.clone())));
    flow.revises = Some((Class::Rejected, Some(Reason::ServerFirstStall)));
    recorder.record(&Record::Flow(Box::new(flow)));
    recorder.record(&Record::End(end(7)));
    recorder.record(&Record::Drops(drops("TCP_LISTEN_OVERFLOW", "web", 3)));
    board.events("connect", Stage::Emitted, 5);
    board.events("connect", Stage::Lost, 1);
    board.probe("inet_sock_set_state", true);
    board.probe_missed("inet_sock_set_state", 1);
    board.probe_run("inet_sock_set_state", Duration::from_millis(3));
    board.facts(Kind::Pod, 3, true, "2026-11-23T10:00:00Z".parse().unwrap());
    exposition
}

fn drops(reason: &str, source: &str, count: u64) -> DropsRecord {
    let between = Some((pod("shop", &format!("{source}-0"), source), pod("search", "es-2", "es")));
    DropsRecord { at: Ktime(0), reason: reason.into(), between, count }
}

fn end(id: u64) -> FlowEnd {
    FlowEnd {
        at: Ktime(0),
        id: FlowId(id),
        reporter: tracer_engine::record::Reporter::Source,
        class: Class::Rejected,
        reason: None,
        outcome: Outcome::Closed,
        bytes_sent: 100,
        bytes_received: 7,
        duration: Duration::from_secs(1),
    }
}

/// Type and label names of every family of the classic format that has a sample.
fn families(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut families = BTreeMap::new();
    let mut current = (String::new(), String::new());
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            current = (name.to_owned(), kind.to_owned());
        } else if !line.starts_with('#') {
            assert!(line.starts_with(&current.0), "a sample outside of its family: {line}");
            let labels = line.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
            let names = labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned());
            let entry = families.entry(current.0.clone()).or_insert((current.1.clone(), BTreeSet::new()));
            entry.1.extend(names.filter(|name| name != "le"));
        }
    }
    families
}

fn sample(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let line = text.lines().find(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    })?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn every_family_of_the_contract_with_its_type_and_labels() {
    let families = families(&filled().encode(Format::Classic).unwrap());
    for row in CONTRACT.lines().filter(|row| !row.is_empty()) {
        let mut words = row.split(' ');
        let (name, kind) = (words.next().unwrap(), words.next().unwrap());
        let labels: BTreeSet<String> =
            words.flat_map(|word| if word == "F" { F } else { word }.split_whitespace()).map(str::to_owned).collect();
        assert_eq!(families.get(name), Some(&(kind.to_owned(), labels)), "{name}");
    }
    for process in
        ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"]
    {
        assert!(families.contains_key(process), "{process}");
    }
    assert!(
        families.keys().all(|name| name.starts_with("meshtracer_") || name.starts_with("process_")),
        "{families:?}"
    );
}

#[test]
fn no_label_names_an_address_or_a_pod() {
    let text = filled().encode(Format::Classic).unwrap();
    for word in ["10.244", "57282", "web-0", "es-2"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

#[test]
fn a_flow_is_counted_once_with_its_peers() {
    let (mut recorder, _, exposition) = registered(10_000);
    let mut flow = rejected();
    flow.server.service = Some(key("search", "es-headless"));
    recorder.record(&Record::Connecting(Box::new(flow.clone())));
    recorder.record(&Record::Flow(Box::new(flow.clone())));
    flow.revises = Some((Class::Rejected, Some(Reason::ServerFirstStall)));
    flow.verdict.class = Class::OpaqueTcp;
    flow.verdict.reason = Some(Reason::HeadlessTcp);
    recorder.record(&Record::Flow(Box::new(flow)));
    let text = exposition.encode(Format::Classic).unwrap();
    let labels = [
        r#"source_workload="web""#,
        r#"source_workload_namespace="shop""#,
        r#"destination_workload="es""#,
        r#"destination_service_name="es-headless""#,
        r#"class="rejected""#,
        r#"connection_security_policy="none""#,
    ];
    assert_eq!(sample(&text, "meshtracer_flows_total", &labels), Some(1.0), "{text}");
    assert_eq!(sample(&text, "meshtracer_flows_total", &[r#"class="opaque-tcp""#]), None);
    let revised = [r#"from="server-first-stall""#, r#"to="headless-tcp""#];
    assert_eq!(sample(&text, "meshtracer_verdicts_revised_total", &revised), Some(1.0));
    assert_eq!(sample(&text, "meshtracer_flow_rejections_total", &[r#"cause="port-undeclared""#]), Some(1.0));
    assert_eq!(sample(&text, "meshtracer_resets_total", &[r#"direction="server""#, r#"leg="upstream""#]), Some(1.0));
}

#[test]
fn security_as_istio_spells_it() {
    for (security, policy) in [
        (Security::MutualTls, "mutual_tls"),
        (Security::Tls, "none"),
        (Security::AppTls, "none"),
        (Security::None, "none"),
        (Security::Unknown, "unknown"),
    ] {
        let (mut recorder, _, exposition) = registered(10_000);
        let mut flow = rejected();
        flow.verdict.security = security;
        recorder.record(&Record::Flow(Box::new(flow)));
        let label = format!("connection_security_policy=\"{policy}\"");
        let text = exposition.encode(Format::Classic).unwrap();
        assert_eq!(sample(&text, "meshtracer_flows_total", &[&label]), Some(1.0), "{security}");
    }
}

#[test]
fn open_flows_rise_and_fall_and_bytes_are_counted_at_the_end() {
    let (mut recorder, _, exposition) = registered(10_000);
    let open = |exposition: &Exposition| {
        sample(&exposition.encode(Format::Classic).unwrap(), "meshtracer_open_flows", &[r#"class="rejected""#])
    };
    for id in [1, 2] {
        let mut flow = rejected();
        flow.id = FlowId(id);
        flow.outcome = Outcome::Established;
        recorder.record(&Record::Flow(Box::new(flow)));
    }
    assert_eq!(open(&exposition), Some(2.0));
    recorder.record(&Record::End(end(1)));
    recorder.record(&Record::End(end(2)));
    assert_eq!(open(&exposition), Some(0.0));
    let text = exposition.encode(Format::Classic).unwrap();
    assert_eq!(sample(&text, "meshtracer_flow_bytes_total", &[r#"direction="sent""#]), Some(200.0));
    assert_eq!(sample(&text, "meshtracer_flow_bytes_total", &[r#"direction="received""#]), Some(14.0));
}

#[test]
fn of_fifty_thousand_workloads_those_too_many_are_counted_under_other() {
    let (mut recorder, _, exposition) = registered(Options::MAX_SERIES);
    let flows = 50_000;
    for number in 0..flows {
        let mut flow: FlowRecord = rejected();
        let name = format!("client-{number}");
        flow.client.who = pod("shop", &name, &name);
        recorder.record(&Record::Flow(Box::new(flow)));
        recorder.record(&Record::Drops(drops("NETFILTER_DROP", &name, 1)));
    }
    let text = exposition.encode(Format::Classic).unwrap();
    let named = ["meshtracer_flows_total", "meshtracer_flow_rejections_total", "meshtracer_drops_total"];
    let series: Vec<&str> =
        text.lines().filter(|line| named.iter().any(|name| line.starts_with(&format!("{name}{{")))).collect();
    assert!(series.len() <= 10_000, "{} series", series.len());
    let count = |name: &str| -> f64 {
        let lines = series.iter().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    };
    for name in named {
        assert!((count(name) - f64::from(flows)).abs() < 0.5, "{name} lost counts: {}", count(name));
    }
    let other = [r#"source_workload="other""#, r#"class="rejected""#, r#"reason="plaintext-to-strict""#];
    assert!(sample(&text, "meshtracer_flows_total", &other).is_some(), "the bucket keeps its codes");
    let limited = [r#"metric="meshtracer_flows_total""#];
    assert!(sample(&text, "meshtracer_series_limited_total", &limited).is_some_and(|count| count > 0.0));
}

#[test]
fn codes_beyond_the_reserve_end_in_one_series() {
    let (mut recorder, _, exposition) = registered(10);
    for reason in Reason::ALL {
        for cause in Cause::ALL {
            let mut flow = rejected();
            flow.verdict.reason = Some(*reason);
            flow.verdict.causes = smallvec![*cause];
            recorder.record(&Record::Flow(Box::new(flow)));
        }
    }
    let text = exposition.encode(Format::Classic).unwrap();
    let series = text.lines().filter(|line| line.contains("source_workload=")).count();
    assert!(series <= 10 + 4, "{series} series: the cap, and one last resort a family");
}

#[test]
fn idle_series_make_room() {
    let (mut recorder, _, exposition) = registered(10_000);
    let minute = Duration::from_mins(1);
    let mut at = Ktime(0);
    recorder.record(&Record::Flow(Box::new(rejected())));
    for _ in 0..20 {
        at = at + minute;
        recorder.tick(at);
    }
    let text = exposition.encode(Format::Classic).unwrap();
    assert_eq!(sample(&text, "meshtracer_flows_total", &[]), None, "{text}");
}

#[test]
fn the_classic_format_says_the_same() {
    let exposition = filled();
    let (open, classic) =
        (exposition.encode(Format::OpenMetrics).unwrap(), exposition.encode(Format::Classic).unwrap());
    assert!(open.ends_with("# EOF\n") && !classic.contains("# EOF") && !classic.contains("# UNIT"));
    // What is read at the scrape may differ between the two.
    let samples = |text: &str| -> BTreeSet<String> {
        text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("process_")).map(str::to_owned).collect()
    };
    assert_eq!(samples(&open), samples(&classic));
    assert!(open.contains("# TYPE meshtracer_flows counter\n"));
    assert!(classic.contains("# TYPE meshtracer_flows_total counter\n"));
    let help = classic.lines().filter(|line| line.starts_with("# HELP ")).count();
    assert_eq!(help, classic.lines().filter(|line| line.starts_with("# TYPE ")).count());
}

#[test]
fn help_needs_no_escapes() {
    // The two formats escape quotes and backslashes in HELP differently: there are none.
    let text = filled().encode(Format::OpenMetrics).unwrap();
    let odd = text.lines().find(|line| line.starts_with("# HELP ") && line.contains(['"', '\\']));
    assert_eq!(odd, None);
}

#[test]
fn label_values_are_escaped() {
    let (mut recorder, _, exposition) = registered(10_000);
    let mut flow = rejected();
    flow.client.who = pod("shop", "odd", "a\"b\\c\nd");
    recorder.record(&Record::Flow(Box::new(flow)));
    let text = exposition.encode(Format::Classic).unwrap();
    assert!(text.contains(r#"source_workload="a\"b\\c\nd""#), "{text}");
}

#[test]
fn drops_are_counted_by_who_sent_them_and_overflows_by_whose_queue_it_is() {
    let (mut recorder, _, exposition) = registered(1000);
    recorder.record(&Record::Drops(drops("NETFILTER_DROP", "web", 7)));
    recorder.record(&Record::Drops(drops("TCP_LISTEN_OVERFLOW", "web", 2)));
    recorder.record(&Record::Drops(DropsRecord { between: None, ..drops("NETFILTER_DROP", "web", 5) }));
    let text = exposition.encode(Format::Classic).unwrap();
    let count = |labels: &[&str]| sample(&text, "meshtracer_drops_total", labels);
    let netfilter = r#"reason="NETFILTER_DROP""#;
    let here = [netfilter, r#"reporter="source""#, r#"source_workload="web""#, r#"destination_workload="es""#];
    assert_eq!(count(&here), Some(7.0));
    assert_eq!(count(&[netfilter, r#"reporter="unknown""#, r#"source_workload="unknown""#]), Some(5.0));
    let queue = [r#"destination_workload="es""#, r#"destination_workload_namespace="search""#];
    assert_eq!(sample(&text, "meshtracer_listen_overflows_total", &queue), Some(2.0));
}

/// A kernel, or who names a workload otherwise than Kubernetes lets them, may say anything.
#[test]
fn a_label_value_with_quotes_and_newlines_stays_within_its_line() {
    let (mut recorder, _, exposition) = registered(100);
    let mut flow = rejected();
    flow.client.who = pod("shop", "odd-0", "o\"dd\nmeshtracer_flows_total{} 7\\");
    recorder.record(&Record::Flow(Box::new(flow)));
    for format in [Format::Classic, Format::OpenMetrics] {
        let text = exposition.encode(format).unwrap();
        let told: Vec<_> = text.lines().filter(|line| line.starts_with("meshtracer_flows_total")).collect();
        let [line] = &told[..] else { panic!("{told:?}") };
        assert!(line.contains(r#"source_workload="o\"dd\nmeshtracer_flows_total{} 7\\""#), "{line}");
    }
}
