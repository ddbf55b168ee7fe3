//! The index over time: who has an address as of when, and that neither order nor repetition matters.

use crate::mesh::{Mesh, addr, http, key};
use smallvec::smallvec;
use std::time::Duration;
use tracer_engine::mesh::facts::*;
use tracer_engine::mesh::index::{Index, Occupant};
use tracer_engine::net::{Ktime, Name};
use tracer_engine::record::{Attribution, UnknownReason};
use tracer_engine::verdict::Reason;
use tracer_engine::walk::outcome::Sends;

fn at(seconds: u64) -> Ktime {
    Ktime(0) + Duration::from_secs(seconds)
}

fn facts(build: impl FnOnce(&mut Mesh)) -> Pod {
    let mut mesh = Mesh::new();
    build(&mut mesh);
    mesh.index.pod(&key("app/a")).map(|pod| (**pod).clone()).expect("app/a is there")
}

fn pod(uid: &str, created: u32, gone: bool) -> Pod {
    facts(|mesh| {
        mesh.pod_with("app/a", "10.0.0.5", |pod| {
            (pod.uid, pod.created, pod.gone) = (uid.into(), Timestamp(created), gone);
        });
    })
}

fn named(name: &str, pod: Pod) -> Pod {
    Pod { key: key(name), ..pod }
}

fn upsert(index: &mut Index, time: Ktime, pod: Pod) {
    index.apply(time, &Delta::Upsert(Box::new(Fact::Pod(pod))));
}

fn who(index: &Index, time: Ktime) -> String {
    match index.resolve(addr("10.0.0.5"), time) {
        Attribution::Pod(identity) => format!("pod {}", identity.pod),
        Attribution::Tombstone(identity) => format!("tombstone {}", identity.pod),
        other => format!("{other:?}"),
    }
}

fn synced() -> Index {
    let mut index = Index::new();
    for kind in [Kind::Pod, Kind::Service, Kind::Node] {
        index.apply(at(0), &Delta::Synced(kind));
    }
    index
}

#[test]
fn an_address_belongs_to_whoever_had_it_at_the_time() {
    let mut index = synced();
    upsert(&mut index, at(10), named("app/a", pod("1", 10, false)));
    index.apply(at(20), &Delta::Remove(Kind::Pod, key("app/a")));
    upsert(&mut index, at(30), named("app/b", pod("2", 30, false)));
    for (seconds, expected) in [(15, "pod app/a"), (25, "tombstone app/a"), (29, "tombstone app/a"), (31, "pod app/b")]
    {
        assert_eq!(who(&index, at(seconds)), expected, "{seconds} s");
    }
}

#[test]
fn the_first_dial_may_be_before_the_api_server_told_of_the_pod() {
    let mut index = synced();
    upsert(&mut index, at(10), pod("1", 10, false));
    assert_eq!(who(&index, at(9)), "pod app/a");
}

#[test]
fn a_tombstone_answers_for_five_minutes() {
    let mut index = synced();
    upsert(&mut index, at(10), pod("1", 10, false));
    index.apply(at(20), &Delta::Remove(Kind::Pod, key("app/a")));
    assert_eq!(who(&index, at(319)), "tombstone app/a");
    assert_eq!(who(&index, at(321)), "External");
    index.expire(at(321));
    assert_eq!(who(&index, at(25)), "External");
}

#[test]
fn a_pod_that_failed_answers_as_a_tombstone_and_never_before_a_live_one() {
    let mut index = synced();
    upsert(&mut index, at(0), pod("1", 10, true));
    assert_eq!(who(&index, at(1)), "tombstone app/a");
    upsert(&mut index, at(0), named("app/b", pod("2", 5, false)));
    assert_eq!(who(&index, at(1)), "pod app/b");
}

