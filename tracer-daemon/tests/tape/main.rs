//! Tapes: what is recorded is what is played back, and what is broken is said.

mod events;

use events::{any_event, drops, one_of_each};
use proptest::prelude::*;
use std::sync::LazyLock;
use std::time::Duration;
use tracer_daemon::source::cluster::{ClusterEvent, FileFacts, IstioInstallation, ObjectKind, ObjectRef};
use tracer_daemon::source::tape::{Cut, Recorded, TapeError, TapeHeader, TapeReader, TapeWriter};
use tracer_engine::input::Input;
use tracer_engine::mesh::facts::{Delta, Kind};
use tracer_engine::net::Ktime;
use tracer_engine::socket::KernelEvent;

fn header() -> TapeHeader {
    TapeHeader {
        kernel: "6.18.0".to_owned(),
        node: "n1".to_owned(),
        boot: "2026-11-23T10:00:00.123456789Z".parse().expect("a time"),
        started: Some("2026-11-23T11:00:00Z".parse().expect("a time")),
        first_bytes: false,
        istio: IstioInstallation { namespace: "mesh".to_owned(), revisions: vec!["canary".to_owned()] },
        verdict_deadline: Duration::from_secs(2),
        stall_deadline: Duration::from_millis(5500),
        pods_of_all_nodes: true,
    }
}

/// A tape with every kind of input, and the inputs.
static RECORDED: LazyLock<(Vec<u8>, Vec<Recorded>)> = LazyLock::new(|| {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../tracer-lab/meshes/demo/cluster.yaml");
    let mut files = FileFacts::open(&[demo.into()], IstioInstallation::default()).expect("facts");
    let at = Ktime(7);
    let mut inputs: Vec<_> = files.load().expect("readable facts").into_iter().take(9).collect();
    inputs.push(ClusterEvent::Deleted(ObjectRef {
        kind: ObjectKind::Node,
        namespace: String::new(),
        name: "n".into(),
    }));
    inputs.push(ClusterEvent::Synced(ObjectKind::Pod));
    let mut inputs: Vec<_> = inputs.into_iter().map(|event| Recorded::Cluster { at, event }).collect();
    inputs.extend(one_of_each().into_iter().map(|event| Recorded::Kernel(KernelEvent::Socket(event))));
    inputs.extend(drops().map(Recorded::Kernel));
    inputs.push(Recorded::Tick(Ktime(u64::MAX)));
    inputs.push(Recorded::Lost { at, count: 3 });
    inputs.push(Recorded::Clock("2026-11-23T10:00:07Z".parse().expect("a time")));
    (tape(&inputs), inputs)
});

/// Its lines, as any program for zstd unpacks them.
static LINES: LazyLock<Vec<u8>> = LazyLock::new(|| zstd::decode_all(&*RECORDED.0).expect("a whole frame"));

fn tape(inputs: &[Recorded]) -> Vec<u8> {
    let mut tape = TapeWriter::new(Vec::new(), &header()).expect("a vector takes it");
    for input in inputs {
        tape.write(input).expect("a vector takes it");
    }
    tape.finish().expect("a vector takes it")
}

/// The inputs up to the end or the first error, and where the tape is cut.
fn play(tape: &[u8]) -> (Vec<Recorded>, Option<Cut>, Option<TapeError>) {
    let mut reader = TapeReader::open(tape).expect("a tape");
    let (mut inputs, mut error) = (Vec::new(), None);
    for input in &mut reader {
        match input {
            Ok(input) => inputs.push(input),
            Err(found) => error = Some(found),
        }
    }
    (inputs, reader.cut(), error)
}

fn said(tape: &[u8]) -> String {
    TapeReader::open(tape).expect_err("no tape").to_string()
}

#[test]
fn what_is_recorded_is_played_back() {
    let (tape, inputs) = &*RECORDED;
    let (played, cut, error) = play(tape);
    assert_eq!(played, *inputs);
    assert_eq!(cut, None);
    assert!(error.is_none(), "{error:?}");
    let reader = TapeReader::open(&**tape).expect("a tape");
    assert_eq!(*reader.header(), header());
}

