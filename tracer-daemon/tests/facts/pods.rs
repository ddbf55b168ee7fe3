//! Pods: enrolment, capture scope, workload, life.

use crate::{fact_as, skipped};
use tracer_engine::mesh::facts::{Capture, Enrolment, InterceptionMode, Pod, Selection, SidecarProxy};

const STATUS: &str = r#"sidecar.istio.io/status: '{"containers":["istio-proxy"],"revision":"canary"}'"#;
const INIT: &str = "{name: istio-init, args: [istio-iptables, -p, '15001', -z, '15006', -u, '1337']}";
const PROXY: &str = "{name: istio-proxy, image: 'registry.example:5000/istio/proxyv2:1.30.3'}";

/// A pod of flow-style parts.
#[derive(Default)]
struct Parts<'t> {
    labels: &'t str,
    annotations: &'t str,
    metadata: &'t str,
    containers: &'t str,
    init_containers: &'t str,
    spec: &'t str,
    status: &'t str,
}

impl Parts<'_> {
    fn yaml(&self) -> String {
        let Parts { labels, annotations, metadata, containers, init_containers, spec, status } = self;
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web-0\n  namespace: shop\n  labels: {{{labels}}}\n  \
             annotations: {{{annotations}}}\n  {metadata}\nspec:\n  containers: [{containers}]\n  \
             initContainers: [{init_containers}]\n  {spec}\nstatus: {{{status}}}\n"
        )
    }

    fn pod(&self) -> Pod {
        fact_as!(Pod, &self.yaml())
    }
}

fn capture_of(args: &str, annotations: &str) -> Capture {
    let parts = Parts {
        annotations: &format!("{STATUS}{annotations}"),
        containers: PROXY,
        init_containers: &format!("{{name: istio-validation, args: [istio-iptables, {args}]}}"),
        ..Parts::default()
    };
    match &*parts.pod().enrolment {
        Enrolment::Sidecar(sidecar) => sidecar.capture.clone(),
        other => panic!("expected a sidecar, got {other:?}"),
    }
}

#[test]
fn a_sidecar_is_a_proxy_container_and_the_injectors_annotation() {
    let app = "{name: app, image: 'app:1'}";
    let both = format!("{app}, {PROXY}");
    let native = format!("{INIT}, {PROXY}");
    let named = |enrolment: &Enrolment| match enrolment {
        Enrolment::Sidecar(_) => "sidecar",
        Enrolment::Gateway => "gateway",
        Enrolment::Ambient => "ambient",
        Enrolment::None => "none",
    };
    let ambient = "ambient.istio.io/redirection: enabled";
    let gateway = format!("{STATUS}, inject.istio.io/templates: 'sidecar, gateway'");
    let unasked = format!("{STATUS}, sidecar.istio.io/interceptionMode: NONE");
    let sidecar_in_ambient = format!("{STATUS}, {ambient}");
    // containers, initContainers, annotations, spec
    let cases = [
        (&*both, INIT, STATUS, "", "sidecar"),
        (app, &*native, STATUS, "", "sidecar"),
        (&*both, "{name: istio-validation}", STATUS, "", "sidecar"),
        (&*both, INIT, "", "", "none"),
        (app, INIT, STATUS, "", "none"),
        (app, "", "", "", "none"),
        (&*both, INIT, &*gateway, "", "gateway"),
        (PROXY, "", STATUS, "", "gateway"),
        (&*both, "", &*unasked, "", "sidecar"),
        (app, "", ambient, "", "ambient"),
        (app, "", "ambient.istio.io/redirection: pending", "", "none"),
        (&*both, INIT, &*sidecar_in_ambient, "", "sidecar"),
        (&*both, INIT, STATUS, "hostNetwork: true", "none"),
    ];
    for (containers, init_containers, annotations, spec, expected) in cases {
        let pod = Parts { annotations, containers, init_containers, spec, ..Parts::default() }.pod();
        assert_eq!(named(&pod.enrolment), expected, "{containers} | {init_containers} | {annotations} | {spec}");
    }
}

#[test]
fn the_proxy_has_a_version_and_a_revision() {
    let cases = [
        ("registry.example:5000/istio/proxyv2:1.30.3", Some("1.30.3")),
        ("istio/proxyv2:1.29.1-distroless@sha256:abcd", Some("1.29.1-distroless")),
        ("registry.example:5000/istio/proxyv2", None),
        ("istio/proxyv2@sha256:abcd", None),
    ];
    for (image, expected) in cases {
        let containers = &format!("{{name: istio-proxy, image: '{image}'}}");
        let pod = Parts { annotations: STATUS, containers, init_containers: INIT, ..Parts::default() }.pod();
        let Enrolment::Sidecar(sidecar) = &*pod.enrolment else { panic!("expected a sidecar for {image}") };
        let SidecarProxy { version, revision, capture: _ } = sidecar;
        assert_eq!(version.as_deref(), expected, "{image}");
        assert_eq!(revision.as_deref(), Some("canary"));
    }
}