#[test]
fn a_pod_of_the_same_name_is_another_pod() {
    let mut index = synced();
    upsert(&mut index, at(10), pod("1", 10, false));
    upsert(&mut index, at(20), Pod { ips: [addr("10.0.0.6")].into_iter().collect(), ..pod("2", 20, false) });
    assert_eq!(who(&index, at(25)), "tombstone app/a");
    assert!(matches!(index.occupant(addr("10.0.0.6"), at(25)), Occupant::Pod(_)));
}

#[test]
fn two_live_pods_on_one_address_are_told_apart_by_age_or_not_at_all() {
    let mut index = Index::new();
    upsert(&mut index, at(0), named("app/a", pod("1", 10, false)));
    upsert(&mut index, at(0), named("app/b", pod("2", 20, false)));
    assert_eq!(who(&index, at(1)), "pod app/b");
    upsert(&mut index, at(0), named("app/c", pod("3", 20, false)));
    assert_eq!(who(&index, at(1)), format!("{:?}", Attribution::Unknown(UnknownReason::AddressNotUnique)));
}

#[test]
fn an_absence_has_its_reason() {
    let unknown = |reason| format!("{:?}", Attribution::Unknown(reason));
    let mut index = Index::new();
    assert_eq!(who(&index, at(1)), unknown(UnknownReason::FactsNotSynced));
    index = synced();
    assert_eq!(who(&index, at(1)), "External");
    let node = Node {
        name: "n1".into(),
        addresses: smallvec![addr("192.168.0.1")],
        pod_cidrs: smallvec!["10.0.0.0/24".parse().unwrap()],
    };
    index.apply(at(1), &Delta::Upsert(Box::new(Fact::Node(node.clone()))));
    assert_eq!(who(&index, at(1)), unknown(UnknownReason::PodNotSeenYet));
    assert_eq!(index.resolve(addr("192.168.0.1"), at(1)), Attribution::Node("n1".into()));
    index.apply(at(2), &Delta::Remove(Kind::Node, ObjectKey { namespace: "".into(), name: "n1".into() }));
    assert_eq!(who(&index, at(2)), "External");
    assert_eq!(index.resolve(addr("192.168.0.1"), at(2)), Attribution::External);
}

#[test]
fn a_vip_is_its_service_and_a_host_network_pods_address_its_node() {
    let mut mesh = Mesh::strict();
    mesh.vip("app/web", "10.96.0.1", &[("http", 80)], &[]);
    mesh.pod_with("app/on-node", "192.168.0.7", |pod| (pod.host_network, pod.node) = (true, "n7".into()));
    assert_eq!(mesh.index.resolve(addr("10.96.0.1"), at(1)), Attribution::Service(key("app/web")));
    assert_eq!(mesh.index.resolve(addr("192.168.0.7"), at(1)), Attribution::Node("n7".into()));
    assert_eq!(
        mesh.index.resolve(addr("::ffff:10.0.0.2").to_canonical(), at(1)),
        mesh.index.resolve(addr("10.0.0.2"), at(1))
    );
}

#[test]
fn a_dialled_tombstone_is_a_stale_pod_ip_unless_the_source_decided_before() {
    let mut mesh = Mesh::strict();
    mesh.pod_with("app/gone-0", "10.0.0.8", |pod| pod.gone = true);
    for from in ["app/client", "legacy/plain"] {
        assert_eq!(mesh.reason(from, "10.0.0.8:9000", Sends::Other), Reason::StalePodIp, "{from}");
    }
    mesh.registry_only();
    assert_eq!(mesh.reason("app/client", "10.0.0.8:9000", Sends::Other), Reason::Blackhole);
}

