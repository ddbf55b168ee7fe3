//! `cargo xtask demo --kube`, the second part: a Service, a policy and a pod change under the tracer, and with each the
//! verdict on one and the same call. The proxies of the lab know nothing of it: what they do stays as it was.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::collect;
use super::verdict::{Call, Verdicts};
use crate::api_server::ApiServer;
use crate::processes::{Tracer, pause};

/// One object that comes and goes, and a call on which its coming and going tells.
struct Act {
    story: &'static str,
    /// What the kind is called in the tracer's account of itself, and the object.
    kind: &'static str,
    object: &'static str,
    from: &'static str,
    request: fn() -> Value,
    /// Class and reason without the object, and with it.
    without: (&'static str, &'static str),
    with: (&'static str, &'static str),
}

fn acts() -> [Act; 3] {
    [
        Act {
            story: "A headless Service declares the legacy pod's port",
            kind: "Service",
            object: include_str!("live/service.yaml"),
            from: "shop/cart-0",
            request: || json!({ "to": "10.244.1.61:7000", "send": "tcp" }),
            without: ("unmeshed", "passthrough"),
            with: ("opaque-tcp", "headless-tcp"),
        },
        Act {
            story: "A policy lets plaintext in, and the proxies are not told: facts and evidence part",
            kind: "PeerAuthentication",
            object: include_str!("live/policy.yaml"),
            from: "monitoring/prometheus-0",
            request: || json!({ "to": "10.244.1.20:9114", "send": "http", "host": "10.244.1.20:9114" }),
            without: ("rejected", "plaintext-to-strict"),
            with: ("undetermined", "facts-contradict-evidence"),
        },
        Act {
            story: "A new pod is given the address of one that is gone, and does not answer yet",
            kind: "Pod",
            object: include_str!("live/pod.yaml"),
            from: "monitoring/prometheus-0",
            request: || {
                let to = "10.244.1.99:8080";
                json!({ "to": to, "send": "http", "host": to, "connect_timeout_ms": 1500 })
            },
            without: ("rejected", "stale-pod-ip"),
            with: ("rejected", "abandoned"),
        },
    ]
}

/// What was not as expected.
pub(super) fn play(tracer: &Tracer, server: &mut ApiServer, records: &Receiver<String>) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    println!("\nNow the cluster changes under it, three times, and back:");
    for (number, act) in acts().iter().enumerate() {
        println!("\n{}", act.story);
        let file = tracer.folder.join(format!("live-{number}.yaml"));
        fs::write(&file, act.object).with_context(|| format!("cannot write {}", file.display()))?;
        let file = file.display();
        let known = objects(tracer, act.kind)?;
        let steps = [
            (None, 0, "before", act.without),
            (Some(format!("put {file}")), 1, "with it", act.with),
            (Some(format!("delete {file}")), 0, "without", act.without),
        ];
        for (change, more, when, expected) in steps {
            if let Some(words) = change {
                server.tell(&words)?;
                wait_for(tracer, act.kind, known + more)?;
            }
            wrong.extend(called(tracer, act, when, expected, records)?);
        }
    }
    Ok(wrong)
}

/// Makes the call and says what is wrong with the verdict on it.
fn called(
    tracer: &Tracer,
    act: &Act,
    when: &str,
    (class, reason): (&str, &str),
    records: &Receiver<String>,
) -> Result<Vec<String>> {
    let mut line = (act.request)();
    let result = client(tracer, act.from, &line)?;
    line["id"] = json!(format!("{}, {when}", act.story));
    line["from"] = json!(act.from);
    line["result"] = result;
    line["truth"] = json!({ "class": class, "reason": reason, "causes": [], "security": null, "accepted": false });
    let mut verdicts = Verdicts::new(vec![Call::parse(&line.to_string())?]);
    collect(records, &mut verdicts);
    Ok(verdicts.wrong())
}

/// The application in the pod `from` does it; what it saw.
fn client(tracer: &Tracer, from: &str, request: &Value) -> Result<Value> {
    let program = tracer.programs.join("tracer-lab");
    let mut command = Command::new(&program);
    command.args(["exec", "--uid", "2000", from, "--"]).arg(&program).arg("pod-client");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start a client in a pod")?;
    let order = json!({ "token": 0, "request": request, "certificates": null });
    writeln!(child.stdin.as_ref().context("a client without a pipe")?, "{order}").context("the client has ended")?;
    // It ends when its stdin does, so that stays open until it has answered.
    let mut answer = String::new();
    let stdout = child.stdout.take().context("a client without a pipe")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut answer)?;
    drop(child.stdin.take());
    child.wait().context("the client vanished")?;
    let mut said: Value = serde_json::from_str(&answer).with_context(|| format!("the client of {from}: {answer:?}"))?;
    Ok(said["result"].take())
}

fn objects(tracer: &Tracer, kind: &str) -> Result<u64> {
    let status = tracer.status()?;
    let mut kinds = status["facts"].as_array().into_iter().flatten();
    let facts = kinds.find(|facts| facts["kind"] == kind).with_context(|| format!("no word of {kind} in status"))?;
    facts["objects"].as_u64().with_context(|| format!("no count of {kind} in status"))
}

fn wait_for(tracer: &Tracer, kind: &str, count: u64) -> Result<()> {
    for _ in 0..20 {
        if objects(tracer, kind)? == count {
            return Ok(());
        }
        pause();
    }
    bail!(
        "mesh-tracer has not been told of a {kind} after 10 s: see {}",
        tracer.folder.join("mesh-tracer.log").display()
    )
}
