//! Istio's objects and its mesh configuration.

use crate::{fact_as, facts, read, skipped};
use std::time::Duration;
use tracer_daemon::source::cluster::{IstioInstallation, read_facts};
use tracer_engine::mesh::facts::{
    ClientTls, ClientTlsMode, Delta, Destination, EntryPort, ExportTo, Fact, HttpMatch, HttpRoute, Kind, L4Match,
    LabelOperator, Labels, Location, MeshConfig, MtlsMode, OutboundPolicy, Resolution, StringMatch, TrafficPolicy,
};
use tracer_engine::net::Name;

fn labels(of: &[(&str, &str)]) -> Labels {
    of.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn object(group: &str, kind: &str, spec: &str) -> String {
    format!("{{apiVersion: {group}/v1, kind: {kind}, metadata: {{name: x, namespace: shop}}, spec: {{{spec}}}}}")
}

fn mesh(name: &str, config: &str) -> String {
    let config = config.replace('\n', "\n    ");
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: istio-system}}\ndata:\n  mesh: |\n    {config}\n"
    )
}

fn mesh_config(config: &str) -> MeshConfig {
    fact_as!(MeshConfig, &mesh("istio", config))
}

#[test]
fn what_the_mesh_configuration_leaves_out_is_istios_default() {
    let expected = MeshConfig {
        revision: "default".into(),
        root_namespace: "istio-system".into(),
        outbound: OutboundPolicy::AllowAny,
        auto_mtls: true,
        trust_domain: "cluster.local".into(),
        trust_domain_aliases: Vec::new(),
        default_service_export_to: ExportTo::All,
        default_virtual_service_export_to: ExportTo::All,
        default_destination_rule_export_to: ExportTo::All,
        discovery_selectors: Vec::new(),
        protocol_detection_timeout: Duration::ZERO,
    };
    for config in ["accessLogFile: /dev/stdout", "outboundTrafficPolicy: {}", "# nothing", ""] {
        assert_eq!(mesh_config(config), expected, "{config}");
    }
}

#[test]
fn the_mesh_configuration_is_read() {
    let config = mesh_config(
        "rootNamespace: mesh-root\noutboundTrafficPolicy:\n  mode: REGISTRY_ONLY\nenableAutoMtls: false\n\
         trustDomain: example.org\ntrustDomainAliases: [old.example.org]\ndefaultServiceExportTo: ['.']\n\
         defaultVirtualServiceExportTo: ['~']\ndefaultDestinationRuleExportTo: [a, b]\nprotocolDetectionTimeout: 1.5s\n\
         discoverySelectors:\n- matchLabels: {mesh: 'on'}\n- matchExpressions:\n  - {key: env, operator: In, values: [a, b]}",
    );
    assert_eq!((&*config.root_namespace, &*config.trust_domain), ("mesh-root", "example.org"));
    assert_eq!(config.outbound, OutboundPolicy::RegistryOnly);
    assert!(!config.auto_mtls);
    assert_eq!(config.trust_domain_aliases, [Name::from("old.example.org")]);
    assert_eq!(config.default_service_export_to, ExportTo::OwnNamespace);
    assert_eq!(config.default_virtual_service_export_to, ExportTo::Nobody);
    assert_eq!(config.default_destination_rule_export_to, ExportTo::Namespaces(vec!["a".into(), "b".into()]));
    assert_eq!(config.protocol_detection_timeout, Duration::from_millis(1500));
    let [by_label, by_expression] = &*config.discovery_selectors else { panic!("expected two selectors") };
    assert_eq!(by_label.match_labels, labels(&[("mesh", "on")]));
    let [expression] = &*by_expression.match_expressions else { panic!("expected one expression") };
    assert_eq!((&*expression.key, expression.operator, expression.values.len()), ("env", LabelOperator::In, 2));
}

#[test]
fn durations_are_spelt_in_many_ways() {
    for (text, expected) in [("0s", 0), ("5s", 5000), ("100ms", 100), ("0.1s", 100), ("1m30s", 90_000)] {
        let config = mesh_config(&format!("protocolDetectionTimeout: {text}"));
        assert_eq!(config.protocol_detection_timeout, Duration::from_millis(expected), "{text}");
    }
}

#[test]
fn a_revision_has_a_config_map_of_its_own() {
    let all =
        [mesh("istio", "trustDomain: a"), mesh("istio-canary", "trustDomain: b"), mesh("other", "{")].join("---\n");
    let revisions = |facts: &[Fact]| {
        let of = facts.iter().map(|fact| match fact {
            Fact::MeshConfig(config) => config.revision.to_string(),
            other => panic!("expected mesh configuration, got {other:?}"),
        });
        of.collect::<Vec<_>>()
    };
    assert_eq!(revisions(&facts(&all)), ["default", "canary"]);

    let (_dir, file) = crate::written(&all);
    let istio = IstioInstallation { revisions: vec!["canary".to_owned()], ..IstioInstallation::default() };
    let some = read_facts(&[file], &istio).expect("readable facts");
    let told = some.deltas.iter().filter(|delta| matches!(delta, Delta::Upsert(_))).count();
    assert_eq!(told, 1);
}

