//! The roles that are shipped allow what the watches ask for, and nothing else.

use crate::cluster::{account, connected, kubeconfig_of, watch};
use crate::followed::Followed;
use crate::{shared, started};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use tracer_daemon::source::cluster::IstioInstallation;
use tracer_daemon::source::cluster::watch::{Rbac, State, Watch};
use tracer_engine::mesh::facts::Kind;
use tracer_lab::kubernetes::{ApiServer, Options, documents};

/// Verb, group/resource, namespace, name; `*` for all.
type Grant = (String, String, String, String);

#[test]
fn the_manifest_is_what_the_watches_say_of_themselves() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests/base/rbac.yaml");
    let rbac = Rbac { namespace: "mesh-tracer".to_owned(), istio: IstioInstallation::default(), events: false };
    let wanted = rbac.manifest();
    assert_eq!(
        fs::read_to_string(shipped).unwrap(),
        wanted,
        "write it anew: mesh-tracer rbac > manifests/base/rbac.yaml"
    );
}

#[test]
fn each_revision_has_its_config_map_and_istio_its_namespace() {
    let istio = IstioInstallation { namespace: "mesh".to_owned(), revisions: vec!["default".into(), "canary".into()] };
    let manifest = Rbac { namespace: "tools".to_owned(), istio, events: false }.manifest();
    assert!(manifest.contains("resourceNames: [istio, istio-canary]"), "{manifest}");
    assert!(manifest.contains("kind: Role\nmetadata:\n  name: mesh-tracer\n  namespace: mesh\n"), "{manifest}");
    assert!(manifest.contains("  name: mesh-tracer\n  namespace: tools\n"), "{manifest}");
}

#[tokio::test]
async fn every_verb_that_is_granted_is_used_and_every_one_that_is_used_is_granted() {
    // A server of its own: its audit log is to hold nobody else's requests.
    let server = started(Options::default()).await;
    for streaming in [true, false] {
        let connection = connected(kubeconfig_of(&server, &account(), &server.url()).await).await;
        let mut followed = Followed::begin(Watch { streaming, ..watch() }, connection);
        followed.until_synced().await;
        // A list that does not stream is followed by a watch.
        let is_watched = |f: &Followed| f.states.values().all(|state| *state == State::Watching);
        followed.until("everything is watched", is_watched).await;
        assert_eq!(followed.states.len(), 12, "{:?}", followed.states);
        server.admin().apply(&crate::cluster::namespace(&format!("seen-{streaming}"))).await.unwrap();
        let name = format!("seen-{streaming}");
        followed.until("a change", |f| f.index.namespace(&name).is_some()).await;
        followed.end().await;
    }
    let (granted, used) = (granted(), used(&server));
    let [missing, superfluous] =
        [used.difference(&granted), granted.difference(&used)].map(Iterator::collect::<Vec<_>>);
    assert!(missing.is_empty(), "used and not granted: {missing:#?}");
    assert!(superfluous.is_empty(), "granted and not used: {superfluous:#?}");
}

fn granted() -> BTreeSet<Grant> {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests/base/rbac.yaml");
    let mut granted = BTreeSet::new();
    for role in documents(&fs::read_to_string(shipped).unwrap()).unwrap() {
        let namespace = role["metadata"]["namespace"].as_str().unwrap_or("*");
        for rule in role["rules"].as_array().into_iter().flatten() {
            let group = rule["apiGroups"][0].as_str().unwrap();
            for resource in words(&rule["resources"]) {
                for verb in words(&rule["verbs"]) {
                    let names =
                        if rule["resourceNames"].is_null() { vec!["*".into()] } else { words(&rule["resourceNames"]) };
                    for name in names {
                        granted.insert((verb.clone(), format!("{group}/{resource}"), namespace.to_owned(), name));
                    }
                }
            }
        }
    }
    granted
}

