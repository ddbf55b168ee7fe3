//! A large cluster, made up: what 100,000 pods with sidecars look like to whoever watches them. The same numbers give the
//! same objects.

use serde_json::{Value, json};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    pub pods: u32,
    /// Each with an `EndpointSlice`; the pods are spread evenly behind them.
    pub services: u32,
    /// So many of the Services are headless, their pods a `StatefulSet`'s; those of the others are a Deployment's.
    pub headless: u32,
    pub nodes: u32,
    pub namespaces: u32,
}

const CREATED: &str = "2026-08-01T00:00:00Z";

impl Load {
    pub fn objects(self) -> impl Iterator<Item = Value> {
        let namespaces = (0..self.namespaces).map(namespace);
        let nodes = (0..self.nodes).map(node);
        let services = (0..self.services).flat_map(move |number| [self.service(number), self.slice(number)]);
        let policies = (0..self.namespaces).flat_map(policies);
        namespaces
            .chain(nodes)
            .chain(policies)
            .chain(services)
            .chain((0..self.pods).map(move |number| self.pod(number)))
    }

    /// Behind Service `number % services`.
    pub fn pod(self, number: u32) -> Value {
        let service = number % self.services;
        let (namespace, app) = (self.namespace_of(service), app(service));
        let ordinal = number / self.services;
        let name = self.pod_name(number);
        let mut labels = json!({
            "app": app, "app.kubernetes.io/part-of": "shop", "security.istio.io/tlsMode": "istio",
            "service.istio.io/canonical-name": app, "service.istio.io/canonical-revision": "v1", "version": "v1",
        });
        let owner = if service < self.headless {
            labels["statefulset.kubernetes.io/pod-name"] = json!(name);
            labels["apps.kubernetes.io/pod-index"] = json!(ordinal.to_string());
            labels["controller-revision-hash"] = json!(format!("{app}-{}", hash(service)));
            json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": app, "uid": uid(8, service), "controller": true })
        } else {
            labels["pod-template-hash"] = json!(hash(service));
            let name = format!("{app}-{}", hash(service));
            json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": uid(8, service), "controller": true })
        };
        let ip = self.pod_ip(number);
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": name, "namespace": namespace, "uid": uid(1, number), "creationTimestamp": CREATED, "labels": labels,
                "annotations": {
                    "prometheus.io/path": "/stats/prometheus", "prometheus.io/port": "15020", "prometheus.io/scrape": "true",
                    "sidecar.istio.io/status": STATUS,
                },
                "ownerReferences": [owner],
                "managedFields": managed_fields(),
            },
            "spec": {
                "nodeName": node_name(self.node_of(number)), "serviceAccountName": app,
                "initContainers": [{ "name": "istio-init", "image": PROXY, "args": INIT }],
                "containers": [
                    {
                        "name": "app", "image": format!("registry.example/{app}:1.2.3"),
                        "env": [{ "name": "LOG_LEVEL", "value": "info" }],
                        "ports": [{ "name": "http", "containerPort": 8080, "protocol": "TCP" }],
                    },
                    {
                        "name": "istio-proxy", "image": PROXY, "args": ["proxy", "sidecar"],
                        "ports": [{ "name": "http-envoy-prom", "containerPort": 15090, "protocol": "TCP" }],
                    },
                ],
            },
            "status": {
                "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }], "hostIP": node_ip(self.node_of(number)),
                "startTime": CREATED,
                "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": CREATED }],
            },
        })
    }

    pub fn service(self, number: u32) -> Value {
        let app = app(number);
        let spec = if number < self.headless {
            json!({ "clusterIP": "None", "clusterIPs": ["None"], "type": "ClusterIP", "selector": { "app": app }, "ports": ports() })
        } else {
            let ip = format!("10.{}.{}.{}", 200 + (number >> 16), number >> 8 & 255, number & 255);
            json!({ "clusterIP": ip, "clusterIPs": [ip], "type": "ClusterIP", "selector": { "app": app }, "ports": ports() })
        };
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": app, "namespace": self.namespace_of(number), "uid": uid(2, number), "creationTimestamp": CREATED,
                "labels": { "app": app },
            },
            "spec": spec, "status": { "loadBalancer": {} },
        })
    }

    pub fn slice(self, number: u32) -> Value {
        let (app, namespace) = (app(number), self.namespace_of(number));
        let endpoints: Vec<Value> = (number..self.pods)
            .step_by(self.services as usize)
            .map(|pod| {
                json!({
                    "addresses": [self.pod_ip(pod)], "conditions": { "ready": true, "serving": true, "terminating": false },
                    "nodeName": node_name(self.node_of(pod)),
                    "targetRef": { "kind": "Pod", "namespace": namespace, "name": self.pod_name(pod), "uid": uid(1, pod) },
                })
            })
            .collect();
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{app}-{}", &hash(number)[..5]), "namespace": namespace, "uid": uid(3, number),
                "creationTimestamp": CREATED,
                "labels": {
                    "app": app, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                    "kubernetes.io/service-name": app,
                },
            },
            "addressType": "IPv4", "endpoints": endpoints,
            "ports": [
                { "name": "http", "port": 8080, "protocol": "TCP" }, { "name": "tcp-peer", "port": 9300, "protocol": "TCP" },
            ],
        })
    }

    fn pod_name(self, number: u32) -> String {
        let (service, ordinal) = (number % self.services, number / self.services);
        if service < self.headless {
            format!("{}-{ordinal}", app(service))
        } else {
            format!("{}-{}-{}", app(service), hash(service), &hash(number)[..5])
        }
    }

    fn namespace_of(self, service: u32) -> String {
        format!("team-{}", service % self.namespaces)
    }

    fn node_of(self, pod: u32) -> u32 {
        pod % self.nodes
    }

    /// Of its node's range.
    fn pod_ip(self, pod: u32) -> String {
        let (node, number) = (self.node_of(pod), pod / self.nodes);
        format!("10.{}.{}.{}", 64 + (node >> 8) + (number >> 8) * 4, node & 255, number & 255)
    }
}