#[test]
fn other_config_maps_are_passed_over() {
    let text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: shop}, data: {mesh: '{'}}\n---\n\
                {apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: istio-system}, data: {a: b}}";
    let read = read(text).expect("readable facts");
    let told: Vec<_> = read.deltas.iter().filter(|delta| !matches!(delta, Delta::Synced(_))).collect();
    assert!(matches!(&*told, [Delta::Remove(Kind::MeshConfig, _)]), "{told:?}");
    assert!(read.report.unknown_kinds.is_empty());
}

#[test]
fn peer_authentication() {
    let spec = "selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}, '9000': {mode: \
                UNSET}, 80: {}}";
    let of = fact_as!(PeerAuthentication, &object("security.istio.io", "PeerAuthentication", spec));
    assert_eq!(of.selector, Some(labels(&[("app", "web")])));
    assert_eq!(of.mode, MtlsMode::Strict);
    let mut port_level = of.port_level;
    port_level.sort_unstable_by_key(|(port, _)| *port);
    assert_eq!(port_level, [(80, MtlsMode::Unset), (8080, MtlsMode::Disable), (9000, MtlsMode::Unset)]);

    for (spec, mode) in
        [("", MtlsMode::Unset), ("mtls: {}", MtlsMode::Unset), ("mtls: {mode: PERMISSIVE}", MtlsMode::Permissive)]
    {
        let of = fact_as!(PeerAuthentication, &object("security.istio.io", "PeerAuthentication", spec));
        assert_eq!((of.mode, of.selector), (mode, None), "{spec}");
    }
}

#[test]
fn istio_versions_of_one_group_are_one() {
    for version in ["v1", "v1beta1", "v1alpha3"] {
        let text = format!(
            "{{apiVersion: networking.istio.io/{version}, kind: Sidecar, metadata: {{name: x, namespace: y}}}}"
        );
        assert_eq!(facts(&text).len(), 1, "{version}");
    }
}

#[test]
fn an_authorization_policy_selects_pods_or_is_none_of_ours() {
    let policy = |spec| object("security.istio.io", "AuthorizationPolicy", spec);
    let of = fact_as!(AuthorizationPolicy, &policy("selector: {matchLabels: {app: es}}, rules: [{from: [{}]}]"));
    assert_eq!(of.selector, Some(labels(&[("app", "es")])));
    let read = read(&policy("targetRefs: [{kind: Gateway, name: waypoint}]")).expect("readable facts");
    assert!(read.deltas.iter().any(|delta| matches!(delta, Delta::Remove(Kind::AuthorizationPolicy, _))));
}

#[test]
fn destination_rule() {
    let spec = "host: es.search.svc.cluster.local, exportTo: ['.', other], workloadSelector: {matchLabels: {app: a}}, \
                trafficPolicy: {tls: {mode: SIMPLE, sni: es, subjectAltNames: [spiffe://a]}, loadBalancer: {simple: PASSTHROUGH}, \
                portLevelSettings: [{port: {number: 9200}, tls: {mode: ISTIO_MUTUAL}}, {port: {number: 9300}}]}, \
                subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {tls: {}}}]";
    let of = fact_as!(DestinationRule, &object("networking.istio.io", "DestinationRule", spec));
    let tls = |mode| ClientTls { mode, sni: None, subject_alt_names: Vec::new() };
    assert_eq!(&*of.host, "es.search.svc.cluster.local");
    assert_eq!(of.export_to, Some(ExportTo::Namespaces(vec!["shop".into(), "other".into()])));
    assert_eq!(of.workload_selector, Some(labels(&[("app", "a")])));
    let port_level = vec![
        (9200, TrafficPolicy { tls: Some(tls(ClientTlsMode::IstioMutual)), ..TrafficPolicy::default() }),
        (9300, TrafficPolicy::default()),
    ];
    let host_tls = ClientTls {
        sni: Some("es".into()),
        subject_alt_names: vec!["spiffe://a".into()],
        ..tls(ClientTlsMode::Simple)
    };
    assert_eq!(of.traffic_policy, Some(TrafficPolicy { tls: Some(host_tls), passthrough: true, port_level }));
    let [subset] = &*of.subsets else { panic!("expected one subset") };
    assert_eq!(subset.labels, labels(&[("version", "v1")]));
    let policy = subset.traffic_policy.as_ref().expect("a policy");
    assert_eq!(policy.tls, Some(tls(ClientTlsMode::Disable)), "a mode left out is the zero of the enumeration");
}

