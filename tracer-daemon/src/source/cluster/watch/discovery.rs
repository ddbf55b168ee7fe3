//! Whether the server knows one of Istio's kinds, and in which version. Asked for a whole group at once, so that six kinds
//! that are not there cost two questions and not twelve.

use super::connection::Connection;
use super::pace::Pace;
use super::resource::plural;
use super::trouble::Trouble;
use crate::clock;
use crate::source::cluster::object::ObjectKind;
use hyper::Request;
use kube::Client;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::Mutex;
use tracer_engine::net::Ktime;

/// They differ in nothing that is read here; the newest lasts longest.
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha3"];

#[derive(Clone)]
pub(super) struct Groups {
    client: Client,
    pace: Pace,
    known: Arc<Mutex<BTreeMap<&'static str, Group>>>,
}

/// What one group had, and when.
#[derive(Clone)]
struct Group {
    asked: Ktime,
    versions: BTreeMap<&'static str, BTreeSet<String>>,
}

#[derive(Deserialize)]
struct GroupList {
    groups: Vec<GroupItem>,
}

#[derive(Deserialize)]
struct GroupItem {
    name: String,
    versions: Vec<VersionItem>,
}

#[derive(Deserialize)]
struct VersionItem {
    version: String,
}

#[derive(Deserialize)]
struct ResourceList {
    resources: Vec<ResourceItem>,
}

#[derive(Deserialize)]
struct ResourceItem {
    name: String,
}

impl Groups {
    pub(super) fn new(connection: &Arc<Connection>, pace: &Pace) -> Self {
        Self { client: connection.client(Arc::default()), pace: pace.clone(), known: Arc::default() }
    }

    /// The version to ask for; `None` where the server has no such kind. Only an answer that lists what there is proves
    /// that something is not: a 404 may be anybody's.
    pub(super) async fn version(&self, kind: ObjectKind) -> Result<Option<&'static str>, Trouble> {
        let mut known = self.known.lock().await;
        let now = clock::ktime();
        let fresh = known.get(kind.group()).filter(|group| now.since(group.asked) < self.pace.absent / 2);
        let group = match fresh {
            Some(group) if group.version(kind).is_none() => group.clone(),
            _ => {
                let group = Group { asked: now, versions: self.ask(kind.group()).await? };
                known.insert(kind.group(), group.clone());
                group
            }
        };
        Ok(group.version(kind))
    }

    async fn ask(&self, group: &str) -> Result<BTreeMap<&'static str, BTreeSet<String>>, Trouble> {
        let GroupList { groups } = self.get("/apis").await?;
        let Some(found) = groups.into_iter().find(|item| item.name == group) else { return Ok(BTreeMap::new()) };
        let mut versions = BTreeMap::new();
        for version in VERSIONS {
            if found.versions.iter().any(|item| item.version == version) {
                let ResourceList { resources } = self.get(&format!("/apis/{group}/{version}")).await?;
                versions.insert(version, resources.into_iter().map(|resource| resource.name).collect());
            }
        }
        Ok(versions)
    }

    async fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<T, Trouble> {
        let request = Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
        let text = self.client.request_text(request).await?;
        serde_json::from_str(&text).map_err(|error| Trouble::from(kube::Error::SerdeError(error)))
    }
}

impl Group {
    fn version(&self, kind: ObjectKind) -> Option<&'static str> {
        let has = |version: &&str| self.versions.get(*version).is_some_and(|known| known.contains(plural(kind)));
        VERSIONS.into_iter().find(has)
    }
}
