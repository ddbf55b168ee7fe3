//! The truth set with what it says of both proxies.

use serde::{Deserialize, Deserializer};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use tracer_daemon::source::cluster::{IstioInstallation, read_facts};
use tracer_engine::mesh::facts::{Delta, Fact};

pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) deltas: Vec<Delta>,
    pub(crate) calls: Vec<(Asked, Truth)>,
}

#[derive(Deserialize, Debug)]
pub(crate) struct Asked {
    pub(crate) id: u32,
    pub(crate) from: String,
    pub(crate) to: SocketAddr,
    pub(crate) send: String,
    #[serde(default)]
    pub(crate) host: String,
    #[serde(default)]
    pub(crate) sni: String,
    #[serde(default)]
    pub(crate) alpn: String,
}

#[derive(Deserialize, Debug)]
pub(crate) struct Truth {
    pub(crate) class: Option<String>,
    pub(crate) reason: Option<String>,
    #[serde(default)]
    pub(crate) causes: Vec<String>,
    pub(crate) security: Option<String>,
    pub(crate) source: Option<AtSource>,
    #[serde(default, deserialize_with = "hop")]
    pub(crate) hop: Option<Hop>,
    pub(crate) destination: Option<AtDestination>,
}

#[derive(Deserialize, Debug)]
pub(crate) struct AtSource {
    pub(crate) listener: String,
    pub(crate) chain_kind: Option<String>,
    pub(crate) outcome: String,
}

#[derive(Deserialize, Debug)]
pub(crate) struct Hop {
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
    pub(crate) sni: Option<String>,
    #[serde(default)]
    pub(crate) alpn: Vec<String>,
}

#[derive(Deserialize, Debug)]
pub(crate) struct AtDestination {
    pub(crate) chain_kind: Option<String>,
    pub(crate) outcome: String,
}

/// `{}`: a cluster without an endpoint, so nobody was dialled.
fn hop<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Hop>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Dialled {
        Somebody(Hop),
        Nobody {},
    }
    Ok(match Dialled::deserialize(deserializer)? {
        Dialled::Somebody(hop) => Some(hop),
        Dialled::Nobody {} => None,
    })
}

pub(crate) fn all() -> Vec<Cluster> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/truth");
    let mut folders: Vec<PathBuf> = fs::read_dir(&root)
        .unwrap_or_else(|error| panic!("{}: {error}", root.display()))
        .map(|entry| entry.expect("a folder entry can be read").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert_eq!(folders.len(), 40, "{}", root.display());
    folders.iter().map(|folder| read(folder)).collect()
}

impl Cluster {
    /// The pod that has this address, unless it only shares its node's.
    pub(crate) fn pod_at(&self, ip: IpAddr) -> Option<&tracer_engine::mesh::facts::Pod> {
        self.pods().find(|pod| pod.ips.contains(&ip))
    }

    /// The listener dials without a look at the first bytes: some call shows that it does so for a silent client.
    pub(crate) fn dials_at_once(&self, listener: &str) -> bool {
        let silent = self.calls.iter().filter(|(asked, _)| asked.send == "none");
        let at = silent.filter_map(|(_, truth)| truth.source.as_ref());
        at.filter(|at| at.listener == listener).any(|at| at.outcome == "cluster")
    }

    pub(crate) fn pod(&self, name: &str) -> &tracer_engine::mesh::facts::Pod {
        self.pods().find(|pod| pod.key.to_string() == name).unwrap_or_else(|| panic!("{}: no pod {name}", self.name))
    }

    fn pods(&self) -> impl Iterator<Item = &tracer_engine::mesh::facts::Pod> {
        self.deltas.iter().filter_map(|delta| match delta {
            Delta::Upsert(fact) => match &**fact {
                Fact::Pod(pod) => Some(pod),
                _ => None,
            },
            _ => None,
        })
    }
}

fn read(folder: &Path) -> Cluster {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let facts = read_facts(&[folder.join("cluster.yaml")], &IstioInstallation::default())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let asked: Vec<Asked> = lines(&folder.join("calls.jsonl"));
    let truths: Vec<Truth> = lines(&folder.join("truth.jsonl"));
    assert_eq!(asked.len(), truths.len(), "{name}: each call has its truth");
    Cluster { name, deltas: facts.deltas, calls: asked.into_iter().zip(truths).collect() }
}

fn lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Vec<T> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display()));
    text.lines().map(parse).collect()
}
