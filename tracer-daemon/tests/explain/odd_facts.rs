//! Clusters as people leave them: policies that contradict each other or select nobody, values that this version does
//! not know, routes in a circle. Each has its answer, and what had to be left out is said in it.

use crate::{answers, cluster};
use serde_json::Value;
use std::fs;

/// `shop/web-0` with a sidecar and `shop/old-0` without one dial `data/db-0`, which has one; a headless Service
/// declares its ports 9000 (TCP) and 8080 (HTTP).
const CLUSTER: &str = r#"
{apiVersion: v1, kind: Namespace, metadata: {name: istio-system}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: '{}'}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: data}}
---
apiVersion: v1
kind: Pod
metadata:
  {name: web-0, namespace: shop, uid: a1, labels: {app: web, security.istio.io/tlsMode: istio},
   annotations: {sidecar.istio.io/status: '{"containers": ["istio-proxy"]}'}}
spec:
  containers: [{name: app}, {name: istio-proxy}]
  initContainers: [{name: istio-init, args: [istio-iptables, -p, '15001', -z, '15006', -u, '1337', -i, '*', -b, '*']}]
status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: old-0, namespace: shop, uid: a2, labels: {app: old}}
spec: {containers: [{name: app}]}
status: {phase: Running, podIP: 10.0.0.2, podIPs: [{ip: 10.0.0.2}]}
---
apiVersion: v1
kind: Pod
metadata:
  {name: db-0, namespace: data, uid: a3, labels: {app: db, security.istio.io/tlsMode: istio},
   annotations: {sidecar.istio.io/status: '{"containers": ["istio-proxy"]}'}}
spec:
  containers: [{name: app}, {name: istio-proxy}]
  initContainers: [{name: istio-init, args: [istio-iptables, -p, '15001', -z, '15006', -u, '1337', -i, '*', -b, '*']}]
status: {phase: Running, podIP: 10.0.0.3, podIPs: [{ip: 10.0.0.3}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: data}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: tcp, port: 9000}, {name: http, port: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: data, labels: {kubernetes.io/service-name: db}}
ports: [{name: tcp, port: 9000}, {name: http, port: 8080}]
endpoints: [{addresses: [10.0.0.3], targetRef: {kind: Pod, namespace: data, name: db-0}}]
"#;

fn answer(objects: &[&str], question: &str) -> Value {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("cluster.yaml");
    fs::write(&path, [CLUSTER, &objects.join("\n---\n")].join("\n---\n")).expect("a file");
    let (mut answered, ended) = answers(&mut cluster(&path), question);
    ended.expect("a good line");
    answered.remove(0)
}

/// What becomes of plaintext to the database's TCP port.
fn plaintext(objects: &[&str]) -> Value {
    answer(objects, r#"{"from":"shop/old-0","to":"10.0.0.3:9000","send":"tcp"}"#)
}

fn request(objects: &[&str], host: &str) -> Value {
    answer(objects, &format!(r#"{{"from":"shop/web-0","to":"10.0.0.3:8080","send":"http","host":{host:?}}}"#))
}

fn peer(namespace: &str, name: &str, created: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {{name: {name}, namespace: {namespace}, \
         creationTimestamp: '2026-01-0{created}T00:00:00Z'}}, spec: {{{spec}}}}}"
    )
}

fn networking(kind: &str, namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: {kind}, metadata: {{name: {name}, namespace: {namespace}}}, spec: {{{spec}}}}}"
    )
}

fn is_strict(answer: &Value) -> bool {
    match (answer["reason"].as_str(), answer["caveats"].as_array().map(Vec::len)) {
        (Some("plaintext-to-strict"), Some(0)) => true,
        (Some("source-uncaptured"), Some(0)) => false,
        _ => panic!("{answer}"),
    }
}

fn left_out(answer: &Value) -> &str {
    match &answer["caveats"].as_array().expect("caveats")[..] {
        [only] => only.as_str().and_then(|caveat| caveat.strip_prefix("left out of this answer: ")).expect("an object"),
        others => panic!("{others:?}"),
    }
}

