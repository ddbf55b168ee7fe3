//! Observed flows, explained: the steps are those that the flow took, and facts that have changed since are said.

use crate::file;
use std::fs::File;
use std::io::BufReader;
use tracer_daemon::sink::wire::{Answer, Origin};
use tracer_daemon::source::tape::TapeReader;
use tracer_engine::explain::observed;
use tracer_engine::input::Input;
use tracer_engine::mesh::facts::{Delta, Kind, ObjectKey};
use tracer_engine::net::Ktime;
use tracer_engine::record::{FlowRecord, Record};
use tracer_engine::{Config, Engine};

/// The engine after a real mesh was played to it, and what it said.
fn played(mesh: &str) -> (Engine, Vec<FlowRecord>) {
    let tape = File::open(file("tests/tapes").join(mesh).join("input.jsonl")).expect("a tape");
    let mut tape = TapeReader::open(BufReader::new(tape)).expect("a tape");
    let istio = tape.header().istio.clone();
    let mut engine = Engine::new(Config::default());
    let mut flows = Vec::new();
    let mut emit = |record: Record| {
        if let Record::Flow(flow) = record {
            flows.push(*flow);
        }
    };
    for recorded in &mut tape {
        if let Some(input) = recorded.expect("a line").into_input(&istio).expect("good values") {
            engine.handle(input, &mut emit);
        }
    }
    engine.drain(&mut emit);
    (engine, flows)
}

fn origin() -> Origin {
    Origin { node: "n1".into(), started: "2026-11-23T09:00:00Z".parse().expect("a time") }
}

#[test]
fn an_observed_flow_is_explained_by_the_way_it_took() {
    for mesh in ["demo", "basic", "strict", "registry-only"] {
        let (engine, flows) = played(mesh);
        assert!(flows.len() > 10, "{mesh}: {}", flows.len());
        for flow in &flows {
            let answer = Answer::of_flow(&observed(engine.index(), flow), flow, &origin());
            assert_eq!(answer.class, flow.verdict.class.code());
            assert_eq!(answer.basis, flow.verdict.basis.code());
            assert_eq!(answer.id, format!("n1-{:x}-{}", origin().started.as_millisecond(), flow.id.0));
            assert!(!answer.caveats.iter().any(|caveat| caveat.contains("changed")), "{mesh}: {:?}", answer.caveats);
            assert!(answer.evidence.len() == flow.evidence.len() && !answer.steps.is_empty(), "{mesh}: {answer:?}");
        }
    }
}

#[test]
fn facts_that_changed_since_are_said() {
    let (mut engine, flows) = played("demo");
    let refused = flows.iter().find(|flow| flow.verdict.reason.is_some_and(|r| r.code() == "plaintext-to-strict"));
    let refused = refused.expect("one is refused");
    let key = ObjectKey { namespace: "istio-system".into(), name: "default".into() };
    let delta = Delta::Remove(Kind::PeerAuthentication, key);
    engine.handle(Input::Facts { at: Ktime(u64::MAX), delta }, &mut |_| {});
    let answer = Answer::of_flow(&observed(engine.index(), refused), refused, &origin());
    assert_eq!(answer.class, "rejected", "what was seen stands");
    assert_eq!(answer.caveats[0], "the facts have changed since: the steps are those of now, and they end elsewhere");
}
