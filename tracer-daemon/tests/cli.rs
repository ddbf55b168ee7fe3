//! The built binary from outside: what it says, where, and with which exit status.

#![expect(clippy::unwrap_used, reason = "in a test an unwrap is an assertion with a line number")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tracer_daemon::cli::Cli;

fn tracer(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-tracer"));
    for name in ["RUST_LOG", "NODE_NAME", "NO_COLOR", "KUBECONFIG", "KUBERNETES_SERVICE_HOST"] {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    tracer(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Fails with this status and one line that has all these words.
fn refused(output: &Output, status: i32, words: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    for word in words {
        assert!(said.contains(word), "{word:?} in {said}");
    }
}

const FACTS: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";

fn facts(dir: &Path) -> String {
    write(dir, "cluster.yaml", FACTS)
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_help_opens_with_an_example_of_its_own_command() {
    for command in ["run", "observe", "why", "explain", "replay", "check", "status", "page", "completions"] {
        let output = run(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output);
        let example = text.lines().next().unwrap();
        let words = example.trim().trim_start_matches("sudo ");
        assert!(words.starts_with(&format!("mesh-tracer {command}")), "{example}");
    }
    let text = stdout(&run(&["--help"]));
    assert!(text.lines().next().unwrap().contains("mesh-tracer run --facts"), "{text}");
}

#[test]
fn the_examples_parse() {
    // With a socket and facts that are not there, a good command line ends with 3 or 2 for another reason than usage.
    let dir = tempfile::tempdir().unwrap();
    for command in ["run", "observe", "why", "explain", "replay", "check", "status", "page", "completions"] {
        let text = stdout(&run(&[command, "--help"]));
        let example = text.lines().next().unwrap().trim().trim_start_matches("sudo ").to_owned();
        let words: Vec<&str> = example.split(" > ").next().unwrap().split(' ').skip(1).collect();
        if command == "check" {
            continue;
        }
        let output = tracer(&words).current_dir(dir.path()).output().unwrap();
        assert!(!stderr(&output).contains("Usage:"), "{example}: {}", stderr(&output));
    }
}

/// Run they are elsewhere, most by the cluster's test.
#[test]
fn what_the_pages_show_parses() {
    let mut shown = 0;
    for page in ["README.md", "docs/install.md", "docs/oncall.md"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page)).unwrap();
        for block in text.split("```\n").skip(1).step_by(2) {
            for line in block.lines() {
                let line = line.trim_start_matches("$ ").trim_start_matches("kubectl ");
                let Some(line) = line.strip_prefix("mesh-tracer ") else { continue };
                let words = line.split(" #").next().unwrap().split('|').next().unwrap().split_whitespace();
                let words: Vec<_> = ["mesh-tracer"].into_iter().chain(words).map(Into::into).collect();
                if let Err(error) = Cli::parse_all(words) {
                    panic!("{page}: {line}: {error}");
                }
                shown += 1;
            }
        }
    }
    assert!(shown > 20, "{shown}");
}

/// kubectl looks for a program of this name on the PATH, and runs it with what comes after its own.
#[test]
fn it_is_a_plugin_of_kubectl_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = dir.path().join("kubectl-mesh_tracer");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mesh-tracer"), &plugin).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", "exec kubectl-mesh_tracer \"$@\"", "sh"]).args(args).stdin(Stdio::null());
        command.env("PATH", format!("{}:/usr/bin:/bin", dir.path().display())).output().unwrap()
    };
    let help = stdout(&run(&["why", "--help"]));
    assert!(help.contains("Usage: kubectl mesh-tracer why"), "{help}");
    let version = stdout(&run(&["--version"]));
    assert_eq!(version, stdout(&tracer(&["--version"]).output().unwrap()));
    let wrong = run(&["why"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("Usage: kubectl mesh-tracer why"), "{}", stderr(&wrong));
}

