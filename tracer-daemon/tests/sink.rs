//! The sinks by what they write: lines, files, sockets, scrapes.

#![expect(clippy::unwrap_used, reason = "in a test an unwrap is an assertion with a line number")]

#[path = "sink/announce.rs"]
mod announce;
#[path = "sink/dashboard.rs"]
mod dashboard;
#[path = "sink/http.rs"]
mod http;
#[path = "sink/journal.rs"]
mod journal;
#[path = "sink/live.rs"]
mod live;
#[path = "sink/metrics.rs"]
mod metrics;
#[path = "sink/prometheus.rs"]
mod prometheus;
#[path = "sink/sample.rs"]
mod sample;
#[path = "sink/wire.rs"]
mod wire;
