//! Ten thousand flows, made of those of a real mesh: other names, other times, the same legs and evidence.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const NAMESPACES: [&str; 9] =
    ["shop", "data", "search", "monitoring", "payments", "identity", "edge", "batch", "legacy"];

/// Records of the demo's mesh, one a line.
fn templates() -> Vec<Value> {
    let tape = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tapes/demo/expected.jsonl");
    let text = fs::read_to_string(tape).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines of flows `from..to`.
pub(crate) fn lines(from: usize, to: usize) -> String {
    let templates = templates();
    let mut text = String::new();
    for number in from..to {
        let mut record = templates[number * 7 % templates.len()].clone();
        let turn = number / templates.len();
        for end in ["client", "server"] {
            // The first of them stay as they are: somebody looks for shop/cart-0.
            if turn > 0
                && let Some(namespace) = record[end]["namespace"].as_str()
            {
                let at = NAMESPACES.iter().position(|name| *name == namespace).unwrap_or_default();
                record[end]["namespace"] = json!(NAMESPACES[(at + turn % 5) % NAMESPACES.len()]);
            }
        }
        let seconds = number / 20;
        record["time"] = json!(format!(
            "2026-11-24T{:02}:{:02}:{:02}.{:03}000000Z",
            5 + seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            number % 20 * 50
        ));
        record["id"] = json!(format!("n1-1-{number}"));
        text.push_str(&record.to_string());
        text.push('\n');
    }
    text
}
