//! What is watched rather than counted: probes, events, facts, and records that a sink could not take. Whoever
//! watches sets the figures as they stand.

use super::super::wire::Spell;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tracer_engine::mesh::facts;

#[derive(Clone, Debug)]
pub struct Board {
    events: Family<Event, Counter>,
    attached: Family<Probe, Gauge>,
    missed: Family<Probe, Counter>,
    run_seconds: Family<Probe, Counter<f64, AtomicU64>>,
    objects: Family<Kind, Gauge>,
    synced: Family<Kind, Gauge>,
    last_event: Family<Kind, Gauge<f64, AtomicU64>>,
    unreadable: Family<Kind, Counter>,
    received: Family<Kind, Counter>,
    records_lost: Family<Sink, Counter>,
}

/// Where an event got to: `emitted = decoded + malformed + lost`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    Emitted,
    Decoded,
    Malformed,
    Lost,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Event {
    stage: &'static str,
    kind: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Probe {
    probe: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Sink {
    sink: &'static str,
}

impl Board {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let board = Self {
            events: Family::default(),
            attached: Family::default(),
            missed: Family::default(),
            run_seconds: Family::default(),
            objects: Family::default(),
            synced: Family::default(),
            last_event: Family::default(),
            unreadable: Family::default(),
            received: Family::default(),
            records_lost: Family::default(),
        };
        let Self {
            events,
            attached,
            missed,
            run_seconds,
            objects,
            synced,
            last_event,
            unreadable,
            received,
            records_lost,
        } = board.clone();
        registry.register("events", "Kernel events by how far they got: emitted = decoded + malformed + lost", events);
        registry.register("probe_attached", "1 while the probe is attached", attached);
        registry.register("probe_missed", "Times that the kernel could not run the probe", missed);
        registry.register_with_unit(
            "probe_run",
            "Time spent in the probe, where kernel.bpf_stats_enabled is 1",
            Unit::Seconds,
            run_seconds,
        );
        registry.register("facts_objects", "Objects of the cluster configuration that are known", objects);
        registry.register("facts_synced", "1 once every object of this kind that existed at start is known", synced);
        registry.register_with_unit(
            "facts_last_event_timestamp",
            "When facts of this kind last changed or, of an API server, when it last said anything of them",
            Unit::Seconds,
            last_event,
        );
        registry.register(
            "facts_unreadable",
            "Objects that could not be read, each time that they were told",
            unreadable,
        );
        registry.register_with_unit(
            "facts_received",
            "What the API server has sent of this kind",
            Unit::Bytes,
            received,
        );
        registry.register("records_lost", "Records that a sink could not take", records_lost);
        board
    }

    pub fn events(&self, kind: &'static str, stage: Stage, count: u64) {
        let stage = match stage {
            Stage::Emitted => "emitted",
            Stage::Decoded => "decoded",
            Stage::Malformed => "malformed",
            Stage::Lost => "lost",
        };
        self.events.get_or_create(&Event { stage, kind }).inner().store(count, Ordering::Relaxed);
    }

    pub fn probe(&self, probe: &'static str, attached: bool) {
        self.attached.get_or_create(&Probe { probe }).set(attached.into());
    }

    pub fn probe_missed(&self, probe: &'static str, count: u64) {
        self.missed.get_or_create(&Probe { probe }).inner().store(count, Ordering::Relaxed);
    }

    pub fn probe_run(&self, probe: &'static str, time: Duration) {
        let bits = time.as_secs_f64().to_bits();
        self.run_seconds.get_or_create(&Probe { probe }).inner().store(bits, Ordering::Relaxed);
    }

    pub fn facts(&self, kind: facts::Kind, objects: usize, synced: bool, last_event: jiff::Timestamp) {
        let labels = Kind { kind: kind.code() };
        self.objects.get_or_create(&labels).set(i64::try_from(objects).unwrap_or(i64::MAX));
        self.synced.get_or_create(&labels).set(synced.into());
        self.last_event.get_or_create(&labels).set(last_event.as_microsecond() as f64 / 1e6);
    }

    /// Of a kind that an API server tells.
    pub fn heard(&self, kind: facts::Kind, heard: jiff::Timestamp, bytes: u64) {
        let labels = Kind { kind: kind.code() };
        self.last_event.get_or_create(&labels).set(heard.as_microsecond() as f64 / 1e6);
        self.received.get_or_create(&labels).inner().store(bytes, Ordering::Relaxed);
    }

    pub fn unreadable(&self, kind: facts::Kind, count: u64) {
        self.unreadable.get_or_create(&Kind { kind: kind.code() }).inner().store(count, Ordering::Relaxed);
    }

    pub fn records_lost(&self, sink: &'static str, count: u64) {
        self.records_lost.get_or_create(&Sink { sink }).inner().store(count, Ordering::Relaxed);
    }
}
