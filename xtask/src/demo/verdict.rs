//! Which record speaks of which call, and whether it says what really happened.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::Value;

/// A call that the lab has made, and what is known to become of it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) from: String,
    to: SocketAddr,
    /// The application's own end of the connection.
    local: Option<SocketAddr>,
    truth: Value,
}

/// Each call with the latest record that speaks of it.
#[derive(Debug)]
pub(super) struct Verdicts {
    pairs: Vec<(Call, Option<Value>)>,
}

impl Call {
    /// One line of `tracer-lab run --json`.
    pub(super) fn parse(line: &str) -> Result<Self> {
        let value: Value =
            serde_json::from_str(line).with_context(|| format!("the lab said what is not JSON: {line}"))?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let address = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
        let missing = || format!("the lab named a call without id, from, to or truth: {line}");
        Ok(Self {
            id: text(&value["id"]).with_context(missing)?,
            from: text(&value["from"]).with_context(missing)?,
            to: address(&value["to"]).with_context(missing)?,
            local: address(&value["result"]["local"]),
            truth: value.get("truth").cloned().with_context(missing)?,
        })
    }

    /// By the connection's own four-tuple. An application that never got a connection may not know its end of it: then
    /// by the pod and by whom it dialled.
    fn is_told_by(&self, record: &Value) -> bool {
        let to = address(&record["server"]) == Some(self.to);
        match self.local {
            Some(local) => to && address(&record["client"]) == Some(local),
            None => to && pod(&record["client"]) == self.from,
        }
    }

    /// What is wrong with `record` as the verdict on this call.
    fn difference(&self, record: &Value) -> Option<String> {
        let truth = &self.truth;
        for word in ["class", "reason"] {
            if record[word] != truth[word] {
                return Some(format!("{word} is {}, expected {}", record[word], truth[word]));
            }
        }
        let causes = truth["causes"].as_array().map_or(&[][..], Vec::as_slice);
        if !causes.is_empty() && !causes.contains(&record["cause"]) {
            return Some(format!("cause is {}, expected one of {}", record["cause"], truth["causes"]));
        }
        if !truth["security"].is_null() && record["security"] != truth["security"] {
            return Some(format!("security is {}, expected {}", record["security"], truth["security"]));
        }
        None
    }
}

impl Verdicts {
    pub(super) fn new(calls: Vec<Call>) -> Self {
        Self { pairs: calls.into_iter().map(|call| (call, None)).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Call, Option<Value>)> {
        self.pairs.iter()
    }

    /// A later record of the same call is a revision; the destination's view does not replace the source's.
    pub(super) fn take(&mut self, record: Value) {
        let Some((_, known)) = self.pairs.iter_mut().find(|(call, _)| call.is_told_by(&record)) else { return };
        let from_source = |record: &Value| record["reporter"] == "source";
        if !known.as_ref().is_some_and(|known| from_source(known) && !from_source(&record)) {
            *known = Some(record);
        }
    }

    /// Nothing is missing and nothing is wrong: no later record could make it better.
    pub(super) fn complete(&self) -> bool {
        self.wrong().is_empty()
    }

    pub(super) fn wrong(&self) -> Vec<String> {
        let wrong = |(call, record): &(Call, Option<Value>)| {
            let difference = match record {
                Some(record) => call.difference(record)?,
                None => "no record".to_owned(),
            };
            Some(format!("{} ({} -> {}): {difference}", call.id, call.from, call.to))
        };
        self.pairs.iter().filter_map(wrong).collect()
    }
}

/// `namespace/pod` of one end of a record.
pub(super) fn pod(party: &Value) -> String {
    match (party["namespace"].as_str(), party["pod"].as_str()) {
        (Some(namespace), Some(pod)) => format!("{namespace}/{pod}"),
        _ => party["ip"].as_str().unwrap_or("?").to_owned(),
    }
}

fn address(party: &Value) -> Option<SocketAddr> {
    let ip = party["ip"].as_str()?.parse().ok()?;
    let port = party["port"].as_u64()?.try_into().ok()?;
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(local: &str) -> Call {
        let line = json!({
            "id": "a", "from": "shop/cart-0", "to": "10.0.0.2:80", "result": { "local": local },
            "truth": { "class": "rejected", "reason": "r", "causes": ["c", "d"], "security": null, "accepted": false },
        });
        Call::parse(&line.to_string()).unwrap()
    }

    fn record(client_port: u16, reporter: &str, cause: &str) -> Value {
        json!({
            "reporter": reporter, "class": "rejected", "reason": "r", "cause": cause, "security": "none",
            "client": { "ip": "10.0.0.1", "port": client_port, "namespace": "shop", "pod": "cart-0" },
            "server": { "ip": "10.0.0.2", "port": 80 },
        })
    }

    #[test]
    fn a_record_is_matched_by_the_connection_and_judged_by_any_true_cause() {
        let mut verdicts = Verdicts::new(vec![call("10.0.0.1:4000")]);
        verdicts.take(record(4001, "source", "c"));
        assert_eq!(verdicts.wrong(), ["a (shop/cart-0 -> 10.0.0.2:80): no record"]);
        verdicts.take(record(4000, "source", "d"));
        assert!(verdicts.complete());
    }

    #[test]
    fn a_revision_replaces_and_the_other_end_does_not() {
        let mut verdicts = Verdicts::new(vec![call("10.0.0.1:4000")]);
        verdicts.take(record(4000, "source", "x"));
        assert!(
            verdicts.wrong()[0].contains("cause is \"x\", expected one of [\"c\",\"d\"]"),
            "{:?}",
            verdicts.wrong()
        );
        verdicts.take(record(4000, "source", "c"));
        verdicts.take(record(4000, "destination", "x"));
        assert!(verdicts.complete());
    }

    #[test]
    fn a_call_that_never_got_a_connection_is_matched_by_its_pod() {
        let mut verdicts = Verdicts::new(vec![call("")]);
        verdicts.take(record(4000, "source", "c"));
        assert!(verdicts.complete());
    }
}
