//! One line a flow: when, who to whom, what became of it and why, in at most as many columns as there are.

use super::paint::{End, because, heading};
use crate::command::paint::{DIM, class_style, painted};
use crate::sink::wire::Record;

/// `10:00:00.123 `
const TIME: usize = 13;
/// What the two names share, so that verdicts stand below each other.
const NAMES: usize = 42;
/// With more columns than this, names get the rest ...
const COLUMNS: usize = 120;
/// ... up to so many.
const NAMES_AT_MOST: usize = 72;
/// And what they keep where a verdict needs more.
const NAMES_AT_LEAST: usize = 30;
/// With fewer columns than this, why it is so has a line of its own.
const NARROW: usize = 60;
/// `MESH-ROUTED`; the longer `HEADLESS-FALLBACK` and `UNDETERMINED` stick out.
const HEADING: usize = 11;

pub(super) fn line(record: &Record, columns: usize) -> String {
    if columns < NARROW {
        return two_lines(record, columns);
    }
    let room = columns.saturating_sub(TIME + 2);
    let heading = heading(record);
    let security = if record.security == "unknown" { String::new() } else { format!(" {}", record.security) };
    let mut tail = format!("{}{security}", why(record));
    if NAMES_AT_LEAST + heading.chars().count() + 1 + tail.chars().count() > room {
        tail.truncate(tail.len() - security.len());
    }
    let padded = format!("{heading:<HEADING$}");
    let wanted = (NAMES + columns.saturating_sub(COLUMNS)).min(NAMES_AT_MOST);

    let needs = |heading: &str| heading.chars().count() + 1 + tail.chars().count();
    let heading = if wanted + needs(&padded) <= room { padded } else { heading };
    let names = room.saturating_sub(needs(&heading)).clamp(NAMES_AT_LEAST.min(room), wanted.max(NAMES_AT_LEAST));
    let who = who(record, names);
    let tail = elide_end(&tail, room.saturating_sub(names + heading.chars().count() + 1));

    let time = painted(&record.time.strftime("%H:%M:%S%.3f").to_string(), DIM);
    let heading = painted(&heading, class_style(&record.class));
    format!("{time} {who:<names$}  {heading} {tail}").trim_end().to_owned()
}

/// When, what and who; then why.
fn two_lines(record: &Record, columns: usize) -> String {
    let heading = heading(record);
    let time = record.time.strftime("%H:%M:%S").to_string();
    let who = who(record, columns.saturating_sub(time.len() + heading.chars().count() + 2));
    let margin = " ".repeat(time.len() + 1);
    let why = elide_end(&why(record), columns.saturating_sub(margin.len()));
    format!("{} {} {who}\n{margin}{why}", painted(&time, DIM), painted(&heading, class_style(&record.class)))
}

/// Reason and cause; what was said before, where this corrects it.
fn why(record: &Record) -> String {
    let before = record.revises.as_ref().map(|before| before.reason.as_ref().unwrap_or(&before.class));
    let before = before.map(|before| format!(", was {before}")).unwrap_or_default();
    format!("{}{before}", because(record))
}

fn who(record: &Record, room: usize) -> String {
    pair(&End::from(&record.client).short(), &End::from(&record.server).short(), room)
}

/// Client and server share the room; what one does not need is the other's.
pub(in crate::command) fn pair(client: &str, server: &str, room: usize) -> String {
    const ARROW: &str = " -> ";
    let room = room.saturating_sub(ARROW.len());
    let (left, right) = (client.chars().count(), server.chars().count());
    let left = if left + right <= room { left } else { left.min((room / 2).max(room.saturating_sub(right))) };
    format!("{}{ARROW}{}", elide_middle(client, left), elide_middle(server, room - left))
}

/// The beginning says whose it is, the end which one.
fn elide_middle(text: &str, room: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= room {
        return text.to_owned();
    }
    let kept = room.saturating_sub(1);
    let head = kept / 2;
    chars[..head].iter().chain(&['…']).chain(&chars[chars.len() - (kept - head)..]).collect()
}

