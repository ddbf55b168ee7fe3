//! What a cluster of 100,000 pods costs the engine: bytes that its facts hold, by kind, and the time of the question that
//! every connection asks: whose address is this.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;
use tracer_engine::mesh::facts::{
    Capture, Delta, EndpointSlice, Enrolment, Fact, InterceptionMode, Kind, Labels, Namespace, Node, ObjectKey, Pod,
    Selection, Service, ServiceKind, ServicePort, SidecarProxy, SliceEndpoint, SlicePort, TargetPort, Timestamp,
    Transport, Uid, Workload,
};
use tracer_engine::mesh::index::Index;
use tracer_engine::net::{Ktime, Name};

const PODS: u32 = 100_000;
const SERVICES: u32 = 20_000;
const HEADLESS: u32 = 5_000;
const NAMESPACES: u32 = 200;
const NODES: u32 = 1_000;
/// What an allocator puts before each piece, and up to which size it rounds: glibc's.
const HEADER: usize = 8;
const ROUND: usize = 16;

/// Counts what is held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

fn piece(layout: Layout) -> usize {
    (layout.size() + HEADER).next_multiple_of(ROUND).max(2 * ROUND)
}

// SAFETY: every call goes on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(piece(layout), Relaxed);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(piece(layout), Relaxed);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let mut index = Index::new();
    println!("{PODS} pods, {SERVICES} Services and EndpointSlices, {HEADLESS} of them headless");
    let begun = HELD.load(Relaxed);
    for (kind, facts) in kinds() {
        let before = HELD.load(Relaxed);
        let mut count = 0;
        let start = now();
        for fact in facts {
            index.apply(Ktime(1), &Delta::Upsert(Box::new(fact)));
            count += 1;
        }
        let took = start.elapsed();
        index.apply(Ktime(1), &Delta::Synced(kind));
        let held = HELD.load(Relaxed) - before;
        let each = held / count;
        println!(
            "{kind:?}: {count} hold {:.1} MB, {each} bytes each, {:?} to apply each",
            mb(held),
            took / count as u32
        );
    }
    println!("all facts: {:.1} MB", mb(HELD.load(Relaxed) - begun));
    look_up(&index);
}

fn look_up(index: &Index) {
    const ROUNDS: u32 = 20;
    let ips: Vec<IpAddr> = (0..PODS).map(|pod| ip(pod * 7919 % PODS)).collect();
    let at = Ktime(2);
    let each = |what: &str, ask: &dyn Fn(IpAddr) -> bool| {
        let start = now();
        let mut found = 0_u32;
        for _ in 0..ROUNDS {
            found += ips.iter().filter(|ip| black_box(ask(black_box(**ip)))).count() as u32;
        }
        assert_eq!(found, PODS * ROUNDS, "{what}");
        println!("{what}: {:?}", start.elapsed() / found);
    };
    each("look-up of a pod by its address", &|ip| index.pod_at(ip, at).is_some());
    each("look-up of whoever has an address", &|ip| index.occupant(ip, at).attribution() != unknown());
}

fn unknown() -> tracer_engine::mesh::attribution::Attribution {
    tracer_engine::mesh::attribution::Attribution::External
}

fn kinds() -> [(Kind, Box<dyn Iterator<Item = Fact>>); 5] {
    [
        (Kind::Namespace, Box::new((0..NAMESPACES).map(namespace))),
        (Kind::Node, Box::new((0..NODES).map(node))),
        (Kind::Service, Box::new((0..SERVICES).map(service))),
        (Kind::EndpointSlice, Box::new((0..SERVICES).map(slice))),
        (Kind::Pod, Box::new((0..PODS).map(pod))),
    ]
}

fn namespace(number: u32) -> Fact {
    let name = team(number);
    Fact::Namespace(Namespace { labels: labels(&[("kubernetes.io/metadata.name", &name)]), name: name.into() })
}

fn node(number: u32) -> Fact {
    let range = format!("10.{}.{}.0/24", 64 + (number >> 8), number & 255);
    Fact::Node(Node {
        name: node_name(number),
        addresses: [IpAddr::from(Ipv4Addr::new(172, 16, (number >> 8) as u8, number as u8))].into_iter().collect(),
        pod_cidrs: [range.parse().expect("a range")].into_iter().collect(),
    })
}

