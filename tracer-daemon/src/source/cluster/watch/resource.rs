//! What is watched: one row a collection of the API. The roles that allow it follow from the same rows (`rules`).

use crate::source::cluster::IstioInstallation;
use crate::source::cluster::object::{ObjectKind, ObjectRef};

/// Which pods are watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PodScope {
    All,
    /// Those of one node.
    Node(String),
}

/// A collection of the API.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Resource {
    pub(super) kind: ObjectKind,
    /// One object of it, by namespace and name; `None`: all, in every namespace.
    pub(super) only: Option<(String, String)>,
    /// Only pods of this node.
    pub(super) node: Option<String>,
}

impl Resource {
    /// Small kinds and those that others hang on first; pods, which are many, last.
    pub(super) fn all(istio: &IstioInstallation, pods: &PodScope) -> Vec<Self> {
        let mut all = Vec::new();
        for kind in ObjectKind::ALL {
            match kind {
                ObjectKind::ConfigMap => all.extend(config_maps(istio).map(|name| Self {
                    kind,
                    only: Some((istio.namespace.clone(), name)),
                    node: None,
                })),
                ObjectKind::Pod => all.push(Self {
                    kind,
                    only: None,
                    node: match pods {
                        PodScope::All => None,
                        PodScope::Node(node) => Some(node.clone()),
                    },
                }),
                _ => all.push(Self { kind, only: None, node: None }),
            }
        }
        all
    }

    /// Of Istio's own kinds, which a cluster may lack.
    pub(super) fn is_istio(&self) -> bool {
        self.kind.group().ends_with(".istio.io")
    }

    pub(super) fn path(&self, version: &str) -> String {
        let root = match self.kind.group() {
            "" => format!("/api/{version}"),
            group => format!("/apis/{group}/{version}"),
        };
        match &self.only {
            Some((namespace, _)) => format!("{root}/namespaces/{namespace}/{}", plural(self.kind)),
            None => format!("{root}/{}", plural(self.kind)),
        }
    }

    pub(super) fn fields(&self) -> Option<String> {
        match self {
            Self { only: Some((_, name)), .. } => Some(format!("metadata.name={name}")),
            Self { node: Some(node), .. } => Some(format!("spec.nodeName={node}")),
            _ => None,
        }
    }

    /// The one object that this is about.
    pub(super) fn object(&self) -> Option<ObjectRef> {
        let (namespace, name) = self.only.clone()?;
        Some(ObjectRef { kind: self.kind, namespace, name })
    }
}

/// Read by name, never by listing a namespace: what else lies there is nobody's business.
pub(super) fn config_maps(istio: &IstioInstallation) -> impl Iterator<Item = String> {
    let default = ["default".to_owned()];
    let revisions = if istio.revisions.is_empty() { default.to_vec() } else { istio.revisions.clone() };
    revisions.into_iter().map(|revision| match &*revision {
        "default" => "istio".to_owned(),
        revision => format!("istio-{revision}"),
    })
}

/// As the API spells a kind in its paths and roles.
pub(super) fn plural(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Namespace => "namespaces",
        ObjectKind::Node => "nodes",
        ObjectKind::ConfigMap => "configmaps",
        ObjectKind::Service => "services",
        ObjectKind::EndpointSlice => "endpointslices",
        ObjectKind::PeerAuthentication => "peerauthentications",
        ObjectKind::DestinationRule => "destinationrules",
        ObjectKind::ServiceEntry => "serviceentries",
        ObjectKind::Sidecar => "sidecars",
        ObjectKind::VirtualService => "virtualservices",
        ObjectKind::AuthorizationPolicy => "authorizationpolicies",
        ObjectKind::Pod => "pods",
    }
}
