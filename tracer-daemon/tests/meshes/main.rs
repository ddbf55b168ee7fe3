//! The meshes of `tracer-lab`, with a real kernel, real Envoys and a stand-in for ztunnel: every recorded call gets its recorded verdict.
//!
//! Each mesh is brought up and called once, with `mesh-tracer run` beside it that records a tape. The journal is
//! judged as both ends saw it; then the tape is played again for each pod with the events of its network namespace
//! alone, so that the same calls are judged as the source's node alone and the destination's node alone would.
//!
//! Needs root, Envoy and the program `tracer-lab` (`cargo build -p tracer-lab`), and fails without them.
//! With `MESH_TRACER_KEEP_TAPES=1` the tapes become the golden ones of `tests/tapes`.

mod judge;
mod perspective;
mod stage;

use judge::Score;
use stage::Performance;
use std::time::Duration;
use tracer_daemon::sink::wire::Record;
use tracer_lab::prometheus::Prometheus;
use tracer_lab::{Call, Options};

#[test]
fn demo() {
    judge("demo");
}

#[test]
fn basic() {
    judge("basic");
}

#[test]
fn strict() {
    judge("strict");
}

#[test]
fn registry_only() {
    judge("registry-only");
}

/// By a stand-in for ztunnel: see `tracer_lab::inside::ztunnel`.
#[test]
fn ambient() {
    judge_but("ambient", &["amb-off"]);
}

/// What TCP alone tells: nobody there, nobody listening, nobody any more.
#[test]
fn unanswered() {
    judge("unanswered");
}

#[test]
fn without_first_bytes_a_mesh_is_told_right_or_left_open() {
    let performance = Performance::without_first_bytes("strict");
    let mut both = Score::new("strict", "both ends, without first bytes");
    let mut source = Score::new("strict", "the source alone, without first bytes");
    for scene in &performance.scenes {
        let record = performance.told_of(scene).unwrap_or_else(|| panic!("no record of {:?}", scene.result));
        both.never_wrong(scene, record);
    }
    for pod in &performance.pods {
        let told = perspective::of_pod(&performance.tape, pod, &performance.pods);
        for scene in performance.scenes.iter().filter(|scene| scene.call.from == pod.name) {
            let record = told.iter().find(|record| scene.is_told_by(record));
            source.never_wrong(scene, record.unwrap_or_else(|| panic!("no record of {:?}", scene.result)));
        }
    }
    assert_none_wrong([both, source], &performance);
}