#[test]
fn a_tape_cut_anywhere_plays_up_to_the_last_block_before_the_cut_and_says_so() {
    let inputs = &RECORDED.1;
    // Flushed after every input, as one that is recorded slowly is: each is a block.
    let mut packed = TapeWriter::new(Vec::new(), &header()).expect("a vector takes it");
    for input in inputs {
        packed.write(input).and_then(|()| packed.flush()).expect("a vector takes it");
    }
    let tape = packed.finish().expect("a vector takes it");
    let mut most = 0;
    for end in 0..tape.len() {
        let Ok(mut reader) = TapeReader::open(&tape[..end]) else {
            assert_eq!(most, 0, "cut at {end}: no tape any more");
            continue;
        };
        let played: Vec<_> = (&mut reader).collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{end}: {error}"));
        assert_eq!(played, inputs[..played.len()], "cut at {end}");
        assert!(played.len() >= most && played.len() <= most + 1, "cut at {end}: {} after {most}", played.len());
        most = played.len();
        // Of the whole frame only the checksum may be missing: then nothing else is.
        let expected = Cut { inputs: most as u64, line: most as u64 + 2 };
        assert!(reader.cut() == Some(expected) || most == inputs.len(), "cut at {end}: {:?}", reader.cut());
    }
    assert_eq!(most, inputs.len());
}

#[test]
fn lines_cut_anywhere_play_up_to_the_cut_and_say_so() {
    let (tape, inputs) = (&*LINES, &RECORDED.1);
    let first = tape.iter().position(|byte| *byte == b'\n').expect("a first line") + 1;
    for end in 0..first {
        let no_tape = TapeReader::open(&tape[..end]).expect_err("its first line is cut");
        assert!(matches!(no_tape, TapeError::NoTape(_)), "cut at {end}: {no_tape}");
    }
    for end in first..tape.len() {
        let (played, cut, error) = play(&tape[..end]);
        assert!(error.is_none(), "cut at {end}: {error:?}");
        assert_eq!(played, inputs[..played.len()], "cut at {end}");
        let lines = tape[..end].split(|byte| *byte == b'\n').count() - 1;
        assert_eq!(played.len(), lines - 1, "cut at {end}");
        assert_eq!(cut, Some(Cut { inputs: played.len() as u64, line: lines as u64 + 1 }), "cut at {end}");
    }
}

#[test]
fn a_damaged_line_is_named_and_ends_the_tape() {
    let (tape, inputs) = (&*LINES, &RECORDED.1);
    let mut lines: Vec<_> = tape.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines[3] = b"{\"socket\":{}}\n".to_vec();
    let (played, cut, error) = play(&lines.concat());
    assert_eq!((played.as_slice(), cut), (&inputs[..2], None));
    let said = error.expect("a damaged line").to_string();
    assert!(said.starts_with("line 4 of the tape is damaged: missing field"), "{said}");

    lines.remove(3);
    let (played, _, error) = play(&lines.concat());
    assert_eq!(played.len(), inputs.len() - 1);
    let expected = format!(
        "line {} of the tape is damaged: the tape ends after {} inputs and says it has {}",
        lines.len(),
        inputs.len() - 1,
        inputs.len()
    );
    assert_eq!(error.expect("a line is missing").to_string(), expected);
}

#[test]
fn what_is_no_tape_is_said() {
    assert_eq!(
        said(b""),
        "this is no tape: its first line is not the one that `run --tape` writes (it ends before its first line does)"
    );
    for text in ["apiVersion: v1\n", "{\"class\":\"rejected\"}\n", "[]\n", "\n", "(\n", "(\u{b5}/\u{fd}\n"] {
        assert!(said(text.as_bytes()).starts_with("this is no tape"), "{text}");
    }
    assert_eq!(
        said(b"{\"mesh_tracer_tape\":4,\"everything\":\"else\"}\n"),
        "the tape has format version 4, and 3 is the newest known here: use the mesh-tracer that wrote it"
    );
}

