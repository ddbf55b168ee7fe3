//! Questions that cannot be answered: each has its error in its place, the others their answer.

use crate::{answers, cluster, file};
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::sync::mpsc;
use tracer_daemon::command::Failure;
use tracer_daemon::command::explain::{Format, batch};

const DEMO: &str = "../tracer-lab/meshes/demo/cluster.yaml";
const GOOD: &str = r#"{"id":"good","from":"search/es-0","to":"10.244.1.21:9300","send":"tcp"}"#;

/// The error of one line between two good ones.
fn error_of(line: &str) -> (Value, String) {
    let (answered, ended) = answers(&mut cluster(&file(DEMO)), &format!("{GOOD}\n{line}\n{GOOD}\n"));
    assert_eq!(answered.len(), 3, "{line}: {answered:?}");
    assert_eq!((&answered[0]["id"], &answered[2]["class"]), (&json!("good"), &json!("rejected")), "{line}");
    let Err(Failure::Input(error)) = ended else { panic!("{line}: {ended:?}") };
    let said = format!("{error:#}");
    assert!(said.starts_with("1 of 3 lines of the batch") && said.contains("the first is line 2"), "{said}");
    (answered[1]["id"].clone(), answered[1]["error"].as_str().expect("an error").to_owned())
}

#[test]
fn a_bad_line_says_what_is_wrong_with_it_in_its_place() {
    for (line, id, said) in [
        ("nonsense", Value::Null, "this is no JSON object: "),
        ("[1]", Value::Null, "this is no JSON object: "),
        (r#"{"id":7,"from":"search/es-0"}"#, json!(7), "to is missing: a line is {\"id\":1,"),
        (r#"{"id":7,"to":"10.0.0.1:80"}"#, json!(7), "from is missing"),
        (r#"{"id":7,"from":"search/es-0","to":9300}"#, json!(7), "to is a number, not text: 9300"),
        (
            r#"{"id":7,"from":"es-0","to":"10.0.0.1:80"}"#,
            json!(7),
            "from \"es-0\" is neither namespace/pod, such as shop/web-0, nor an ip",
        ),
        (r#"{"id":7,"from":"a/b/c","to":"10.0.0.1:80"}"#, json!(7), "from \"a/b/c\" is neither"),
        (
            r#"{"id":7,"from":"search/no","to":"10.0.0.1:80"}"#,
            json!(7),
            "pod search/no is not among the facts: give its object with --facts",
        ),
        (
            r#"{"id":7,"from":"search/es-0","to":"10.0.0.1"}"#,
            json!(7),
            "to \"10.0.0.1\" has no port: ip:port is expected",
        ),
        (
            r#"{"id":7,"from":"search/es-0","to":"fd00::7"}"#,
            json!(7),
            "to \"fd00::7\" has no port: ip:port is expected, such as 10.244.1.7:9300 or [fd00::7]:9300",
        ),
        (r#"{"id":7,"from":"search/es-0","to":"10.0.0.1:0"}"#, json!(7), "to \"10.0.0.1:0\" has port 0"),
        (r#"{"id":7,"from":"search/es-0","to":"10.0.0.1:70000"}"#, json!(7), "to \"10.0.0.1:70000\" is no address"),
        (
            r#"{"id":7,"from":"search/es-0","to":"es:9300"}"#,
            json!(7),
            "to \"es:9300\" is no address (names are not looked up)",
        ),
        (
            r#"{"id":7,"from":"search/es-0","to":"10.0.0.1:80","send":"udp"}"#,
            json!(7),
            "send \"udp\" is none of http, http2, tls, tcp, none",
        ),
        (r#"{"id":7,"from":"search/es-0","to":"10.0.0.1:80","uid":-1}"#, json!(7), "uid -1 is no uid"),
        (r#"{"id":7,"from":"search/es-0","to":"10.0.0.1:80","alpn":[1]}"#, json!(7), "alpn is a number, not text: 1"),
    ] {
        let (found, error) = error_of(line);
        assert_eq!(found, id, "{line}");
        assert!(error.starts_with(said), "{line}: {error}");
    }
}

#[test]
fn a_line_without_end_is_passed_over() {
    let (id, error) = error_of(&"x".repeat(3 << 20));
    assert_eq!((id, error.as_str()), (Value::Null, "the line is longer than 1048576 bytes"));
}

#[test]
fn bytes_that_are_no_text_are_no_json() {
    let mut questions = GOOD.as_bytes().to_vec();
    questions.extend(b"\n{\"id\":1,\"from\":\"\xff\xfe\"}\n\n  \n");
    questions.extend(GOOD.as_bytes());
    let mut out = Vec::new();
    let ended = batch(&mut cluster(&file(DEMO)), &*questions, Format::Text, &[], &mut out);
    assert!(matches!(ended, Err(Failure::Input(_))));
    let text = String::from_utf8(out).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "blank lines are no questions, and the last needs no newline: {text}");
    assert!(lines[1].starts_with("error: this is no JSON object"), "{text}");
}

/// A reader that gives one question and then waits until its answer was seen.
#[test]
fn an_answer_is_out_before_the_next_question_is_waited_for() {
    struct OneByOne {
        left: u32,
        answered: mpsc::Receiver<()>,
    }
    impl Read for OneByOne {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.left < 3 {
                self.answered.recv_timeout(std::time::Duration::from_secs(10)).expect("the answer comes first");
            }
            if self.left == 0 {
                return Ok(0);
            }
            self.left -= 1;
            let line = format!("{GOOD}\n");
            into[..line.len()].copy_from_slice(line.as_bytes());
            Ok(line.len())
        }
    }
    struct Answered(mpsc::SyncSender<()>);
    impl Write for Answered {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            assert_eq!(bytes.last(), Some(&b'\n'), "whole lines");
            self.0.send(()).expect("the reader is there");
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (answer, answered) = mpsc::sync_channel(8);
    let questions = OneByOne { left: 3, answered };
    batch(&mut cluster(&file(DEMO)), questions, Format::Json, &[], &mut Answered(answer)).expect("good lines");
}
