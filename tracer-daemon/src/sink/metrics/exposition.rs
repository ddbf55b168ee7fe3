//! The scrape: one registry, two formats.

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use std::fmt;

#[derive(Debug)]
pub struct Exposition {
    registry: Registry,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    OpenMetrics,
    /// Prometheus text format 0.0.4: what promtool and older readers take.
    Classic,
}

impl Exposition {
    pub(super) fn new(registry: Registry) -> Self {
        Self { registry }
    }

    pub fn encode(&self, format: Format) -> Result<String, fmt::Error> {
        let mut open = String::new();
        text::encode(&mut open, &self.registry)?;
        Ok(match format {
            Format::OpenMetrics => open,
            Format::Classic => classic(&open),
        })
    }
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The two formats have their samples in common. The classic one names a counter's family with `_total`, knows no
/// units and no end mark.
fn classic(open: &str) -> String {
    let mut out = String::with_capacity(open.len());
    let mut help = None;
    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let total = if kind == "counter" { "_total" } else { "" };
            let kind = if kind == "unknown" { "untyped" } else { kind };
            if let Some((_, help)) = help.take().filter(|(helped, _)| *helped == name) {
                out.extend(["# HELP ", name, total, " ", help, "\n"]);
            }
            out.extend(["# TYPE ", name, total, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            out.extend([line, "\n"]);
        }
    }
    out
}