#[test]
fn capture_is_what_istio_iptables_was_told() {
    let told = capture_of(
        "-p, '15011', -z, '15016', -u, '1338,0', -m, TPROXY, -i, '10.0.0.0/8, fd00::/8', -x, '10.9.0.0/16,10.8.1.1', \
         -b, '80,443', -d, '15090,15021', -q, '3306', -o, '9000,8080', -k, eth1, -c, eth2, '--log_output_level=info'",
        "",
    );
    let expected = Capture {
        mode: InterceptionMode::Tproxy,
        outbound_port: 15011,
        inbound_port: 15016,
        proxy_uids: [1338, 0].into_iter().collect(),
        include_outbound_ranges: Selection::Only(vec![
            "10.0.0.0/8".parse().expect("a range"),
            "fd00::/8".parse().expect("a range"),
        ]),
        exclude_outbound_ranges: vec!["10.9.0.0/16".parse().expect("a range"), "10.8.1.1/32".parse().expect("a range")],
        include_outbound_ports: vec![3306],
        exclude_outbound_ports: vec![9000, 8080],
        include_inbound_ports: Selection::Only(vec![80, 443]),
        exclude_inbound_ports: vec![15090, 15021],
    };
    assert_eq!(told, expected);
}

#[test]
fn what_is_not_told_is_what_istio_does_by_default() {
    let expected = Capture {
        mode: InterceptionMode::Redirect,
        outbound_port: 15001,
        inbound_port: 15006,
        proxy_uids: [1337].into_iter().collect(),
        include_outbound_ranges: Selection::All,
        exclude_outbound_ranges: Vec::new(),
        include_outbound_ports: Vec::new(),
        exclude_outbound_ports: Vec::new(),
        include_inbound_ports: Selection::All,
        exclude_inbound_ports: Vec::new(),
    };
    assert_eq!(capture_of("--run-validation", ""), expected);
    let said = "-m, REDIRECT, -i, '*', -x, '', -b, '*', -d, ''";
    assert_eq!(capture_of(said, ""), expected);
}

#[test]
fn annotations_say_what_arguments_leave_out() {
    let annotations = ", traffic.sidecar.istio.io/excludeOutboundPorts: '9000', \
                       traffic.sidecar.istio.io/excludeInboundPorts: '9001', \
                       traffic.sidecar.istio.io/includeInboundPorts: '9002', \
                       traffic.sidecar.istio.io/includeOutboundPorts: '9003', \
                       traffic.sidecar.istio.io/includeOutboundIPRanges: '10.1.0.0/16', \
                       traffic.sidecar.istio.io/excludeOutboundIPRanges: '10.2.0.0/16', \
                       sidecar.istio.io/interceptionMode: TPROXY";
    let annotated = capture_of("--run-validation", annotations);
    assert_eq!(annotated.mode, InterceptionMode::Tproxy);
    assert_eq!(annotated.exclude_outbound_ports, [9000]);
    assert_eq!(annotated.exclude_inbound_ports, [9001]);
    assert_eq!(annotated.include_inbound_ports, Selection::Only(vec![9002]));
    assert_eq!(annotated.include_outbound_ports, [9003]);
    assert_eq!(annotated.include_outbound_ranges, Selection::Only(vec!["10.1.0.0/16".parse().expect("a range")]));
    assert_eq!(annotated.exclude_outbound_ranges, ["10.2.0.0/16".parse().expect("a range")]);

    let told = capture_of("-o, '1', -d, '2', -b, '*', -q, '4', -i, '*', -x, '', -m, REDIRECT", annotations);
    assert_eq!(told.mode, InterceptionMode::Redirect);
    assert_eq!(told.exclude_outbound_ports, [1]);
    assert_eq!(told.exclude_inbound_ports, [2]);
    assert_eq!(told.include_inbound_ports, Selection::All);
    assert_eq!(told.include_outbound_ports, [4]);
    assert_eq!(told.include_outbound_ranges, Selection::All);
    assert_eq!(told.exclude_outbound_ranges, []);
}

#[test]
fn an_empty_include_list_captures_nothing() {
    let told = capture_of("-b, '', -i, ''", "");
    assert_eq!(told.include_inbound_ports, Selection::Only(Vec::new()));
    assert_eq!(told.include_outbound_ranges, Selection::Only(Vec::new()));
}