fn namespace(number: u32) -> Value {
    let name = format!("team-{number}");
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {
            "name": name, "uid": uid(4, number), "creationTimestamp": CREATED,
            "labels": { "istio-injection": "enabled", "kubernetes.io/metadata.name": name },
        },
        "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" },
    })
}

fn node(number: u32) -> Value {
    let range = format!("10.{}.{}.0/24", 64 + (number >> 8), number & 255);
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": node_name(number), "uid": uid(5, number), "creationTimestamp": CREATED },
        "spec": { "podCIDR": range, "podCIDRs": [range] },
        "status": { "addresses": [{ "type": "InternalIP", "address": node_ip(number) }] },
    })
}

/// Of each namespace a policy, five rules and a route.
fn policies(number: u32) -> Vec<Value> {
    let namespace = format!("team-{number}");
    let of = |kind: u32, name: &str| json!({ "name": name, "namespace": namespace, "uid": uid(6 + kind, number), "creationTimestamp": CREATED });
    let mut policies = vec![json!({
        "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
        "metadata": of(0, "default"), "spec": { "mtls": { "mode": "STRICT" } },
    })];
    for rule in 0..5 {
        let host = format!("{}.{namespace}.svc.cluster.local", app(number + rule * 200));
        policies.push(json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": of(10 + rule, &format!("rule-{rule}")),
            "spec": { "host": host, "trafficPolicy": { "tls": { "mode": "ISTIO_MUTUAL" } } },
        }));
    }
    let host = format!("{}.{namespace}.svc.cluster.local", app(number));
    policies.push(json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": of(20, "route"),
        "spec": { "hosts": [host], "http": [{ "route": [{ "destination": { "host": host } }] }] },
    }));
    policies
}

fn ports() -> Value {
    json!([
        { "name": "http", "port": 80, "targetPort": "http", "protocol": "TCP" },
        { "name": "tcp-peer", "port": 9300, "targetPort": 9300, "protocol": "TCP" },
    ])
}

fn app(service: u32) -> String {
    format!("service-{service}")
}

fn node_name(number: u32) -> String {
    format!("node-{number}.example.internal")
}

fn node_ip(number: u32) -> String {
    format!("172.16.{}.{}", number >> 8, number & 255)
}

/// Ten letters as of a template's hash, always the same of the same number.
fn hash(number: u32) -> String {
    const LETTERS: &[u8; 16] = b"bcdfghjklmnpqrst";
    let mixed = u64::from(number).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..10).map(|at| char::from(LETTERS[(mixed >> (at * 4 + 8) & 15) as usize])).collect()
}

fn uid(kind: u32, number: u32) -> String {
    let mixed = u64::from(number).wrapping_add(u64::from(kind) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}", mixed >> 32, mixed >> 16 & 0xffff, mixed & 0xfff, kind, number)
}

const PROXY: &str = "registry.example/istio/proxyv2:1.30.3";
const STATUS: &str = r#"{"initContainers":["istio-init"],"containers":["istio-proxy"],"volumes":["workload-socket","istio-envoy","istio-data"],"imagePullSecrets":null,"revision":"default"}"#;
const INIT: [&str; 17] = [
    "istio-iptables",
    "-p",
    "15001",
    "-z",
    "15006",
    "-u",
    "1337",
    "-m",
    "REDIRECT",
    "-i",
    "*",
    "-x",
    "",
    "-b",
    "*",
    "-d",
    "15090,15021,15020",
];

/// As a pod of a Deployment bears them: most of its bytes.
fn managed_fields() -> Value {
    json!([
        {
            "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": CREATED, "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {
                    "f:annotations": { ".": {}, "f:prometheus.io/scrape": {} }, "f:generateName": {},
                    "f:labels": { ".": {}, "f:app": {}, "f:version": {}, "f:pod-template-hash": {} },
                    "f:ownerReferences": { ".": {}, "k:{\"uid\":\"8f2c1f43-6d0e-4bb7-9f5e-0b6a2a1c7e11\"}": {} },
                },
                "f:spec": {
                    "f:containers": { "k:{\"name\":\"app\"}": {
                        ".": {}, "f:env": { ".": {}, "k:{\"name\":\"LOG_LEVEL\"}": { ".": {}, "f:name": {}, "f:value": {} } },
                        "f:image": {}, "f:imagePullPolicy": {}, "f:name": {}, "f:ports": { ".": {} }, "f:resources": {},
                    } },
                    "f:dnsPolicy": {}, "f:enableServiceLinks": {}, "f:restartPolicy": {}, "f:schedulerName": {},
                    "f:securityContext": {}, "f:terminationGracePeriodSeconds": {},
                },
            },
        },
        {
            "manager": "kubelet", "operation": "Update", "apiVersion": "v1", "time": CREATED, "fieldsType": "FieldsV1",
            "subresource": "status",
            "fieldsV1": { "f:status": {
                "f:conditions": { "k:{\"type\":\"Ready\"}": { ".": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {}, "f:status": {}, "f:type": {} } },
                "f:containerStatuses": {}, "f:hostIP": {}, "f:phase": {}, "f:podIP": {}, "f:podIPs": {}, "f:startTime": {},
            } },
        },
    ])
}