#[test]
fn service_entry() {
    let spec = "hosts: [ext.example.com], addresses: [10.0.1.10, 10.0.2.0/24], ports: [{number: 80, protocol: HTTP, name: \
                http, targetPort: 8080}, {number: 9000, protocol: TCP, name: tcp}], resolution: STATIC, location: MESH_INTERNAL, \
                endpoints: [{address: 10.0.5.5, ports: {tcp: 9001}, labels: {a: b}, serviceAccount: sa}], exportTo: ['*'], \
                subjectAltNames: [spiffe://x]";
    let of = fact_as!(ServiceEntry, &object("networking.istio.io", "ServiceEntry", spec));
    assert_eq!(of.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.1.10/32", "10.0.2.0/24"]);
    let port = |number, protocol: &str, name: &str, target| EntryPort {
        number,
        protocol: protocol.into(),
        name: name.into(),
        target,
    };
    assert_eq!(of.ports, [port(80, "HTTP", "http", Some(8080)), port(9000, "TCP", "tcp", None)]);
    assert_eq!((of.resolution, of.location), (Resolution::Static, Location::MeshInternal));
    let [endpoint] = &*of.endpoints else { panic!("expected one endpoint") };
    assert_eq!((&*endpoint.address, endpoint.ports.as_slice()), ("10.0.5.5", &[("tcp".into(), 9001)][..]));
    assert_eq!(endpoint.service_account.as_deref(), Some("sa"));
    assert_eq!((of.export_to, of.subject_alt_names), (Some(ExportTo::All), vec!["spiffe://x".into()]));

    let bare = fact_as!(ServiceEntry, &object("networking.istio.io", "ServiceEntry", "hosts: [a]"));
    assert_eq!((bare.resolution, bare.location, bare.export_to), (Resolution::None, Location::MeshExternal, None));
}

#[test]
fn sidecar() {
    let spec = "workloadSelector: {labels: {app: web}}, ingress: [{port: {number: 9080, protocol: HTTP, name: http}, \
                defaultEndpoint: '127.0.0.1:8080', bind: 0.0.0.0}], egress: [{hosts: [./*]}, {port: {number: 9001, protocol: TCP, name: \
                t}, bind: 127.0.0.1, hosts: ['data/*']}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}";
    let of = fact_as!(Sidecar, &object("networking.istio.io", "Sidecar", spec));
    assert_eq!(of.workload_selector, Some(labels(&[("app", "web")])));
    let [ingress] = &*of.ingress else { panic!("expected one ingress listener") };
    assert_eq!((ingress.port.number, ingress.default_endpoint.as_deref()), (9080, Some("127.0.0.1:8080")));
    assert_eq!(ingress.bind.map(|ip| ip.to_string()).as_deref(), Some("0.0.0.0"));
    let [all, one] = &*of.egress else { panic!("expected two egress listeners") };
    assert_eq!((all.port.as_ref(), &*all.hosts), (None, &["./*".into()][..]));
    assert_eq!(one.port.as_ref().map(|port| port.number), Some(9001));
    assert_eq!(of.outbound, Some(OutboundPolicy::RegistryOnly));

    let policy = |spec| fact_as!(Sidecar, &object("networking.istio.io", "Sidecar", spec)).outbound;
    assert_eq!(policy(""), None);
    assert_eq!(policy("outboundTrafficPolicy: {mode: ALLOW_ANY}"), Some(OutboundPolicy::AllowAny));
    assert_eq!(policy("outboundTrafficPolicy: {}"), Some(OutboundPolicy::RegistryOnly), "the zero of the enumeration");
}

#[test]
fn virtual_service() {
    let spec = "hosts: [web, 10.0.1.20], gateways: [mesh], exportTo: ['.'], \
                http: [{name: r, match: [{uri: {prefix: /a}, authority: {exact: h}, port: 80, sourceLabels: {a: b}, sourceNamespace: \
                n}, {headers: {x: {exact: y}}}, {headers: {}}, {method: {exact: GET}}], route: [{destination: {host: a, subset: v1, \
                port: {number: 8090}}, weight: 25}, {destination: {host: b}, weight: 75}]}, {redirect: {uri: /x}}, \
                {delegate: {name: d}}, {delegate: {name: d, namespace: e}}], tcp: [{match: [{port: 9000, destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: c}}]}], \
                tls: [{match: [{sniHosts: [d], gateways: [mesh]}], route: [{destination: {host: d}}]}]";
    let of = fact_as!(VirtualService, &object("networking.istio.io", "VirtualService", spec));
    assert_eq!(of.hosts, ["web", "10.0.1.20"].map(Name::from));
    assert_eq!(of.export_to, Some(ExportTo::OwnNamespace));
    let [routed, answered, own, other] = &*of.http else { panic!("expected four http routes") };
    let delegate = |of: &HttpRoute| of.delegate.as_ref().map(ToString::to_string);
    assert_eq!([own, other].map(delegate), [Some("shop/d".to_owned()), Some("e/d".to_owned())]);
    let matches = [
        HttpMatch {
            uri: Some(StringMatch::Prefix("/a".into())),
            authority: Some(StringMatch::Exact("h".into())),
            port: Some(80),
            source_labels: labels(&[("a", "b")]),
            source_namespace: Some("n".into()),
            ..HttpMatch::default()
        },
        HttpMatch { unseen: true, ..HttpMatch::default() },
        HttpMatch::default(),
        HttpMatch { unseen: true, ..HttpMatch::default() },
    ];
    assert_eq!(routed.matches, matches);
    let to = |host: &str, port, subset: Option<&str>, weight| Destination {
        host: host.into(),
        port,
        subset: subset.map(Into::into),
        weight,
    };
    assert_eq!(routed.route, [to("a", Some(8090), Some("v1"), 25), to("b", None, None, 75)]);
    assert!(!routed.answers && answered.answers);
    let [tcp] = &*of.tcp else { panic!("expected one tcp route") };
    let subnet = L4Match {
        port: Some(9000),
        destination_subnets: vec!["10.0.0.0/8".parse().expect("a range")],
        ..L4Match::default()
    };
    assert_eq!((&*tcp.matches, &*tcp.route), (&[subnet][..], &[to("c", None, None, 100)][..]));
    let [tls] = &*of.tls else { panic!("expected one tls route") };
    let sni = L4Match { sni_hosts: vec!["d".into()], gateways: vec!["mesh".into()], ..L4Match::default() };
    assert_eq!(tls.matches, [sni]);
}

#[test]
fn every_bad_value_is_named() {
    let networking = |kind, spec| object("networking.istio.io", kind, spec);
    let cases = [
        (
            object(
                "security.istio.io",
                "PeerAuthentication",
                "mtls: {mode: strict}, portLevelMtls: {http: {mode: STRICT}}",
            ),
            "PeerAuthentication shop/x is skipped: spec.portLevelMtls \"http\" is no port: 1 to 65535; spec.mtls.mode \
             \"strict\" is none of UNSET, DISABLE, PERMISSIVE, STRICT",
        ),
        (
            networking("DestinationRule", "host: a, trafficPolicy: {tls: {mode: mtls}}"),
            "DestinationRule shop/x is skipped: trafficPolicy.tls.mode \"mtls\" is none of DISABLE, SIMPLE, MUTUAL, \
             ISTIO_MUTUAL",
        ),
        (
            networking("ServiceEntry", "hosts: [a], addresses: [a], ports: [{number: 99999}], resolution: ANY"),
            "ServiceEntry shop/x is skipped: spec.ports[0].number \"99999\" is no port: 1 to 65535; spec.addresses[0] \"a\" \
             is neither an ip address nor a range such as 10.0.0.0/8; spec.resolution \"ANY\" is none of NONE, STATIC, \
             DNS, DNS_ROUND_ROBIN, DYNAMIC_DNS",
        ),
        (
            networking("Sidecar", "outboundTrafficPolicy: {mode: DENY}, ingress: [{port: {number: 0}}]"),
            "Sidecar shop/x is skipped: spec.ingress[0].port.number \"0\" is no port: 1 to 65535; \
             outboundTrafficPolicy.mode \"DENY\" is none of REGISTRY_ONLY, ALLOW_ANY",
        ),
        (
            networking(
                "VirtualService",
                "tcp: [{match: [{destinationSubnets: [x]}], route: [{destination: {host: a}, weight: -1}, {}]}]",
            ),
            "VirtualService shop/x is skipped: spec.tcp[0].match[].destinationSubnets \"x\" is neither an ip address nor a \
             range such as 10.0.0.0/8; spec.tcp[0].route[].weight \"-1\" is no weight",
        ),
        (
            mesh("istio", "outboundTrafficPolicy: {mode: SOME}\nprotocolDetectionTimeout: soon"),
            "ConfigMap istio-system/istio is skipped: outboundTrafficPolicy.mode \"SOME\" is none of REGISTRY_ONLY, \
             ALLOW_ANY; protocolDetectionTimeout \"soon\" is no duration such as 5s or 100ms",
        ),
    ];
    for (text, said) in cases {
        assert_eq!(skipped(&text), [said]);
    }
}