#[test]
fn bad_usage_is_two_and_lists_what_is_valid() {
    for (args, words) in [
        (&["observe", "--class", "reject"][..], &["rejected", "headless-fallback", "undetermined"][..]),
        (&["observe", "--reason", "nope"], &["plaintext-to-strict", "blackhole"]),
        (&["observe", "--cause", "nope"], &["port-undeclared"]),
        (&["observe", "--reporter", "both"], &["source", "destination"]),
        (&["observe", "--pod", "web-0"], &["namespace/pod"]),
        (&["observe", "--ip", "10.0.0.300"], &["10.244.0.0/16"]),
        (&["observe", "--since", "yesterday"], &["5m"]),
        (&["observe", "--port", "70000"], &["65535"]),
        (&["observe", "--not"], &["--not needs a filter"]),
        (&["observe", "--not", "--not", "--rejected"], &["twice"]),
        (&["observe", "--follow", "--until", "5m"], &["--until"]),
        (&["observe", "--journal", "a", "--socket", "b"], &["--socket"]),
        (&["run", "--facts", "x", "--journal-size", "lots"], &["256MiB"]),
        (&["run", "--facts", "x", "--journal-size", "1KiB"], &["at least"]),
        (&["run", "--facts", "x", "--verdict-deadline", "0s"], &["longer than nothing"]),
        (&["run", "--facts", "x", "--listen", "9464"], &["--listen"]),
        (&["frobnicate"], &["Usage"]),
        (&[], &["Usage"]),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        for word in words {
            assert!(stderr(&output).contains(word), "{args:?}: {word:?} in {}", stderr(&output));
        }
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_configuration_that_makes_no_sense_is_told_in_one_line() {
    refused(&run(&["run"]), 2, &["no facts", "--facts FILE"]);
    refused(
        &run(&["run", "--facts", "x", "--scope", "all", "--pod-cidr", "10.0.0.0/8"]),
        2,
        &["--pod-cidr", "--scope all"],
    );
    refused(
        &run(&["run", "--facts", "x", "--verdict-deadline", "9s"]),
        2,
        &["--verdict-deadline 9s", "--stall-deadline 5s"],
    );
    refused(&run(&["run", "--facts", "x", "--node-name", ""]), 2, &["--node-name is empty"]);
    refused(&run(&["status", "--log", "a=b=c"]), 2, &["--log", "a=b=c"]);
}

#[test]
fn facts_that_cannot_be_read_are_named_before_anything_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let run = |facts: &str| {
        let socket = dir.path().join("s").display().to_string();
        tracer(&["run", "--facts", facts, "--listen", "127.0.0.1:0", "--socket", &socket, "--log", "error"])
            .output()
            .unwrap()
    };
    refused(&run("/nowhere/cluster.yaml"), 2, &["/nowhere/cluster.yaml"]);
    refused(
        &run(&write(dir.path(), "half.yaml", "kind: Pod\nmetadata: {name: [\n")),
        2,
        &["half.yaml", "document 1", "line"],
    );
    refused(&run(&write(dir.path(), "not.yaml", "\tno: yaml: at: all")), 2, &["not.yaml", "line 1"]);
    assert!(!dir.path().join("s").exists(), "the socket is gone again");
}

#[test]
fn what_is_taken_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let facts = facts(dir.path());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let socket = dir.path().join("flows.sock").display().to_string();
    let run = |more: &[&str]| tracer(&[&["run", "--facts", &facts, "--log", "error"], more].concat()).output().unwrap();
    refused(&run(&["--listen", &address, "--socket", &socket]), 3, &[&address, "in use", "--listen ADDR:PORT"]);

    let journal = "/nowhere/flows.jsonl";
    let output = run(&["--listen", "127.0.0.1:0", "--socket", &socket, "--journal", journal]);
    refused(&output, 3, &[journal, "--journal FILE"]);

    let _running = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    refused(&run(&["--listen", "127.0.0.1:0", "--socket", &socket]), 3, &["already running", &socket, "--socket PATH"]);
}

#[test]
fn a_daemon_that_does_not_run_is_told_with_where_to_look() {
    let socket = "/nowhere/flows.sock";
    for command in [&["observe", "--socket", socket][..], &["status", "--socket", socket]] {
        refused(&run(command), 3, &[socket, "mesh-tracer run --facts", "--journal FILE"]);
    }
}