#[test]
fn a_workload_is_told_by_the_controllers_name() {
    let owner = |kind: &str, name: &str| format!("ownerReferences: [{{kind: {kind}, name: {name}, controller: true}}]");
    // labels, owner, kind and name of the workload
    let cases = [
        ("pod-template-hash: 7f6d8b9c4", owner("ReplicaSet", "web-7f6d8b9c4"), "Deployment", "web"),
        ("pod-template-hash: '1'", owner("ReplicaSet", "web-7f6d8b9c4"), "ReplicaSet", "web-7f6d8b9c4"),
        ("", owner("ReplicaSet", "client-5d9c"), "ReplicaSet", "client-5d9c"),
        ("rollouts-pod-template-hash: ab12", owner("ReplicaSet", "web-ab12"), "Rollout", "web"),
        ("", owner("StatefulSet", "db"), "StatefulSet", "db"),
        ("", owner("DaemonSet", "node-exporter"), "DaemonSet", "node-exporter"),
        ("", owner("Job", "backup-29312345"), "CronJob", "backup"),
        ("", owner("Job", "backup-1700000000"), "CronJob", "backup"),
        ("", owner("Job", "migrate-7"), "Job", "migrate-7"),
        ("", owner("Job", "migrate-12345678901"), "Job", "migrate-12345678901"),
        ("", owner("Kafka", "events"), "Kafka", "events"),
        ("", String::new(), "Pod", "web-0"),
        ("", "ownerReferences: [{kind: Node, name: n1}]".to_owned(), "Pod", "web-0"),
    ];
    for (labels, metadata, kind, name) in cases {
        let pod = Parts { labels, metadata: &metadata, ..Parts::default() }.pod();
        assert_eq!((&*pod.workload.kind, &*pod.workload.name), (kind, name), "{labels} {metadata}");
    }
}

#[test]
fn a_pod_is_gone_when_it_failed_or_succeeded() {
    for (phase, gone) in [("Running", false), ("Pending", false), ("Failed", true), ("Succeeded", true)] {
        let pod = Parts { status: &format!("phase: {phase}"), ..Parts::default() }.pod();
        assert_eq!(pod.gone, gone, "{phase}");
    }
}

#[test]
fn status_says_when_and_where() {
    let pod = Parts {
        metadata: "creationTimestamp: '2026-08-01T00:00:00Z'\n  uid: u-1",
        spec: "nodeName: n1\n  serviceAccountName: web",
        containers: "{name: app, ports: [{containerPort: 8080}, {containerPort: 53, protocol: UDP}]}",
        status: "phase: Running, startTime: '2026-08-01T00:00:01Z', podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, \
                 {ip: 'fd00::1'}], conditions: [{type: ContainersReady, status: 'True', lastTransitionTime: \
                 '2026-08-01T00:00:03Z'}, {type: Ready, status: 'True', lastTransitionTime: '2026-08-01T00:00:05Z'}]",
        ..Parts::default()
    }
    .pod();
    assert_eq!(pod.created.0, 1_785_542_400);
    assert!(pod.ready);
    assert_eq!(pod.ips.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.1", "fd00::1"]);
    assert_eq!((&*pod.node, &*pod.service_account, pod.uid), ("n1", "web", "u-1".into()));

    let unready = "conditions: [{type: Ready, status: 'False', lastTransitionTime: '2026-08-01T00:00:05Z'}]";
    assert!(!Parts { status: unready, ..Parts::default() }.pod().ready);
    assert_eq!(&*Parts::default().pod().service_account, "default");
    let old = Parts { status: "podIP: 10.0.0.1", ..Parts::default() }.pod();
    assert_eq!(old.ips.len(), 1, "podIP alone, as before podIPs");
}

#[test]
fn clients_go_by_labels() {
    let plain = Parts::default().pod();
    assert!(!plain.tls_mode_istio);
    let labelled = Parts { labels: "security.istio.io/tlsMode: istio", ..Parts::default() }.pod();
    assert!(labelled.tls_mode_istio);
    let disabled = Parts { labels: "security.istio.io/tlsMode: disabled", ..Parts::default() }.pod();
    assert!(!disabled.tls_mode_istio);
}

#[test]
fn every_bad_value_is_named() {
    let parts = Parts {
        annotations: "sidecar.istio.io/status: '{\"revision\"'",
        metadata: "creationTimestamp: yesterday",
        containers: PROXY,
        init_containers: "{name: istio-init, args: [-p, '0', -i, '10.0.0.0/40', -u, root, -m, SOCKS]}",
        status: "podIPs: [{ip: 10.0.0.1}, {ip: 10.0.0.300}]",
        ..Parts::default()
    };
    let [said] = &*skipped(&parts.yaml()) else { panic!("expected one object to be skipped") };
    for expected in [
        "Pod shop/web-0 is skipped: ",
        "metadata.creationTimestamp \"yesterday\" is no time",
        "status.podIPs[1].ip \"10.0.0.300\" is no ip address",
        "metadata.annotations[sidecar.istio.io/status] \"{\\\"revision\\\"\" is not the JSON that the injector writes",
        "argument -p of the capture container \"0\" is no port",
        "argument -i of the capture container \"10.0.0.0/40\" is neither an ip address nor a range",
        "argument -u of the capture container \"root\" is no uid",
        "argument -m of the capture container \"SOCKS\" is none of REDIRECT, TPROXY, NONE",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in {said:?}");
    }
}
