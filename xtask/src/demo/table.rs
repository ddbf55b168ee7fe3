//! The end of the demo: story, verdict, why, remedy.

use std::process::{Command, Stdio};

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};
use serde_json::Value;

use super::story;
use super::verdict::{Call, Verdicts, pod};

/// Where the output is no terminal.
const WIDTH: u16 = 160;

pub(super) fn of(verdicts: &Verdicts, width: u16) -> Table {
    let mut table = Table::new();
    *table.style_mut() = UTF8_HORIZONTAL_ONLY;
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_header(["story", "verdict", "why", "remedy"]);
    table.set_constraints([22, 20, 29, 29].map(|share| ColumnConstraint::UpperBoundary(Width::Percentage(share))));
    for (call, record) in verdicts.iter() {
        table.add_row(row(call, record.as_ref()));
    }
    table
}

pub(super) fn terminal_width() -> u16 {
    let size = Command::new("stty").arg("size").stdin(Stdio::inherit()).stderr(Stdio::null()).output();
    let size = size.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    size.split_whitespace()
        .nth(1)
        .and_then(|columns| columns.parse().ok())
        .filter(|columns| *columns > 0)
        .unwrap_or(WIDTH)
}

fn row(call: &Call, record: Option<&Value>) -> [String; 4] {
    let story = story::of(&call.id);
    let Some(record) = record else {
        return [format!("{story}\n{}", call.from), "no record".to_owned(), String::new(), String::new()];
    };
    let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
    let server = &record["server"];
    let dialled = match server["service"].as_str() {
        Some(service) if server["pod"].is_null() => format!("Service {service}"),
        _ => pod(server),
    };
    let who = format!("{} -> {dialled}:{}", pod(&record["client"]), server["port"]);
    let verdict = [text("class"), text("reason"), text("cause")].into_iter().filter(|word| !word.is_empty());
    let remedy = text("remedy");
    [
        format!("{story}\n{who}"),
        verdict.collect::<Vec<_>>().join("\n"),
        text("explanation"),
        if remedy.is_empty() { "nothing to do".to_owned() } else { remedy },
    ]
}