#[test]
fn the_file_says_what_flags_say_and_a_flag_wins() {
    let dir = tempfile::tempdir().unwrap();
    let good = write(
        dir.path(),
        "good.toml",
        "facts = [\"/nowhere/a.yaml\", \"/nowhere/b.yaml\"]\nlisten = \"127.0.0.1:0\"\nfirst-bytes = false\n\
         verdict-deadline = \"9s\"\njournal-size = 1048576\n",
    );
    let deadlines = ["--verdict-deadline 9s", "--stall-deadline 5s"];
    refused(&run(&["run", "--config", &good]), 2, &deadlines);
    let socket = dir.path().join("s").display().to_string();
    let flags = ["run", "--config", &good, "--verdict-deadline", "2s", "--socket", &socket, "--log", "error"];
    refused(&run(&flags), 2, &["/nowhere/a.yaml"]);
    refused(&run(&[&flags[..], &["--facts", "/nowhere/flag.yaml"]].concat()), 2, &["/nowhere/flag.yaml"]);

    for (text, words) in [
        ("journa = \"x\"", &["unknown key \"journa\"", "journal-size", "verdict-deadline"][..]),
        ("config = \"x\"", &["unknown key \"config\""]),
        ("listen = \"nonsense\"", &["key \"listen\"", "nonsense"]),
        ("listen = 1.5", &["key \"listen\"", "float"]),
        ("[run]\nlisten = \"x\"", &["unknown key \"run\""]),
        ("scope = \"some\"", &["key \"scope\"", "pods", "all"]),
        ("listen = ", &["bad.toml", "line 1"]),
    ] {
        let bad = write(dir.path(), "bad.toml", text);
        refused(&run(&["run", "--config", &bad]), 2, &[&[bad.as_str()], words].concat());
    }
    refused(&run(&["run", "--config", "/nowhere/c.toml"]), 2, &["/nowhere/c.toml", "--config FILE"]);
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let mut child = tracer(&["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn completions_are_scripts_of_their_shells() {
    for (shell, word) in [("bash", "complete -F"), ("zsh", "#compdef mesh-tracer"), ("fish", "complete -c mesh-tracer")]
    {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains(word), "{shell}");
    }
}

#[test]
fn check_tells_every_condition_and_bad_facts_with_the_fix_beside() {
    let dir = tempfile::tempdir().unwrap();
    let mut half = std::fs::File::create(dir.path().join("half.yaml")).unwrap();
    half.write_all(b"kind: Pod\nmetadata: {").unwrap();
    let output = tracer(&["check", "--facts", "half.yaml"]).current_dir(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    for word in ["kernel", "btf", "cgroup2", "CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN", "facts"] {
        assert!(text.lines().any(|line| line.split_whitespace().nth(1) == Some(word)), "{word} in {text}");
    }
    let facts = text.lines().find(|line| line.contains(" facts ")).unwrap();
    assert!(facts.starts_with("NO") && facts.contains("half.yaml") && facts.contains("fix:"), "{facts}");
    assert!(!text.contains('\u{1b}'), "no colour in a pipe");
    let colour = tracer(&["check", "--color", "always"]).output().unwrap();
    assert!(stdout(&colour).contains('\u{1b}'));
}

#[test]
fn check_says_whom_run_would_trace_on_this_node() {
    let cluster = concat!(env!("CARGO_MANIFEST_DIR"), "/../tracer-lab/meshes/demo/cluster.yaml");
    let scope = |node: &str| {
        let output = tracer(&["check", "--facts", cluster, "--node-name", node]).output().unwrap();
        let text = stdout(&output);
        text.lines().find(|line| line.contains(" scope ")).map_or_else(|| panic!("{text}"), str::to_owned)
    };
    let known = scope("node-1");
    assert!(known.starts_with("ok") && known.contains("node node-1"), "{known}");
    let unknown = scope("laptop");
    assert!(unknown.starts_with("less") && unknown.contains("all connections"), "{unknown}");
    assert!(unknown.contains("--node-name") && unknown.contains("--pod-cidr"), "{unknown}");
}

#[test]
fn without_root_it_says_which_capability_is_missing() {
    // setpriv drops every capability: the user is root by name only.
    let dir = tempfile::tempdir().unwrap();
    let facts = facts(dir.path());
    let socket = dir.path().join("s").display().to_string();
    let drop = ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs", "--"];
    let daemon = [
        env!("CARGO_BIN_EXE_mesh-tracer"),
        "run",
        "--facts",
        &facts,
        "--listen",
        "127.0.0.1:0",
        "--socket",
        &socket,
        "--log",
        "error",
    ];
    let output = Command::new("setpriv").args(drop).args(daemon).stdin(Stdio::null()).output().unwrap();
    refused(&output, 3, &["capability BPF is missing", "run as root"]);
    let check = [env!("CARGO_BIN_EXE_mesh-tracer"), "check"];
    let output = Command::new("setpriv").args(drop).args(check).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("CAP_BPF"), "{}", stdout(&output));
}

#[test]
fn explain_needs_one_question_and_facts() {
    let dir = tempfile::tempdir().unwrap();
    let facts = facts(dir.path());
    for (args, words) in [
        (&["explain"][..], &["<FLOW_ID|--batch <FILE|->|--from"][..]),
        (&["explain", "--from", "a/b", "--facts", &facts], &["--to <IP:PORT>"]),
        (&["explain", "--from", "a/b", "--to", "10.0.0.1:80"], &["no facts are given", "--kube", "--facts FILE"]),
        (
            &["explain", "--from", "a/b", "--to", "10.0.0.1:80", "--facts", &facts, "--kube"],
            &["--facts and --kube are given together"],
        ),
        (&["explain", "n1-1-1", "--facts", &facts], &["cannot be used with"]),
        // That of the flow's own node is asked, through the API server.
        (&["explain", "n1-1-1", "--kube=test"], &["cannot read kubeconfig"]),
        (&["explain", "n1-1-1", "--from", "a/b"], &["cannot be used with"]),
        (&["explain", "--from", "a/b", "--to", "10.0.0.1:80", "--facts", &facts, "--host", "x"], &["--send <WHAT>"]),
        (
            &["explain", "--batch", "-", "--facts", &facts, "--fail-on", "refused"],
            &["rejected, unmeshed, undetermined"],
        ),
    ] {
        let output = run(args);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{word:?} in {said}");
        }
    }
    refused(
        &run(&["explain", "--batch", "-", "--facts", "-"]),
        2,
        &["--facts - and --batch -", "give one of them a file"],
    );
    refused(&run(&["explain", "--batch", "/no/such", "--facts", &facts]), 2, &["/no/such", "name a file"]);
    let asked = ["explain", "--from", "a/b", "--to", "10.0.0.1:80", "--facts", &facts];
    refused(&run(&asked), 2, &["pod a/b is not among the facts"]);
    refused(&run(&["explain", "n1-1-1", "--socket", "/no/such.sock"]), 3, &["/no/such.sock", "no daemon is running"]);
}

#[test]
fn explain_says_what_it_knows_and_how_it_ended() {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../tracer-lab/meshes/demo/cluster.yaml");
    let asked = ["explain", "--facts", demo, "--from", "search/es-0", "--to", "10.244.1.21:9300", "--send", "tcp"];
    let output = run(&asked);
    assert_eq!(output.status.code(), Some(0), "whatever the verdict: {}", stderr(&output));
    assert!(stdout(&output).starts_with("REJECTED  plaintext-to-strict (port-undeclared)"), "{}", stdout(&output));
    let output = run(&[&asked[..], &["-o", "json", "--fail-on", "undetermined,rejected"]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).starts_with(r#"{"version":"v1","class":"rejected""#), "{}", stdout(&output));
    let mut child = tracer(&["explain", "--facts", demo, "--batch", "-", "-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"{\"id\":1}\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(stdout(&output).starts_with(r#"{"id":1,"error":"from is missing"#), "{}", stdout(&output));
    refused(&output, 2, &["1 of 1 lines"]);
}