#[test]
fn of_policies_that_contradict_each_other_the_oldest_and_then_the_first_by_name_holds() {
    let (strict, disable) = ("mtls: {mode: STRICT}", "mtls: {mode: DISABLE}");
    for scope in ["istio-system", "data"] {
        assert!(is_strict(&plaintext(&[&peer(scope, "z", "1", strict), &peer(scope, "a", "2", disable)])));
        assert!(!is_strict(&plaintext(&[&peer(scope, "a", "2", strict), &peer(scope, "z", "1", disable)])));
        assert!(is_strict(&plaintext(&[&peer(scope, "b", "1", disable), &peer(scope, "a", "1", strict)])));
    }
    let of_pod = |mode: &str| format!("selector: {{matchLabels: {{app: db}}}}, mtls: {{mode: {mode}}}");
    let both = [peer("data", "b", "1", &of_pod("PERMISSIVE")), peer("data", "a", "2", &of_pod("STRICT"))];
    assert!(!is_strict(&plaintext(&[&both[0], &both[1]])));
}

#[test]
fn a_selector_that_matches_nobody_changes_nothing() {
    let nobody = "selector: {matchLabels: {app: nobody}}, mtls: {mode: STRICT}, portLevelMtls: {9000: {mode: STRICT}}";
    assert!(!is_strict(&plaintext(&[&peer("data", "x", "1", nobody)])));
    let in_root = "selector: {matchLabels: {app: db}}, mtls: {mode: STRICT}";
    assert!(!is_strict(&plaintext(&[&peer("istio-system", "x", "1", in_root)])), "the root namespace selects nobody");
    let elsewhere =
        networking("Sidecar", "shop", "x", "workloadSelector: {labels: {app: nobody}}, egress: [{hosts: [./*]}]");
    assert_eq!(request(&[&elsewhere], "db.data")["reason"], "host-matched");
}

#[test]
fn a_policy_without_a_mode_inherits() {
    let mesh = peer("istio-system", "mesh", "1", "mtls: {mode: STRICT}");
    for silent in
        ["", "mtls: {}", "mtls: {mode: UNSET}", "selector: {matchLabels: {app: db}}", "portLevelMtls: {9000: {}}"]
    {
        assert!(is_strict(&plaintext(&[&mesh, &peer("data", "x", "2", silent)])), "{silent:?}");
        assert!(
            !is_strict(&plaintext(&[&peer("data", "x", "2", silent)])),
            "{silent:?}: PERMISSIVE where none says it"
        );
    }
    let port = "selector: {matchLabels: {app: db}}, mtls: {mode: DISABLE}, portLevelMtls: {9000: {mode: UNSET}}";
    assert!(!is_strict(&plaintext(&[&mesh, &peer("data", "x", "2", port)])), "the port inherits from the workload");
}

/// As a newer Istio may have them: the object is left out, which every answer says, and the others count.
#[test]
fn an_object_with_a_value_that_nobody_knows_is_left_out_of_the_answer() {
    let newer = peer("data", "x", "1", "mtls: {mode: QUANTUM}");
    let answered = plaintext(&[&newer, &peer("istio-system", "mesh", "1", "mtls: {mode: STRICT}")]);
    assert_eq!(answered["reason"], "plaintext-to-strict");
    assert_eq!(
        left_out(&answered),
        "PeerAuthentication data/x is skipped: spec.mtls.mode \"QUANTUM\" is none of UNSET, DISABLE, PERMISSIVE, STRICT"
    );
    let newer = networking("Sidecar", "shop", "x", "outboundTrafficPolicy: {mode: ASK}");
    assert!(left_out(&plaintext(&[&newer])).contains("outboundTrafficPolicy.mode \"ASK\" is none of"));
}

