//! The flow families: counted on the engine's thread, record by record.

use super::super::wire::Spell;
use super::labels::{
    self, Attributed, Bytes, Dropped, Flow, Metric, Overflow, Peers, Reason, Rejection, Reset, Revision, Route, Word,
};
use super::series::{Budget, Series};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;
use tracer_engine::net::{Ktime, Name};
use tracer_engine::record::{Attribution, DropsRecord, FlowEnd, FlowId, FlowRecord, Outcome, Record, Reporter};
use tracer_engine::verdict::{self, Class};

/// A series that nothing was counted in for this long is forgotten.
const IDLE: Duration = Duration::from_mins(15);
const SWEEP_EVERY: Duration = Duration::from_mins(1);
/// The kernel's word for a full accept queue.
const LISTEN_OVERFLOW: &str = "TCP_LISTEN_OVERFLOW";
/// From a neighbour on the node to the third SYN.
const CONNECT_SECONDS: [f64; 12] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 3.0, 10.0];

#[derive(Debug)]
pub struct Recorder {
    node: Name,
    budget: Budget,
    flows: Series<Flow>,
    rejections: Series<Rejection>,
    drops: Series<Dropped>,
    overflows: Series<Overflow>,
    syn_retransmits: Series<Peers>,
    connect: Family<Route, Histogram, fn() -> Histogram>,
    bytes: Family<Bytes, Counter>,
    open: Family<Route, Gauge>,
    resets: Family<Reset, Counter>,
    attributions: Family<Attributed, Counter>,
    contradictions: Family<Reason, Counter>,
    revised: Family<Revision, Counter>,
    still_open: HashMap<FlowId, Open>,
    swept: Ktime,
}

/// One flow in `meshtracer_open_flows`, for as long as this value lives.
#[derive(Debug)]
struct Open(Gauge);

impl Recorder {
    pub(super) fn register(registry: &mut Registry, max_series: usize, node: &Name) -> Self {
        let limited = Family::<Metric, Counter>::default();
        registry.register(
            "series_limited",
            "Updates counted under other, because there were too many series",
            limited.clone(),
        );
        let limit = |metric| limited.get_or_create_owned(&Metric { metric });
        let flows = Series::register(
            registry,
            "flows",
            "Flows by how they were routed and whether they got through",
            limit("meshtracer_flows_total"),
        );
        let rejections = Series::register(
            registry,
            "flow_rejections",
            "Flows that did not get through",
            limit("meshtracer_flow_rejections_total"),
        );
        let drops = Series::register(
            registry,
            "drops",
            "TCP packets with a pod at either end that the kernel dropped, by its own word for why",
            limit("meshtracer_drops_total"),
        );
        let overflows = Series::register(
            registry,
            "listen_overflows",
            "Connection attempts that a full accept queue turned away",
            limit("meshtracer_listen_overflows_total"),
        );
        let syn_retransmits = Series::register(
            registry,
            "syn_retransmits",
            "SYNs that were sent again because nobody answered",
            limit("meshtracer_syn_retransmits_total"),
        );
        let histogram: fn() -> Histogram = || Histogram::new(CONNECT_SECONDS);
        let connect = Family::new_with_constructor(histogram);
        registry.register_with_unit(
            "connect_duration",
            "From SYN to established, of the application's own connection",
            Unit::Seconds,
            connect.clone(),
        );
        let bytes = Family::default();
        registry.register_with_unit("flow", "Payload of flows that ended", Unit::Bytes, bytes.clone());
        let open = Family::default();
        registry.register("open_flows", "Flows with a verdict that are still open", open.clone());
        let resets = Family::default();
        registry.register("resets", "Legs that a RST ended, by the end that sent it", resets.clone());
        let attributions = Family::default();
        registry.register("attributions", "Ends of flows, by what their address was known as", attributions.clone());
        let contradictions = Family::default();
        registry.register("contradictions", "Flows where the facts and the kernel disagree", contradictions.clone());
        let revised = Family::default();
        registry.register("verdicts_revised", "Verdicts that later evidence changed", revised.clone());
        Self {
            node: node.clone(),
            budget: Budget::new(max_series),
            flows,
            rejections,
            drops,
            overflows,
            syn_retransmits,
            connect,
            bytes,
            open,
            resets,
            attributions,
            contradictions,
            revised,
            still_open: HashMap::new(),
            swept: Ktime::default(),
        }
    }

