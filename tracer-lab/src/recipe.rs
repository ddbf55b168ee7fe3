//! What a mesh is made of: the files in `meshes/NAME`.

pub(crate) mod ambient;
pub(crate) mod call;
pub(crate) mod capture;
pub(crate) mod cluster;
pub(crate) mod pod_name;
pub(crate) mod proxies;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use call::Call;
use cluster::Cluster;
use pod_name::PodName;
use proxies::Proxies;

pub(crate) struct Recipe {
    pub(crate) folder: PathBuf,
    pub(crate) cluster: Cluster,
    pub(crate) apps: BTreeMap<PodName, BTreeMap<u16, Kind>>,
    pub(crate) routes: BTreeMap<Ipv4Addr, Route>,
    /// The ambient pods whose ztunnel lets in no one without a mesh certificate.
    pub(crate) strict: BTreeSet<PodName>,
    pub(crate) calls: Vec<Call>,
    pub(crate) proxies: Proxies,
}

/// How an application answers on a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// HTTP/1.1 and h2c.
    Http,
    /// Sends back what it gets.
    Tcp,
    /// HTTPS with a certificate of its own.
    Tls,
    /// Speaks first, as a mail server does.
    Banner,
    /// Accepts, reads, never answers.
    Silent,
    /// Accepts and closes.
    Close,
}

/// What the network does with an address that no pod has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Route {
    /// Drops without a word.
    Blackhole,
    /// Answers with an ICMP error.
    Unreachable,
    /// Has no route at all.
    None,
    /// Leads it to the node itself, where nothing listens.
    Refused,
    /// Has netfilter drop it on the way.
    Filtered,
    /// Drops the first SYN and answers the second with an ICMP error, as a router does that limits how many it sends.
    Late,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppsFile {
    apps: BTreeMap<PodName, BTreeMap<u16, Kind>>,
    #[serde(default)]
    routes: BTreeMap<Ipv4Addr, Route>,
    #[serde(default)]
    strict: BTreeSet<PodName>,
}

impl Recipe {
    pub(crate) fn read(name: &str) -> Result<Recipe> {
        let known = names()?;
        if !known.iter().any(|known| known == name) {
            bail!("no mesh {name:?}: there are {}", known.join(", "));
        }
        let folder = folder().join(name);
        let AppsFile { apps, routes, strict } = serde_saphyr::from_str(&read(&folder, "apps.yaml")?)
            .with_context(|| format!("cannot read apps.yaml of mesh {name}"))?;
        let calls = call::read_lines(&read(&folder, "calls.jsonl")?)
            .with_context(|| format!("cannot read calls.jsonl of mesh {name}"))?;
        let cluster = Cluster::read(&read(&folder, "cluster.yaml")?)
            .with_context(|| format!("cannot read cluster.yaml of mesh {name}"))?;
        let proxies = Proxies::read(&read(&folder, "envoy.json")?)
            .with_context(|| format!("cannot read envoy.json of mesh {name}"))?;
        Ok(Recipe { folder, cluster, apps, routes, strict, calls, proxies })
    }
}

/// The meshes that can be brought up.
pub fn names() -> Result<Vec<String>> {
    let folder = folder();
    let entries = fs::read_dir(&folder).with_context(|| format!("no meshes at {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        if entry.path().join("cluster.yaml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("meshes")
}

fn read(folder: &Path, file: &str) -> Result<String> {
    let path = folder.join(file);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}