#[test]
fn generation_changes_with_the_facts_and_only_then() {
    let mut mesh = Mesh::strict();
    mesh.vip("app/web", "10.96.0.1", &[("http", 80)], &["app/db-0"]).rule("app/web", "web", ClientTlsMode::Disable);
    let generation = mesh.index.generation();
    let pod = mesh.index.pod(&key("app/db-0")).map(|pod| (**pod).clone()).expect("it is there");
    mesh.put(Fact::Pod(pod.clone()));
    assert_eq!(mesh.index.generation(), generation, "the same again");
    mesh.put(Fact::Pod(Pod { tls_mode_istio: false, ..pod }));
    assert_ne!(mesh.index.generation(), generation);
    let generation = mesh.index.generation();
    mesh.index.apply(at(1), &Delta::Remove(Kind::Pod, key("app/nobody")));
    assert_eq!(mesh.index.generation(), generation, "what was never there");
}

#[test]
fn the_order_of_deltas_does_not_matter() {
    let deltas = every_kind();
    let ask = |index: &Index| {
        let asked = crate::mesh::call("app/client", "10.0.0.2:9200", http("web.example.com"));
        tracer_engine::walk::explain(index, &asked, at(9))
    };
    let apply = |order: &[usize]| {
        let mut index = Index::new();
        for n in order {
            index.apply(at(1), &deltas[*n]);
        }
        index
    };
    let forward: Vec<usize> = (0..deltas.len()).collect();
    let expected = ask(&apply(&forward));
    assert_eq!(expected[0].reason, Reason::HostBalanced, "{expected:#?}");
    for turn in 1..deltas.len() {
        let mut order = forward.clone();
        order.rotate_left(turn);
        assert_eq!(ask(&apply(&order)), expected, "turned by {turn}");
        order.reverse();
        assert_eq!(ask(&apply(&order)), expected, "turned by {turn}, backwards");
    }
}

#[test]
fn removing_everything_leaves_nothing() {
    let mut index = Index::new();
    let deltas = every_kind();
    for delta in &deltas {
        index.apply(at(1), delta);
    }
    for delta in &deltas {
        let Delta::Upsert(fact) = delta else { continue };
        assert!(index.objects(fact.kind()) > 0, "{:?}", fact.kind());
        index.apply(at(2), &Delta::Remove(fact.kind(), key_of(fact)));
    }
    for delta in &deltas {
        let Delta::Upsert(fact) = delta else { continue };
        assert_eq!(index.objects(fact.kind()), 0, "{:?}", fact.kind());
    }
    let outcomes =
        tracer_engine::walk::walk(&index, &crate::mesh::call("app/client", "10.96.0.1:9200", http("web")), at(3));
    assert_eq!(outcomes[0].reason, Reason::NotInMesh);
}

