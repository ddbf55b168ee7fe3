//! `process_*` and `meshtracer_build_info`: read when they are scraped.

use super::Options;
use crate::process::Usage;
use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};
use std::fmt;

#[derive(Debug)]
struct Process {
    started: Timestamp,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Build {
    version: &'static str,
    revision: &'static str,
    kernel: String,
}

pub(super) fn register(registry: &mut Registry, options: &Options) {
    registry.register_collector(Box::new(Process { started: options.started }));
    let info = Family::<Build, Gauge>::default();
    let version = env!("CARGO_PKG_VERSION");
    let revision = option_env!("MESH_TRACER_REVISION").unwrap_or("unknown");
    info.get_or_create(&Build { version, revision, kernel: options.kernel.clone() }).set(1);
    registry.register("meshtracer_build_info", "What runs here", info);
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // A process that cannot see itself has other worries; the scrape goes on without these.
        let Ok(usage) = Usage::now() else { return Ok(()) };
        let Usage { rss_anon, rss, open_fds, cpu } = usage;
        let cpu = ConstCounter::new(cpu.as_secs_f64());
        let seconds = Some(&Unit::Seconds);
        cpu.encode(encoder.encode_descriptor("process_cpu", "CPU time spent", seconds, cpu.metric_type())?)?;
        let started = self.started.as_microsecond() as f64 / 1e6;
        let mut gauge = |name, help, unit, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
        };
        gauge("process_resident_memory", "Resident memory", Some(&Unit::Bytes), rss as f64)?;
        gauge(
            "process_resident_anonymous_memory",
            "Resident memory that is no file",
            Some(&Unit::Bytes),
            rss_anon as f64,
        )?;
        gauge("process_open_fds", "Open file descriptors", None, open_fds as f64)?;
        gauge("process_start_time", "Start of the process since the epoch", seconds, started)
    }
}
