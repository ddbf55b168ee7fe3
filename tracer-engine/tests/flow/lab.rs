//! Pods on the wire: who captures what, and what a real Envoy shows of a call (`kernel.md`, last section).

use crate::cluster::{Cluster, ip};
use crate::wire::{By, Conn, Process, Wire};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tracer_engine::input::Input;
use tracer_engine::mesh::facts::{Enrolment, Fact};
use tracer_engine::net::{Endpoint, Ktime, NetNs};
use tracer_engine::record::{FlowRecord, Record, Reporter};
use tracer_engine::socket::{ConnectError, Payload, SocketEvent};
use tracer_engine::{Config, Engine};

pub(crate) struct Lab {
    pub(crate) cluster: Cluster,
    pub(crate) wire: Wire,
    pods: BTreeMap<String, Host>,
}

#[derive(Clone, Copy, Debug)]
struct Host {
    netns: u32,
    ip: IpAddr,
    sidecar: bool,
}

/// The proxy's worker threads begin here.
const WORKERS: u32 = 9_000;

impl Lab {
    pub(crate) fn new(cluster: Cluster) -> Self {
        let mut pods = BTreeMap::new();
        for fact in &cluster.facts {
            if let Fact::Pod(pod) = fact {
                let netns = 4_026_532_000 + pods.len() as u32;
                let sidecar = matches!(*pod.enrolment, Enrolment::Sidecar(_));
                pods.insert(pod.key.to_string(), Host { netns, ip: pod.ips[0], sidecar });
            }
        }
        Self { cluster, wire: Wire::new(), pods }
    }

    pub(crate) fn app(&self, pod: &str) -> Process {
        let Host { netns, ip, .. } = self.host(pod);
        Process { netns, ip, uid: 2000, tid: 50 }
    }

    pub(crate) fn proxy(&self, pod: &str, worker: u32) -> Process {
        Process { uid: 1337, tid: WORKERS + worker, ..self.app(pod) }
    }

    pub(crate) fn netns(&self, pod: &str) -> u32 {
        self.host(pod).netns
    }

    /// The application dials and its proxy accepts; REDIRECT gave it another port.
    pub(crate) fn captured(&mut self, from: &str, to: &str) -> Conn {
        let app = self.app(from);
        let mut conn = self.wire.dial(app, endpoint(to));
        let seen_as = Endpoint::new(app.ip, conn.client.local.port ^ 1);
        let proxy = self.proxy(from, 0);
        self.wire.accept(&mut conn, proxy, Endpoint::new(Ipv4Addr::LOCALHOST.into(), 15001), seen_as);
        conn
    }

    /// The proxy of `from` dials `to`, and the proxy of `at` accepts it.
    pub(crate) fn upstream(&mut self, from: &str, to: &str, at: &str) -> Conn {
        self.upstream_by(from, to, at, 0)
    }

    pub(crate) fn upstream_by(&mut self, from: &str, to: &str, at: &str, worker: u32) -> Conn {
        let proxy = self.proxy(from, worker);
        let mut conn = self.wire.dial(proxy, endpoint(to));
        self.arrive(&mut conn, at);
        conn
    }

    /// The SYN reaches the pod `at`: its proxy accepts it if it has one, else the application.
    pub(crate) fn arrive(&mut self, conn: &mut Conn, at: &str) {
        let host = self.host(at);
        let (process, port) =
            if host.sidecar { (self.proxy(at, 0), 15006) } else { (self.app(at), conn.client.remote.port) };
        let from = conn.client.local;
        self.wire.accept(conn, process, Endpoint::new(host.ip, port), from);
    }

    pub(crate) fn dial(&mut self, from: &str, to: &str) -> Conn {
        let app = self.app(from);
        self.wire.dial(app, endpoint(to))
    }

    /// The proxy of `pod` dials the application beside it.
    pub(crate) fn local(&mut self, pod: &str, port: u16) -> Conn {
        let mut conn = self.local_syn(pod, port);
        let (app, from) = (self.app(pod), conn.client.local);
        self.wire.accept(&mut conn, app, Endpoint::new(app.ip, port), from);
        conn
    }

    pub(crate) fn local_refused(&mut self, pod: &str, port: u16) {
        let conn = self.local_syn(pod, port);
        self.wire.fails(&conn, ConnectError::Refused);
    }

