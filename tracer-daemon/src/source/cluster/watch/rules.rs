//! What a role must allow, by the same rows that say what is watched: the manifest, the error that names a missing rule,
//! and the test that counts what is really asked for cannot disagree.

use super::resource::{PodScope, Resource, config_maps, plural};
use crate::source::cluster::IstioInstallation;
use crate::source::cluster::object::ObjectKind;
use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// One rule of a role, as YAML has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) struct Rule {
    group: &'static str,
    resources: Vec<&'static str>,
    names: Vec<String>,
    verbs: Vec<&'static str>,
}

/// Who is allowed, and where Istio stands: what `manifests/base/rbac.yaml` is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rbac {
    /// Of the ServiceAccount.
    pub namespace: String,
    pub istio: IstioInstallation,
    /// Whether Kubernetes Events may be written.
    pub events: bool,
}

/// To list where the server has no streaming lists, to watch everywhere.
const FOLLOW: [&str; 2] = ["list", "watch"];
const NAME: &str = "mesh-tracer";

impl Rule {
    pub(super) fn of(resource: &Resource) -> Self {
        Self {
            group: resource.kind.group(),
            resources: vec![plural(resource.kind)],
            names: resource.only.iter().map(|(_, name)| name.clone()).collect(),
            verbs: FOLLOW.to_vec(),
        }
    }

    /// What `--events` asks for beyond.
    pub(in super::super) fn events() -> Self {
        Self { group: "events.k8s.io", resources: vec!["events"], names: Vec::new(), verbs: vec!["create", "patch"] }
    }
}

impl Rbac {
    /// The ServiceAccount, a ClusterRole for what is watched in every namespace, and a Role for Istio's ConfigMaps, which
    /// are read by name in one.
    pub fn manifest(&self) -> String {
        let Self { namespace, istio, events } = self;
        let mut rules: BTreeMap<&str, Rule> = BTreeMap::new();
        for resource in Resource::all(istio, &PodScope::All).iter().filter(|resource| resource.only.is_none()) {
            let rule = Rule::of(resource);
            match rules.get_mut(rule.group) {
                Some(known) => known.resources.extend(rule.resources),
                None => drop(rules.insert(rule.group, rule)),
            }
        }
        let mut text = "# What `mesh-tracer run --kube` asks for, and nothing else. Made by `mesh-tracer rbac`, which takes the namespaces and\n\
             # the revisions of Istio; a test holds it to what is really asked of an API server.\n"
            .to_owned();
        document(&mut text, "v1", "ServiceAccount", NAME, Some(namespace), "");
        let rules: Vec<Rule> = rules.into_values().chain(events.then(Rule::events)).collect();
        document(&mut text, RBAC, "ClusterRole", NAME, None, &rules_of(&rules));
        document(&mut text, RBAC, "ClusterRoleBinding", NAME, None, &binding("ClusterRole", namespace));
        let config_maps = Rule {
            group: ObjectKind::ConfigMap.group(),
            resources: vec![plural(ObjectKind::ConfigMap)],
            names: config_maps(istio).collect(),
            verbs: FOLLOW.to_vec(),
        };
        document(&mut text, RBAC, "Role", NAME, Some(&istio.namespace), &rules_of(&[config_maps]));
        document(&mut text, RBAC, "RoleBinding", NAME, Some(&istio.namespace), &binding("Role", namespace));
        text
    }
}

const RBAC: &str = "rbac.authorization.k8s.io/v1";

fn document(text: &mut String, version: &str, kind: &str, name: &str, namespace: Option<&str>, rest: &str) {
    let _infallible = writeln!(text, "---\napiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}");
    if let Some(namespace) = namespace {
        let _infallible = writeln!(text, "  namespace: {namespace}");
    }
    text.push_str(rest);
}

fn rules_of(rules: &[Rule]) -> String {
    rules.iter().fold("rules:\n".to_owned(), |text, rule| format!("{text}- {rule}\n"))
}

fn binding(role: &str, namespace: &str) -> String {
    format!(
        "roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {role}\n  name: {NAME}\nsubjects:\n- kind: ServiceAccount\n  \
         name: {NAME}\n  namespace: {namespace}\n"
    )
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, resources, names, verbs } = self;
        write!(f, "{{apiGroups: [{group:?}], resources: [{}]", resources.join(", "))?;
        if !names.is_empty() {
            write!(f, ", resourceNames: [{}]", names.join(", "))?;
        }
        write!(f, ", verbs: [{}]}}", verbs.join(", "))
    }
}