#[test]
fn ports_out_of_range_are_left_out_and_named() {
    let service = |port: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: x, namespace: data}}, spec: {{clusterIP: None, ports: [{{{port}}}]}}}}"
        )
    };
    for (object, said) in [
        (service("port: 70000"), "spec.ports[0].port \"70000\" is no port: 1 to 65535"),
        (service("port: 0"), "spec.ports[0].port \"0\" is no port: 1 to 65535"),
        (service("port: 80, targetPort: 99999"), "spec.ports[0].targetPort \"99999\" is no port: 1 to 65535"),
        (peer("data", "x", "1", "portLevelMtls: {99999: {mode: STRICT}}"), "\"99999\" is no port: 1 to 65535"),
        (peer("data", "x", "1", "portLevelMtls: {-1: {mode: STRICT}}"), "\"-1\" is no port: 1 to 65535"),
    ] {
        let answered = plaintext(&[&object]);
        assert_eq!(answered["reason"], "source-uncaptured");
        assert!(left_out(&answered).contains(said), "{}", left_out(&answered));
    }
}

#[test]
fn a_range_of_a_service_entry_takes_what_nothing_narrower_does() {
    let entry = |address: &str, port: &str| {
        networking(
            "ServiceEntry",
            "shop",
            "x",
            &format!(
                "hosts: [x.example], addresses: ['{address}'], resolution: STATIC, endpoints: [{{address: 192.0.2.7}}], \
                 ports: [{{number: {port}, name: tcp, protocol: TCP}}]"
            ),
        )
    };
    let ask = |entry: &str, port: u16| {
        answer(&[entry], &format!(r#"{{"from":"shop/web-0","to":"10.0.0.3:{port}","send":"tcp"}}"#))
    };
    for range in ["10.0.0.0/24", "10.0.0.9/8", "0.0.0.0/0", "10.0.0.3/32", "10.0.0.3"] {
        assert_eq!(ask(&entry(range, "7000"), 7000)["reason"], "service-entry-takeover", "{range}");
    }
    assert_eq!(ask(&entry("10.0.0.0/24", "9000"), 9000)["reason"], "headless-tcp", "its own ip:port is narrower");
    assert_eq!(ask(&entry("10.1.0.0/16", "7000"), 7000)["reason"], "passthrough");
    assert!(left_out(&ask(&entry("10.0.0.0/33", "7000"), 7000)).contains("is neither an ip address nor a range"));
}

#[test]
fn routes_in_a_circle_end() {
    let service = |name: &str, hosts: &str, http: &str| {
        networking("VirtualService", "data", name, &format!("hosts: [{hosts}], http: [{http}]"))
    };
    let to_itself = service("a", "db", "{route: [{destination: {host: db}}]}");
    assert_eq!(request(&[&to_itself], "db.data")["reason"], "host-matched");
    let circle = [
        service("a", "db", "{delegate: {name: b}}, {route: [{destination: {host: db}}]}"),
        service("b", "", "{delegate: {name: c}}"),
        service("c", "", "{delegate: {name: b}}, {delegate: {name: c}}"),
    ];
    let answered = request(&[&circle[0], &circle[1], &circle[2]], "db.data");
    assert_eq!(answered["class"], "rejected", "the first delegate's only route leads nowhere: {answered}");
    let missing = service("a", "db", "{delegate: {name: none}}, {route: [{destination: {host: db}}]}");
    assert_eq!(request(&[&missing], "db.data")["reason"], "host-matched");
}

#[test]
fn a_host_is_read_as_envoy_reads_it() {
    for (host, reason) in [
        ("DB.Data:1", "host-matched"),
        ("db.data.svc.cluster.local.", "host-matched"),
        ("db-7.db.data", "host-matched"),
        ("10.0.0.3", "passthrough"),
        ("[fd00::3]:8080", "passthrough"),
        ("db.data,db.data", "passthrough"),
        ("caf\u{e9}.data", "not-http-on-http-port"),
        ("db data", "not-http-on-http-port"),
        ("", "not-http-on-http-port"),
    ] {
        assert_eq!(request(&[], host)["reason"], reason, "{host:?}");
    }
}