/// What was asked for beyond what everybody may ask (`/apis`, `/version`).
fn used(server: &ApiServer) -> BTreeSet<Grant> {
    let log = fs::read_to_string(server.audit_log()).unwrap();
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let asked =
        events.filter(|event| event["user"]["username"] == json!(account().user()) && event["objectRef"].is_object());
    let word = |value: &Value| value.as_str().map(str::to_owned);
    asked
        .map(|event| {
            let object = &event["objectRef"];
            let resource =
                format!("{}/{}", word(&object["apiGroup"]).unwrap_or_default(), word(&object["resource"]).unwrap());
            let all = || "*".to_owned();
            let (namespace, name) =
                (word(&object["namespace"]).unwrap_or_else(all), word(&object["name"]).unwrap_or_else(all));
            (word(&event["verb"]).unwrap(), resource, namespace, name)
        })
        .collect()
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_kind_that_is_not_allowed_is_off_and_says_what_would_allow_it() {
    let server = shared().await;
    let objects = "\
{apiVersion: v1, kind: ServiceAccount, metadata: {name: halfway, namespace: mesh-tracer}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: halfway},
 rules: [{apiGroups: ['', discovery.k8s.io, networking.istio.io, security.istio.io],
          resources: [namespaces, nodes, pods, endpointslices, sidecars, virtualservices, serviceentries,
                      destinationrules, peerauthentications, authorizationpolicies], verbs: [list, watch]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: halfway},
 roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: halfway},
 subjects: [{kind: ServiceAccount, name: halfway, namespace: mesh-tracer}]}
";
    for object in documents(objects).unwrap() {
        server.admin().apply(&object).await.unwrap();
    }
    let mut account = account();
    "halfway".clone_into(&mut account.name);
    let connection = connected(kubeconfig_of(server, &account, &server.url()).await).await;
    let mut followed = Followed::begin(watch(), connection);
    let is_off = |f: &Followed, what: &str| matches!(f.states.get(what), Some(State::Forbidden { .. }));
    followed.until("two are off", |f| is_off(f, "Service") && is_off(f, "ConfigMap istio")).await;
    followed.until("pods are there", |f| f.index.synced(Kind::Pod)).await;
    let told = [&followed.states["Service"], &followed.states["ConfigMap istio"]].map(ToString::to_string);
    let rule = r#"add to a role: {apiGroups: [""], resources: [services], verbs: [list, watch]}"#;
    assert!(told[0].contains(rule) && told[0].contains("403"), "{}", told[0]);
    assert!(told[1].contains("resources: [configmaps], resourceNames: [istio]"), "{}", told[1]);
    assert!(!followed.index.synced(Kind::Service));

    // Once it is allowed it is told, without anybody being restarted.
    let binding = "\
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: halfway-more},
 roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: mesh-tracer},
 subjects: [{kind: ServiceAccount, name: halfway, namespace: mesh-tracer}]}
";
    server.admin().apply(&documents(binding).unwrap()[0]).await.unwrap();
    followed.until("services are there", |f| f.index.synced(Kind::Service)).await;
    assert_eq!(followed.states["Service"], State::Watching);
    followed.end().await;
}

#[tokio::test]
async fn the_account_reads_no_secret_and_no_other_config_map() {
    let server = shared().await;
    let api = server.api_with(&account().token(server).await.unwrap());
    for path in [
        "/api/v1/secrets",
        "/api/v1/namespaces/istio-system/secrets",
        "/api/v1/configmaps",
        "/api/v1/namespaces/istio-system/configmaps",
        "/api/v1/namespaces/istio-system/configmaps/istio-ca-root-cert",
        "/api/v1/namespaces/istio-system/configmaps?fieldSelector=metadata.name%3Dother",
    ] {
        assert_eq!(api.get(path).await.unwrap().status, 403, "{path}");
    }
    let own = "/api/v1/namespaces/istio-system/configmaps?fieldSelector=metadata.name%3Distio";
    assert_eq!(api.get(own).await.unwrap().status, 200);
}