#[test]
fn the_first_line_tells_a_person_what_it_is() {
    let tape = zstd::decode_all(&*tape(&[])).expect("a whole frame");
    let first = tape.split(|byte| *byte == b'\n').next().expect("a first line");
    let expected = format!(
        "{{\"mesh_tracer_tape\":3,\"recorded_by\":\"mesh-tracer {}\",\"kernel\":\"6.18.0\",\"node\":\"n1\",\"boot\":\
         \"2026-11-23T10:00:00.123456789Z\",\"started\":\"2026-11-23T11:00:00Z\",\"first_bytes\":false,\"istio_namespace\":\"mesh\",\"revisions\":[\"canary\"],\
         \"verdict_deadline_ms\":2000,\"stall_deadline_ms\":5500,\"pods_of_all_nodes\":true}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(String::from_utf8_lossy(first), expected);
}

#[test]
fn inputs_are_what_the_engine_is_told() {
    let istio = IstioInstallation::default();
    let at = Ktime(1);
    let event = ClusterEvent::Synced(ObjectKind::ConfigMap);
    let told = Recorded::Cluster { at, event }.into_input(&istio).expect("good values");
    assert!(matches!(told, Some(Input::Facts { at: Ktime(1), delta: Delta::Synced(Kind::MeshConfig) })), "{told:?}");
    let other = ObjectRef { kind: ObjectKind::ConfigMap, namespace: "shop".into(), name: "istio".into() };
    let told = Recorded::Cluster { at, event: ClusterEvent::Deleted(other) }.into_input(&istio).expect("good values");
    assert!(told.is_none(), "{told:?}");
    let told = Recorded::Tick(at).into_input(&istio).expect("good values");
    assert!(matches!(told, Some(Input::Tick(Ktime(1)))), "{told:?}");
}

#[test]
fn a_tape_of_the_first_version_is_read() {
    let text = include_bytes!("v1.jsonl");
    let reader = TapeReader::open(&text[..]).expect("a tape");
    let TapeHeader { started, first_bytes, node, .. } = reader.header();
    assert_eq!((started, first_bytes, node.as_str()), (&None, &true, "n1"));
    let (played, cut, error) = play(text);
    assert!(error.is_none(), "{error:?}");
    assert_eq!((played.len(), cut), (text.split(|byte| *byte == b'\n').count() - 3, None));
}

proptest! {
    #[test]
    fn any_socket_event_is_played_back(events in prop::collection::vec(any_event(), 0..8)) {
        let inputs: Vec<_> = events.into_iter().map(|event| Recorded::Kernel(KernelEvent::Socket(event))).collect();
        let (played, cut, error) = play(&tape(&inputs));
        prop_assert_eq!(played, inputs);
        prop_assert_eq!(cut, None);
        prop_assert!(error.is_none());
    }

    #[test]
    fn a_frame_with_any_other_byte_is_never_taken_for_another_whole_tape(
        noise in any::<u8>(),
        at in any::<prop::sample::Index>(),
    ) {
        let (mut tape, inputs) = (RECORDED.0.clone(), &RECORDED.1);
        let at = at.index(tape.len());
        tape[at] = noise;
        let Ok(mut reader) = TapeReader::open(&*tape) else { return Ok(()) };
        let played: Result<Vec<_>, _> = (&mut reader).collect();
        if let (Ok(played), None) = (&played, reader.cut()) {
            prop_assert_eq!((played, reader.header()), (inputs, &header()), "byte {}", at);
        }
    }

    #[test]
    fn any_bytes_in_the_middle_of_a_tape_never_panic(
        noise in prop::collection::vec(any::<u8>(), 0..64),
        at in any::<prop::sample::Index>(),
        over in 0usize..64,
    ) {
        let mut tape = LINES.clone();
        let first = tape.iter().position(|byte| *byte == b'\n').expect("a first line") + 1;
        let start = first + at.index(tape.len() - first);
        let end = (start + over).min(tape.len());
        tape.splice(start..end, noise);
        play(&tape);
    }
}
