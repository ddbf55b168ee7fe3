//! What is served, to whom, and what becomes of a stream that nobody reads.

use crate::daemon::{Daemon, MARK, Page, command};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{TrySendError, sync_channel};
use std::time::Duration;

fn ask(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{head}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(page: &Page, path: &str) -> String {
    ask(page.address, &format!("GET {path} HTTP/1.1\r\nhost: {}", page.address))
}

#[test]
fn only_who_has_the_whole_address_reads_anything() {
    let daemon = Daemon::start(String::new(), "{}".to_owned());
    let page = Page::open(&daemon);
    let secret = page.secret().to_owned();
    assert!(page.address.ip().is_loopback());
    assert!(get(&page, &secret).starts_with("HTTP/1.1 200"));
    let wrong = format!("/{}/", "0".repeat(32));
    for path in ["/", "/flows", "/status", "/page.css", &wrong, &format!("{wrong}status")] {
        let answer = get(&page, path);
        assert!(answer.starts_with("HTTP/1.1 403") && !answer.contains(&secret), "{path}: {answer}");
    }
    let other_host = ask(page.address, &format!("GET {secret}status HTTP/1.1\r\nhost: rebound.example"));
    assert!(other_host.starts_with("HTTP/1.1 421"), "{other_host}");
    let post = ask(page.address, &format!("POST {secret}status HTTP/1.1\r\nhost: localhost"));
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
}

#[test]
fn whatever_is_served_forbids_the_browser_to_go_elsewhere() {
    let daemon = Daemon::start(String::new(), r#"{"error":"flow n1-1-1 is not remembered"}"#.to_owned());
    let page = Page::open(&daemon);
    let index = get(&page, page.secret());
    let linked = index
        .split('"')
        .filter(|name| Path::new(name).extension().is_some_and(|e| e == "js" || e == "css" || e == "svg"));
    let mut names: Vec<&str> = linked.collect();
    assert_eq!(names.len(), 3, "{index}");
    names.extend(["classes.js", "detail.js", "filter.js", "flows.js", "graph.js", "legs.js", "list.js", "why.js", ""]);
    for name in names {
        let answer = get(&page, &format!("{}{name}", page.secret()));
        assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
        assert!(answer.contains("content-security-policy: default-src 'none'; script-src 'self'"), "{name}: {answer}");
        assert!(answer.contains("referrer-policy: no-referrer"), "{name}");
        let elsewhere = ["http://", "https://", "//cdn"]
            .iter()
            .filter(|other| answer.replace("http://www.w3.org/2000/svg", "").contains(**other));
        assert_eq!(elsewhere.count(), 0, "{name} names another place");
    }
    let status = get(&page, &format!("{}status", page.secret()));
    assert!(status.contains(r#""node":"n1""#), "{status}");
    let explain = get(&page, &format!("{}explain/n1-1-1", page.secret()));
    assert!(explain.starts_with("HTTP/1.1 502") && explain.contains("not remembered"), "{explain}");
    for nothing in ["explain/", "explain/../status", "explain/a%20b", "main.js/", "../"] {
        let answer = get(&page, &format!("{}{nothing}", page.secret()));
        assert!(answer.starts_with("HTTP/1.1 404"), "{nothing}: {answer}");
    }
}

#[test]
fn flows_come_as_the_daemon_tells_them_and_the_end_has_its_reason() {
    let daemon = Daemon::start("one\ntwo\n".to_owned(), String::new());
    let page = Page::open(&daemon);
    let mut stream = TcpStream::connect(page.address).unwrap();
    write!(stream, "GET {}flows HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", page.secret()).unwrap();
    let more = daemon.readers.recv().unwrap();
    more.send(format!("three\n{MARK}\n")).unwrap();
    drop(more);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let lines: Vec<&str> = answer.lines().filter(|line| !line.trim().is_empty()).collect();
    let told = |what: &str| lines.iter().position(|line| *line == what).unwrap();
    assert!(told("one") < told("two") && told("two") < told("three"), "{answer}");
    assert!(answer.contains(r#"{"error":"the daemon has ended"}"#), "{answer}");
}

/// Looked at after the fact: nobody can be asked any more, and the stream has no end that a browser would take up again.
#[test]
fn a_recording_is_shown_without_a_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("flows.jsonl");
    std::fs::write(&journal, "one\ntwo\n").unwrap();
    let page = Page::of(Command::new(env!("CARGO_BIN_EXE_mesh-tracer")).args(["page", "--journal"]).arg(&journal));
    let mut stream = TcpStream::connect(page.address).unwrap();
    write!(stream, "GET {}flows HTTP/1.1\r\nhost: localhost\r\n\r\n", page.secret()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    for line in ["one", "two"] {
        assert!(lines.any(|said| said == line));
    }
    std::fs::OpenOptions::new().append(true).open(&journal).unwrap().write_all(b"three\n").unwrap();
    assert!(lines.any(|said| said == "three"), "it is followed while it grows");
    let status = get(&page, &format!("{}status", page.secret()));
    assert!(status.starts_with("HTTP/1.1 200") && status.ends_with("\r\n\r\n"), "{status}");
    let explain = get(&page, &format!("{}explain/n1-1-1", page.secret()));
    assert!(explain.starts_with("HTTP/1.1 502") && explain.contains("a recording holds no facts"), "{explain}");
}

#[test]
fn a_browser_that_takes_nothing_costs_no_memory_and_the_daemon_hears_of_it() {
    let daemon = Daemon::start(String::new(), String::new());
    let page = Page::open(&daemon);
    let mut stream = TcpStream::connect(page.address).unwrap();
    write!(stream, "GET {}flows HTTP/1.1\r\nhost: localhost\r\n\r\n", page.secret()).unwrap();
    let more = daemon.readers.recv().unwrap();
    let before = page.resident_kb();
    // The daemon can pass on no more than what lies between it and the browser.
    let line = format!("{}\n", "x".repeat(1 << 20));
    let mut taken = 0;
    let stuck = loop {
        match more.try_send(line.clone()) {
            Ok(()) => taken += 1,
            Err(TrySendError::Full(_)) => {
                // Full for as long as a daemon waits before it drops a reader: nobody takes anything.
                let (_never, wait) = sync_channel::<()>(0);
                let _ = wait.recv_timeout(Duration::from_millis(500));
                if matches!(more.try_send(line.clone()), Err(TrySendError::Full(_))) {
                    break true;
                }
                taken += 1;
            }
            Err(TrySendError::Disconnected(_)) => break false,
        }
        assert!(taken < 1000, "it takes all that comes");
    };
    assert!(stuck, "the reader is still there");
    let grown = page.resident_kb().saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} kB");
}

#[test]
fn what_cannot_be_served_is_said_at_once() {
    let told = |output: std::process::Output| (output.status.code(), String::from_utf8(output.stderr).unwrap());
    let (code, said) = told(command(Path::new("/nowhere/flows.sock"), &[]).output().unwrap());
    assert!(code == Some(3) && said.contains("mesh-tracer run"), "{said}");
    let daemon = Daemon::start(String::new(), String::new());
    let (code, said) = told(command(&daemon.socket(), &["--listen", "0.0.0.0:0"]).output().unwrap());
    assert!(code == Some(2) && said.contains("0.0.0.0:0 is not on loopback"), "{said}");
    let page = Page::open(&daemon);
    let (code, said) = told(command(&daemon.socket(), &["--listen", &page.address.to_string()]).output().unwrap());
    assert!(code == Some(3) && said.contains("is in use"), "{said}");
}