    fn local_syn(&mut self, pod: &str, port: u16) -> Conn {
        let proxy = self.proxy(pod, 0);
        let bind = Process { ip: ip("127.0.0.6"), ..proxy };
        self.wire.dial(bind, Endpoint::new(proxy.ip, port))
    }

    /// Bytes that go through two connections, one after the other.
    pub(crate) fn relay(&mut self, conns: &mut [&mut Conn], by: By, payload: &Payload) {
        for conn in conns {
            self.wire.says(conn, by, payload);
        }
    }

    fn host(&self, pod: &str) -> Host {
        *self.pods.get(pod).unwrap_or_else(|| panic!("no pod {pod}"))
    }

    /// Records of a node that has just these pods.
    pub(crate) fn seen_by(&self, pods: &[&str]) -> Vec<Record> {
        let netns: Vec<NetNs> = pods.iter().map(|pod| NetNs(self.netns(pod))).collect();
        let events = self.wire.events.iter().filter(|event| netns.contains(&event.socket.owner.netns));
        run(&self.cluster, events.cloned().collect())
    }

    /// Records of a node that has every pod.
    pub(crate) fn seen_by_all(&self) -> Vec<Record> {
        run(&self.cluster, self.wire.events.clone())
    }
}

pub(crate) fn endpoint(text: &str) -> Endpoint {
    let (address, port) = text.rsplit_once(':').expect("ip:port");
    Endpoint::new(ip(address), port.parse().expect("a port"))
}

/// Facts, then events in order of time, then as much time as the engine asks for.
pub(crate) fn run(cluster: &Cluster, mut events: Vec<SocketEvent>) -> Vec<Record> {
    events.sort_by_key(|event| event.at);
    let mut engine = Engine::new(Config::default());
    let mut records = Vec::new();
    let mut emit = |record| records.push(record);
    for delta in cluster.deltas() {
        engine.handle(Input::Facts { at: Ktime(1), delta }, &mut emit);
    }
    for event in events {
        engine.handle(Input::Socket(event), &mut emit);
    }
    while let Some(due) = engine.next_tick() {
        engine.handle(Input::Tick(due), &mut emit);
    }
    records
}

pub(crate) fn flows(records: &[Record]) -> Vec<&FlowRecord> {
    records.iter().filter_map(|record| if let Record::Flow(flow) = record { Some(&**flow) } else { None }).collect()
}

/// Long enough for every deadline but a stall's.
pub(crate) const A_WHILE: Duration = Duration::from_millis(400);

/// What a call is, in truth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truth {
    /// class, reason, cause, security; empty: not checked.
    pub(crate) says: [&'static str; 4],
}

impl Truth {
    /// Holds what a node said about one call against the truth. `exact`: the node has the source's end.
    pub(crate) fn holds(&self, records: &[Record], exact: bool) {
        let flows = flows(records);
        let [class, reason, cause, security] = self.says;
        if exact {
            assert_eq!(flows.len(), 1, "one call is one flow: {flows:#?}");
            assert_eq!(flows[0].reporter, Reporter::Source);
        }
        for flow in flows {
            let verdict = &flow.verdict;
            let named = verdict.reason.map_or("", |r| r.code());
            let among = verdict.candidates.iter().any(|candidate| candidate.reason.code() == reason);
            if verdict.class.code() != class || named != reason {
                assert!(!exact && verdict.class.code() == "undetermined" && among, "not {self:?}: {flow:#?}");
                continue;
            }
            let causes: Vec<_> = verdict.causes.iter().map(|cause| cause.code()).collect();
            assert!(!exact || cause.is_empty() || causes.first() == Some(&cause), "not {cause}: {flow:#?}");
            let known = security.is_empty() || verdict.security.code() == security;
            assert!(!exact || known, "not {security}: {flow:#?}");
        }
        let ends = records.iter().filter(|record| matches!(record, Record::End(_))).count();
        let counted = records.iter().filter(|r| matches!(r, Record::Flow(flow) if flow.revises.is_none())).count();
        assert!(ends <= counted, "more ends than flows: {records:#?}");
    }
}

/// A call between two pods, by every view of it.
pub(crate) fn check(lab: &Lab, from: &str, to: &str, says: [&'static str; 4]) {
    let truth = Truth { says };
    truth.holds(&lab.seen_by_all(), true);
    truth.holds(&lab.seen_by(&[from]), true);
    if from != to {
        truth.holds(&lab.seen_by(&[to]), false);
    }
}