fn service(number: u32) -> Fact {
    let port = |name: &str, port: u16, target: TargetPort| ServicePort {
        name: name.into(),
        port,
        target,
        transport: Transport::Tcp,
        app_protocol: None,
    };
    let vip = Ipv4Addr::new(10, 200, (number >> 8) as u8, number as u8);
    Fact::Service(Service {
        key: ObjectKey { namespace: team(number).into(), name: app(number).into() },
        created: Timestamp(1),
        kind: if number < HEADLESS {
            ServiceKind::Headless
        } else {
            ServiceKind::ClusterIp([IpAddr::from(vip)].into_iter().collect())
        },
        ports: vec![
            port("http", 80, TargetPort::Name("http".into())),
            port("tcp-peer", 9300, TargetPort::Number(9300)),
        ],
        selector: labels(&[("app", &app(number))]),
        export_to: None,
        waypoint: None,
    })
}

fn slice(number: u32) -> Fact {
    let endpoints = (number..PODS).step_by(SERVICES as usize).map(|pod| SliceEndpoint {
        address: ip(pod),
        ready: true,
        pod: Some(pod_name(pod).into()),
    });
    let port = |name: &str, port: u16| SlicePort { name: name.into(), port: Some(port), transport: Transport::Tcp };
    Fact::EndpointSlice(EndpointSlice {
        key: ObjectKey { namespace: team(number).into(), name: format!("{}-{:05x}", app(number), number).into() },
        service: Some(app(number).into()),
        endpoints: endpoints.collect(),
        ports: [port("http", 8080), port("tcp-peer", 9300)].into(),
    })
}

fn pod(number: u32) -> Fact {
    let service = number % SERVICES;
    let (app, name) = (app(service), pod_name(number));
    let hash = format!("{service:010x}");
    let ordinal = (number / SERVICES).to_string();
    let mut of_pod = vec![
        ("app", &*app),
        ("app.kubernetes.io/part-of", "shop"),
        ("security.istio.io/tlsMode", "istio"),
        ("service.istio.io/canonical-name", &app),
        ("service.istio.io/canonical-revision", "v1"),
        ("version", "v1"),
    ];
    if service < HEADLESS {
        of_pod.extend([
            ("statefulset.kubernetes.io/pod-name", &*name),
            ("apps.kubernetes.io/pod-index", &ordinal),
            ("controller-revision-hash", &hash),
        ]);
    } else {
        of_pod.push(("pod-template-hash", &hash));
    }
    Fact::Pod(Pod {
        key: ObjectKey { namespace: team(service).into(), name: name.as_str().into() },
        uid: Uid::from(&*format!("{number:08x}-0000-4000-8000-{number:012x}")),
        created: Timestamp(1),
        gone: false,
        ready: true,
        ips: [ip(number)].into_iter().collect(),
        node: node_name(number % NODES),
        host_network: false,
        service_account: app.as_str().into(),
        labels: labels(&of_pod),
        workload: Workload { kind: "Deployment".into(), name: app.as_str().into() },
        enrolment: Arc::new(Enrolment::Sidecar(sidecar())),
        tls_mode_istio: true,
    })
}

fn sidecar() -> SidecarProxy {
    SidecarProxy {
        version: Some("1.30.3".into()),
        revision: Some("default".into()),
        capture: Capture {
            mode: InterceptionMode::Redirect,
            outbound_port: 15001,
            inbound_port: 15006,
            proxy_uids: [1337].into_iter().collect(),
            include_outbound_ranges: Selection::All,
            exclude_outbound_ranges: Vec::new(),
            include_outbound_ports: Vec::new(),
            exclude_outbound_ports: Vec::new(),
            include_inbound_ports: Selection::All,
            exclude_inbound_ports: vec![15090, 15021, 15020],
        },
    }
}

fn labels(of: &[(&str, &str)]) -> Labels {
    of.iter().map(|(key, value)| (Name::from(*key), Name::from(*value))).collect()
}

fn team(number: u32) -> String {
    format!("team-{}", number % NAMESPACES)
}

fn app(service: u32) -> String {
    format!("service-{service}")
}

fn pod_name(pod: u32) -> String {
    format!("{}-{:010x}-{:05x}", app(pod % SERVICES), pod % SERVICES, pod)
}

fn node_name(number: u32) -> Name {
    format!("node-{number}.example.internal").into()
}

fn ip(pod: u32) -> IpAddr {
    let (node, number) = (pod % NODES, pod / NODES);
    Ipv4Addr::new(10, (64 + (node >> 8)) as u8, node as u8, number as u8).into()
}

fn mb(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is what is measured")]
fn now() -> Instant {
    Instant::now()
}