fn elide_end(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::wire::{self, Line};
    use serde_json::{Value, json};

    fn record(change: impl FnOnce(&mut Value)) -> Record {
        let mut value = json!({
            "version": "v1", "time": "2026-11-23T10:00:00.123456789Z", "node": "n1", "id": "n1-1-1", "reporter": "source",
            "client": {"ip": "10.244.0.5", "port": 57282, "namespace": "shop", "pod": "web-0", "workload": "web",
                       "workload_kind": "StatefulSet", "mesh": "sidecar"},
            "server": {"ip": "10.244.1.7", "port": 9300, "namespace": "search", "pod": "es-2", "workload": "es",
                       "workload_kind": "StatefulSet", "service": null, "mesh": "sidecar"},
            "class": "rejected", "reason": "plaintext-to-strict", "cause": "port-undeclared", "security": "none",
            "basis": "observed", "candidates": [], "scope": "first-request", "handshake": null, "seen_from": "start",
            "traffic": "app", "legs_ambiguous": false, "revises": null, "outcome": "reset", "connect_us": 410,
            "bytes_sent": 78, "bytes_received": 0, "legs": [], "evidence": [], "drops": [], "explanation": "e",
            "remedy": "r", "events_lost": 0
        });
        change(&mut value);
        match wire::read(&value.to_string()) {
            Ok(Line::Record(record)) => *record,
            other => panic!("{other:?}"),
        }
    }

    fn plain(record: &Record, columns: usize) -> String {
        anstream::adapter::strip_str(&line(record, columns)).to_string()
    }

    #[test]
    fn who_to_whom_what_and_why() {
        assert_eq!(
            plain(&record(|_| ()), 120),
            "10:00:00.123 shop/web-0 -> search/es-2:9300              REJECTED    plaintext-to-strict (port-undeclared) none"
        );
    }

    #[test]
    fn the_longest_of_everything_still_fits() {
        let long = record(|value| {
            value["client"]["pod"] = json!("a-deployment-with-a-long-name-7d4b9c6f58-x7k2p");
            value["server"]["pod"] = json!("another-deployment-with-a-long-name-5f6d8c9b7-q9w8e");
            value["reason"] = json!("tls-without-mesh-certificate");
            value["cause"] = json!("workload-policy-ignored-by-client");
            value["security"] = json!("mutual-tls");
        });
        for columns in [40, 59, 60, 80, 100, 120, 200] {
            for line in plain(&long, columns).lines() {
                assert!(line.chars().count() <= columns, "{columns}: {line}");
            }
        }
        assert_eq!(
            plain(&long, 40),
            "10:00:00 REJECTED shop…7k2p -> sear…9300\n         tls-without-mesh-certificate (…"
        );
        assert_eq!(
            plain(&long, 120),
            "10:00:00.123 shop/a…8-x7k2p -> search…8e:9300  REJECTED tls-without-mesh-certificate (workload-policy-ignored-by-client)"
        );
        assert!(plain(&long, 200).contains("(workload-policy-ignored-by-client) mutual-tls"));
    }

    #[test]
    fn what_has_no_pod_is_called_by_what_it_is() {
        let table = [
            (json!({"pod": null, "pod_unknown": "external"}), "10.244.1.7:9300"),
            (json!({"pod": null, "pod_unknown": "service", "service": "search/es"}), "svc/search/es:9300"),
            (json!({"pod": null, "pod_unknown": "node", "workload": "n2"}), "node/n2:9300"),
            (json!({"ip": "fd00::7", "pod": null, "pod_unknown": "external"}), "[fd00::7]:9300"),
        ];
        for (server, name) in table {
            let record = record(|value| {
                for (key, changed) in server.as_object().into_iter().flatten() {
                    value["server"][key] = changed.clone();
                }
            });
            assert!(plain(&record, 120).contains(&format!("-> {name} ")), "{}", plain(&record, 120));
        }
    }

    #[test]
    fn what_is_open_what_hangs_and_what_was_corrected() {
        let open = record(|value| {
            value["class"] = json!("undetermined");
            value["reason"] = Value::Null;
            value["cause"] = Value::Null;
            value["candidates"] = json!([
                {"class": "rejected", "reason": "blackhole", "cause": null},
                {"class": "opaque-tcp", "reason": "headless-tcp", "cause": null},
                {"class": "rejected", "reason": "blackhole", "cause": "port-undeclared"}
            ]);
        });
        assert!(plain(&open, 120).contains("UNDETERMINED blackhole | headless-tcp none"), "{}", plain(&open, 120));
        let hangs = record(|value| {
            value["class"] = json!("undetermined");
            value["reason"] = Value::Null;
            value["outcome"] = json!("still-connecting");
            value["syn_retransmits"] = json!(1);
        });
        assert!(plain(&hangs, 120).contains("CONNECTING  2 SYNs unanswered"), "{}", plain(&hangs, 120));
        let corrected = record(|value| value["revises"] = json!({"class": "rejected", "reason": "server-first-stall"}));
        assert!(
            plain(&corrected, 140).contains("(port-undeclared), was server-first-stall"),
            "{}",
            plain(&corrected, 140)
        );
    }

    #[test]
    fn colour_repeats_what_the_words_say() {
        let line = line(&record(|_| ()), 120);
        assert!(line.contains("\u{1b}[") && line.contains("REJECTED"));
    }
}