    pub fn record(&mut self, record: &Record) {
        match record {
            Record::Flow(flow) => self.flow(flow),
            Record::End(end) => self.end(end),
            Record::Drops(drops) => self.drops(drops),
            // Counted when the attempt ends; facts are the board's.
            Record::Connecting(_) | Record::Facts(_) => {}
        }
    }

    /// Forgets idle series, once a minute.
    pub fn tick(&mut self, now: Ktime) {
        if now.since(self.swept) < SWEEP_EVERY {
            return;
        }
        self.swept = now;
        let before = Ktime(now.0.saturating_sub(IDLE.as_nanos() as u64));
        self.flows.expire(before, &mut self.budget);
        self.rejections.expire(before, &mut self.budget);
        self.drops.expire(before, &mut self.budget);
        self.overflows.expire(before, &mut self.budget);
        self.syn_retransmits.expire(before, &mut self.budget);
    }

    fn flow(&mut self, record: &FlowRecord) {
        let verdict = &record.verdict;
        let class = verdict.class.code();
        let reason = verdict.reason.map_or(labels::UNKNOWN, verdict::Reason::code);
        let route = Route { reporter: record.reporter.code(), class };
        self.hold(record, &route);
        if let Some((class, reason)) = record.revises {
            let from = reason.map_or(class.code(), verdict::Reason::code);
            let to = verdict.reason.map_or(verdict.class.code(), verdict::Reason::code);
            self.revised.get_or_create(&Revision { from, to }).inc();
            // A flow is counted once, by what was said first.
            return;
        }
        let at = record.at;
        let peers = Peers::of(record);
        if verdict.class == Class::Rejected {
            let cause = verdict.kernel.as_deref().map(|kernel| Cow::Owned(kernel.to_owned()));
            let ours = || verdict.cause().map_or(labels::UNKNOWN, verdict::Cause::code).into();
            let cause = cause.unwrap_or_else(ours);
            self.rejections.add(Rejection { peers: peers.clone(), reason, cause }, 1, at, &mut self.budget);
        }
        if record.syn_retransmits > 0 {
            self.syn_retransmits.add(peers.clone(), u64::from(record.syn_retransmits), at, &mut self.budget);
        }
        let connection_security_policy = labels::security_policy(verdict.security);
        let flow = Flow { peers, class, reason, connection_security_policy, traffic: record.traffic.code() };
        self.flows.add(flow, 1, at, &mut self.budget);
        if let Some(connect) = record.connect {
            self.connect.get_or_create(&route).observe(connect.as_secs_f64());
        }
        for leg in &record.legs {
            if let Some(by) = leg.reset_by {
                self.resets.get_or_create(&Reset { direction: by.code(), leg: leg.kind.code(), reason }).inc();
            }
        }
        for (end, party) in [("source", &record.client), ("destination", &record.server)] {
            self.attributions.get_or_create(&Attributed { end, result: labels::attribution(&party.who) }).inc();
        }
        if verdict.reason == Some(verdict::Reason::FactsContradictEvidence) {
            let expected = verdict.candidates.first().map_or(labels::UNKNOWN, |candidate| candidate.reason.code());
            self.contradictions.get_or_create(&Reason { reason: expected }).inc();
        }
    }

    /// A packet is dropped where its source is, or else where its destination is.
    fn drops(&mut self, DropsRecord { at, reason, between, count }: &DropsRecord) {
        let here = |who: &Attribution| matches!(who, Attribution::Pod(pod) if pod.node == self.node);
        let reporter = match between {
            Some((source, _)) if here(source) => Reporter::Source.code(),
            Some(_) => Reporter::Destination.code(),
            None => labels::UNKNOWN,
        };
        let peers = Peers::between(reporter, between.as_ref());
        if **reason == *LISTEN_OVERFLOW {
            self.overflows.add(Overflow::of(&peers), *count, *at, &mut self.budget);
        }
        self.drops.add(Dropped { reason: Word(reason.clone()), peers }, *count, *at, &mut self.budget);
    }

    fn hold(&mut self, record: &FlowRecord, route: &Route) {
        if matches!(record.outcome, Outcome::Established | Outcome::StillConnecting) {
            let gauge = self.open.get_or_create_owned(route);
            gauge.inc();
            self.still_open.insert(record.id, Open(gauge));
        } else {
            self.still_open.remove(&record.id);
        }
    }

    fn end(&mut self, end: &FlowEnd) {
        self.still_open.remove(&end.id);
        let (reporter, class) = (end.reporter.code(), end.class.code());
        for (direction, bytes) in [("sent", end.bytes_sent), ("received", end.bytes_received)] {
            self.bytes.get_or_create(&Bytes { reporter, class, direction }).inc_by(bytes);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