/// One object of each kind, and what a call needs.
fn every_kind() -> Vec<Delta> {
    let mut told = Mesh::new();
    let base = |name: &str, ip: &str| {
        let mut mesh = Mesh::new();
        mesh.pod(name, ip);
        mesh.index.pod(&key(name)).map(|pod| (**pod).clone()).expect("it is there")
    };
    told.pod("app/db-0", "10.0.0.2");
    let endpoint = told.endpoint("app/db-0");
    let port = ServicePort {
        name: "http".into(),
        port: 9200,
        target: TargetPort::Number(9200),
        transport: Transport::Tcp,
        app_protocol: None,
    };
    let facts = vec![
        Fact::Namespace(Namespace { name: "app".into(), labels: Labels::default() }),
        Fact::Node(Node { name: "n1".into(), addresses: smallvec![addr("192.168.0.1")], pod_cidrs: smallvec![] }),
        Fact::Pod(base("app/client", "10.0.0.1")),
        Fact::Pod(base("app/db-0", "10.0.0.2")),
        Fact::Service(Service {
            key: key("app/web"),
            created: Timestamp(3),
            kind: ServiceKind::ClusterIp(smallvec![addr("10.96.0.1")]),
            ports: vec![port],
            selector: Labels::default(),
            export_to: None,
            waypoint: None,
        }),
        Fact::EndpointSlice(EndpointSlice {
            key: key("app/web-1"),
            service: Some("web".into()),
            endpoints: [endpoint].into(),
            ports: [SlicePort { name: "http".into(), port: Some(9200), transport: Transport::Tcp }].into(),
        }),
        Fact::MeshConfig(crate::mesh::mesh_config("default")),
        Fact::PeerAuthentication(PeerAuthentication {
            key: key("app/default"),
            created: Timestamp(4),
            selector: None,
            mode: MtlsMode::Strict,
            port_level: Vec::new(),
        }),
        Fact::DestinationRule(DestinationRule {
            key: key("app/web"),
            created: Timestamp(5),
            host: "web".into(),
            export_to: None,
            workload_selector: None,
            traffic_policy: Some(TrafficPolicy {
                tls: Some(crate::mesh::tls(ClientTlsMode::IstioMutual)),
                ..TrafficPolicy::default()
            }),
            subsets: Vec::new(),
        }),
        Fact::ServiceEntry(ServiceEntry {
            key: key("app/ext"),
            created: Timestamp(6),
            hosts: vec!["ext.org".into()],
            addresses: vec!["10.50.0.1/32".parse().expect("a range")],
            ports: vec![EntryPort { number: 9200, protocol: "HTTP".into(), name: "http".into(), target: None }],
            resolution: Resolution::Static,
            location: Location::MeshExternal,
            endpoints: vec![WorkloadEntry {
                address: "10.50.0.2".into(),
                ports: Vec::new(),
                labels: Labels::default(),
                service_account: None,
            }],
            workload_selector: Some(crate::mesh::app_label("x")),
            export_to: None,
            subject_alt_names: Vec::new(),
        }),
        Fact::Sidecar(Sidecar {
            key: key("app/default"),
            created: Timestamp(7),
            workload_selector: None,
            ingress: Vec::new(),
            egress: Vec::new(),
            outbound: None,
        }),
        Fact::VirtualService(VirtualService {
            key: key("app/web"),
            created: Timestamp(8),
            hosts: vec!["web".into(), "web.example.com".into(), "*.wild.org".into()],
            gateways: Vec::new(),
            export_to: None,
            http: vec![crate::mesh::route(crate::mesh::to("web", None))],
            tls: Vec::new(),
            tcp: Vec::new(),
        }),
        Fact::AuthorizationPolicy(AuthorizationPolicy { key: key("app/allow"), selector: None }),
    ];
    facts.into_iter().map(|fact| Delta::Upsert(Box::new(fact))).collect()
}

fn key_of(fact: &Fact) -> ObjectKey {
    let cluster_scoped = |name: &tracer_engine::net::Name| ObjectKey { namespace: "".into(), name: name.clone() };
    match fact {
        Fact::Namespace(namespace) => cluster_scoped(&namespace.name),
        Fact::Node(node) => cluster_scoped(&node.name),
        Fact::MeshConfig(config) => cluster_scoped(&config.revision),
        Fact::Pod(pod) => pod.key.clone(),
        Fact::Service(service) => service.key.clone(),
        Fact::EndpointSlice(slice) => slice.key.clone(),
        Fact::PeerAuthentication(policy) => policy.key.clone(),
        Fact::DestinationRule(rule) => rule.key.clone(),
        Fact::ServiceEntry(entry) => entry.key.clone(),
        Fact::Sidecar(sidecar) => sidecar.key.clone(),
        Fact::VirtualService(service) => service.key.clone(),
        Fact::AuthorizationPolicy(policy) => policy.key.clone(),
    }
}

#[test]
fn a_stateful_pod_and_its_own_label_hold_one_name() {
    const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
    let mut mesh = Mesh::new();
    mesh.pod_with("app/db-0", "10.0.0.5", |pod| {
        pod.labels = [(POD_NAME.into(), "db-0".into())].into_iter().collect();
    });
    let pod = mesh.index.pod(&key("app/db-0")).expect("app/db-0 is there");
    assert!(Name::ptr_eq(&pod.key.name, pod.labels.get(POD_NAME).expect("its label")));
}