/// Facts as they were before the headless Service got this port: its proxy begins mesh TLS where they know no route.
#[test]
fn stale_facts_that_the_kernel_contradicts_are_told_with_both_sides_and_counted() {
    let before =
        |facts: &str| facts.replace("port: 6379", "port: 6378").replace("targetPort: 6379", "targetPort: 6378");
    let metric = "meshtracer_contradictions_total{";
    let (record, counted) = Performance::stale("demo", "redis-replica", before, metric);
    let said = (&*record.class, record.reason.as_deref());
    assert_eq!(said, ("undetermined", Some("facts-contradict-evidence")), "{record:?}");
    let expected: Vec<_> = record.candidates.iter().map(|open| &*open.reason).collect();
    assert_eq!(expected, ["plaintext-to-strict"], "what the facts say");
    let seen = record.evidence.iter().find(|seen| seen.kind == "first-bytes" && seen.leg == "upstream");
    let seen = seen.unwrap_or_else(|| panic!("what the kernel showed is not in {record:?}"));
    assert_eq!(seen.says, "mesh mTLS, SNI outbound_.6379_._.redis.data.svc.cluster.local");
    assert_eq!(counted, r#"meshtracer_contradictions_total{reason="plaintext-to-strict"} 1"#);
}

/// Of the demo's own story, on a real Envoy, scraped and asked as a person with a dashboard would.
#[test]
fn a_real_prometheus_shows_the_rejected_scrape_with_its_cause() {
    let query = "sum by (source_workload, destination_workload, reason, cause) (meshtracer_flow_rejections_total)";
    let rejected = Performance::scraped("demo", "prometheus-plain", |target, folder| {
        let prometheus = Prometheus::scraping("mesh-tracer", target, None, folder).expect("Prometheus runs");
        prometheus.answer(query).expect("it has scraped a rejection")
    });
    let [one] = &rejected[..] else { panic!("{rejected:?}") };
    let labels = ["source_workload", "destination_workload", "reason", "cause"].map(|label| &one["metric"][label]);
    assert_eq!(labels, ["prometheus", "es", "plaintext-to-strict", "source-not-in-mesh"], "{one}");
    assert_eq!(one["value"][1], "1", "{one}");
}

/// REDIRECT gives about one of them in ten another source port (trap 13).
#[test]
fn trap_13_three_thousand_captured_connections_are_joined_to_their_captures() {
    let ids = ["tcp-tcp", "auto-tcp", "auto-http-podip", "undeclared-tcp", "undeclared-http"];
    let choose = |calls: &[Call]| {
        let chosen: Vec<_> = ids.iter().map(|id| named(calls, id)).collect();
        chosen.into_iter().cycle().take(3000).collect()
    };
    let performance = Performance::with("basic", "trap-13", &Options::default(), Duration::from_millis(2), choose);
    let leg =
        |record: &Record, kind: &str| record.legs.iter().find(|leg| leg.kind == kind).map(|leg| leg.client.clone());
    let mut moved = 0;
    for scene in &performance.scenes {
        let record = performance.told_of(scene).unwrap_or_else(|| panic!("no record of {:?}", scene.result));
        let capture = leg(record, "capture").unwrap_or_else(|| panic!("not joined to its capture: {record:?}"));
        moved += usize::from(leg(record, "app") != Some(capture));
    }
    println!("{} joined, of {moved} NAT had changed the port", performance.scenes.len());
    assert!(moved > 0, "NAT changed no port: this run proves nothing");
}

#[test]
fn fifty_calls_at_once_through_four_workers_are_right_or_doubtful() {
    let on = Options { concurrency: 4, ..Options::default() };
    let performance =
        Performance::with("strict", "fifty-at-once", &on, Duration::ZERO, |calls| vec![named(calls, "tcp-tcp"); 50]);
    let mut score = Score::new("strict", "fifty at once");
    for scene in &performance.scenes {
        let record = performance.told_of(scene).unwrap_or_else(|| panic!("no record of {:?}", scene.result));
        score.never_wrong(scene, record);
    }
    assert_none_wrong([score], &performance);
}

fn named(calls: &[Call], id: &str) -> Call {
    calls.iter().find(|call| call.id == id).unwrap_or_else(|| panic!("no call {id}")).clone()
}

fn judge(mesh: &str) {
    judge_but(mesh, &[]);
}

/// Of the calls in `hidden` even both ends together do not see all: a tunnel that others share hides it.
fn judge_but(mesh: &str, hidden: &[&str]) {
    let performance = Performance::of(mesh);
    let mut both = Score::new(mesh, "both ends");
    let mut source = Score::new(mesh, "the source alone");
    let mut destination = Score::new(mesh, "the destination alone");
    for scene in &performance.scenes {
        both.judge(scene, performance.told_of(scene), hidden);
    }
    for pod in &performance.pods {
        let told = perspective::of_pod(&performance.tape, pod, &performance.pods);
        for scene in performance.scenes.iter().filter(|scene| scene.call.from == pod.name) {
            source.judge(scene, told.iter().find(|record| scene.is_told_by(record)), hidden);
        }
        for scene in performance.scenes.iter().filter(|scene| scene.call.from != pod.name) {
            let Some(handshake) = performance.handshake_of(scene) else { continue };
            for record in told.iter().filter(|record| record.handshake.as_deref() == Some(handshake)) {
                destination.never_wrong(scene, record);
            }
        }
    }
    destination.count_unseen(&performance.scenes);
    performance.keep_tape(mesh);
    assert_none_wrong([both, source, destination], &performance);
    let strays = performance.strays();
    assert!(strays.is_empty(), "nobody made these: {strays:#?}");
}

fn assert_none_wrong<const N: usize>(scores: [Score; N], of: &Performance) {
    for score in &scores {
        println!("{score}");
    }
    let wrong: Vec<_> = scores.into_iter().flat_map(Score::into_wrong).collect();
    let (count, tape) = (wrong.len(), of.tape.display());
    assert!(wrong.is_empty(), "{count} wrong, on the tape {tape}:\n{}", wrong.join("\n"));
}
