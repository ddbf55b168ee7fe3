//! 40 clusters, 4,484 calls, and what Istio 1.30.3's own code does with each (`truth/README.md`): the walk must answer
//! every one of them right, and without the bytes it must have the right answer among its candidates.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tracer_daemon::source::cluster::{IstioInstallation, read_facts};
use tracer_engine::mesh::facts::ObjectKey;
use tracer_engine::mesh::index::Index;
use tracer_engine::net::{Endpoint, Ktime, Name};
use tracer_engine::verdict::{Cause, Class, Reason, Security};
use tracer_engine::walk::outcome::{Call, Known, Outcome, Sends, Source};
use tracer_engine::walk::{explain, walk};

#[derive(Deserialize, Debug)]
struct Asked {
    id: Value,
    from: String,
    to: SocketAddr,
    send: String,
    #[serde(default)]
    host: String,
    #[serde(default)]
    sni: String,
    #[serde(default)]
    alpn: Alpn,
    uid: Option<u32>,
    /// The lab's calls bear their truth.
    truth: Option<Truth>,
}

/// `h2,http/1.1`, or as a list.
#[derive(Deserialize, Debug)]
#[serde(untagged)]
enum Alpn {
    Joined(String),
    Listed(Vec<String>),
}

#[derive(Deserialize, Debug)]
struct Truth {
    #[serde(default)]
    id: Value,
    class: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    causes: Vec<String>,
    security: Option<String>,
    #[serde(default)]
    candidates: Vec<TrueCandidate>,
}

#[derive(Deserialize, Debug)]
struct TrueCandidate {
    class: String,
    reason: String,
}

struct Cluster {
    name: String,
    index: Index,
    calls: Vec<(Asked, Truth)>,
}

/// What only the wire shows: who listens, who answers, what a certificate of the application's own brings.
const OBSERVED_ONLY: [&str; 8] =
    ["app-not-listening", "timed-out", "stale-pod-ip", "abandoned", "refused", "unreachable", "dropped", "app-mtls"];

#[test]
fn every_call_is_answered_as_istio_does() {
    let clusters: Vec<Cluster> = folders("tests/truth", 40).iter().map(|folder| read(folder)).collect();
    assert_eq!(judge(&clusters, |_| false), 4484 - 26, "26 calls of the set are not decided there");
}

/// The meshes that are run on real Envoys.
#[test]
fn every_call_of_the_lab_is_answered_as_its_envoys_did() {
    let clusters: Vec<Cluster> = folders("../tracer-lab/meshes", 6).iter().map(|folder| read(folder)).collect();
    assert_eq!(judge(&clusters, Truth::is_observed), 205);
}

#[test]
fn without_the_bytes_the_truth_is_among_the_candidates() {
    let folders = folders("tests/truth", 40).into_iter().chain(folders("../tracer-lab/meshes", 6));
    let (mut checked, mut missing) = (0, String::new());
    for cluster in folders.map(|folder| read(&folder)) {
        for (asked, truth) in cluster.calls.iter().filter(|(_, truth)| !truth.is_observed()) {
            let Some(reason) = &truth.reason else { continue };
            checked += 1;
            let call = Call { sends: Sends::Unknown, ..asked.call() };
            let outcomes = walk(&cluster.index, &call, Ktime(0));
            let reasons: BTreeSet<&str> = outcomes.iter().map(|outcome| outcome.reason.code()).collect();
            if !reasons.contains(reason.as_str()) {
                let _ =
                    writeln!(missing, "{} #{}: {reason} is not in {reasons:?}\n  {asked:?}", cluster.name, asked.id);
            }
        }
    }
    println!("candidates: {checked} checked");
    assert!(checked > 4500 && missing.is_empty(), "{missing}");
}

impl Default for Alpn {
    fn default() -> Self {
        Alpn::Listed(Vec::new())
    }
}

impl Asked {
    fn call(&self) -> Call {
        let (namespace, name) = self.from.split_once('/').expect("`from` is namespace/pod");
        let some = |said: &str| (!said.is_empty()).then(|| Name::from(said));
        Call {
            from: Source::Pod(ObjectKey { namespace: namespace.into(), name: name.into() }),
            to: Endpoint::new(self.to.ip(), self.to.port()),
            sends: match self.send.as_str() {
                "http" | "http2" => Sends::Http { http2: self.send == "http2", host: Known::Yes(some(&self.host)) },
                "tls" => Sends::Tls {
                    sni: Known::Yes(some(&self.sni)),
                    alpn: match &self.alpn {
                        Alpn::Joined(names) => names.split(',').filter_map(some).collect(),
                        Alpn::Listed(names) => names.iter().filter_map(|name| some(name)).collect(),
                    },
                },
                "tcp" => Sends::Other,
                "none" => Sends::Nothing,
                other => panic!("send {other:?} is unknown"),
            },
            uid: self.uid,
            path: Some("/".into()),
        }
    }
}

impl Truth {
    fn is_observed(&self) -> bool {
        self.reason.as_deref().is_some_and(|reason| OBSERVED_ONLY.contains(&reason))
    }

    fn differs_from(&self, outcomes: &[Outcome]) -> Option<String> {
        let reasons: BTreeSet<Reason> = outcomes.iter().map(|outcome| outcome.reason).collect();
        let class = self.class.as_deref()?;
        if class == "undetermined" {
            let wanted: BTreeSet<&str> = self.candidates.iter().map(|candidate| candidate.reason.as_str()).collect();
            let classes = self
                .candidates
                .iter()
                .all(|c| Reason::from_code(&c.reason).map(Reason::class) == Class::from_code(&c.class));
            let found: BTreeSet<&str> = reasons.iter().map(|reason| reason.code()).collect();
            return (wanted != found || !classes).then(|| format!("candidates {found:?}, not {wanted:?}"));
        }
        let [reason] = reasons.iter().collect::<Vec<_>>()[..] else {
            return Some(format!("{} reasons: {reasons:?}", reasons.len()));
        };
        if self.reason.as_deref() != Some(reason.code()) || reason.class().code() != class {
            return Some(format!("{} {reason}", reason.class()));
        }
        for outcome in outcomes {
            let cause = outcome.causes.first().map(|cause| cause.code());
            if !self.causes.is_empty() && !cause.is_some_and(|cause| self.causes.iter().any(|own| own == cause)) {
                return Some(format!("cause {cause:?}"));
            }
            let listed: Vec<&str> = outcome.causes.iter().map(|cause: &Cause| cause.code()).collect();
            if !self.causes.is_empty() && !listed.iter().all(|cause| self.causes.iter().any(|own| own == cause)) {
                return Some(format!("causes {listed:?}"));
            }
        }
        let securities: BTreeSet<&str> = outcomes.iter().map(|outcome| outcome.security.code()).collect();
        let one = if securities.len() == 1 { securities.first().copied() } else { Some(Security::Unknown.code()) };
        self.security.as_deref().filter(|security| Some(*security) != one).map(|_| format!("security {securities:?}"))
    }
}

/// How many calls were checked. Prints how many were right, and fails with each that was not.
fn judge(clusters: &[Cluster], skip: impl Fn(&Truth) -> bool) -> usize {
    let (mut right, mut checked, mut wrong) = (0, 0, String::new());
    for cluster in clusters {
        for (asked, truth) in cluster.calls.iter().filter(|(_, truth)| truth.class.is_some() && !skip(truth)) {
            checked += 1;
            match truth.differs_from(&walk(&cluster.index, &asked.call(), Ktime(0))) {
                None => right += 1,
                Some(how) => {
                    let steps = told(&explain(&cluster.index, &asked.call(), Ktime(0)));
                    let _ = writeln!(wrong, "{} #{}: {how}\n  {asked:?}\n  {truth:?}\n{steps}", cluster.name, asked.id);
                }
            }
        }
    }
    println!("{right} of {checked} right");
    assert!(wrong.is_empty(), "{right} of {checked} right\n{wrong}");
    checked
}

fn folders(under: &str, count: usize) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(under);
    let mut folders: Vec<PathBuf> = fs::read_dir(&root)
        .unwrap_or_else(|error| panic!("{}: {error}", root.display()))
        .map(|entry| entry.expect("a folder entry can be read").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert_eq!(folders.len(), count, "{}", root.display());
    folders
}

fn read(folder: &Path) -> Cluster {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let facts = read_facts(&[folder.join("cluster.yaml")], &IstioInstallation::default())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(facts.skipped.is_empty(), "{name}: {:?}", facts.skipped);
    let mut index = Index::new();
    for delta in &facts.deltas {
        index.apply(Ktime(0), delta);
    }
    let mut asked: Vec<Asked> = lines(&folder.join("calls.jsonl"));
    let borne: Vec<Truth> = asked.iter_mut().filter_map(|asked| asked.truth.take()).collect();
    let truths = if borne.is_empty() { lines(&folder.join("truth.jsonl")) } else { borne };
    assert_eq!(asked.len(), truths.len(), "{name}: each call has its truth");
    let calls: Vec<_> = asked.into_iter().zip(truths).collect();
    let in_order = |(asked, truth): &(Asked, Truth)| truth.id.is_null() || asked.id == truth.id;
    assert!(calls.iter().all(in_order), "{name}: calls and truth are in one order");
    Cluster { name, index, calls }
}

fn lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Vec<T> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display()));
    text.lines().map(parse).collect()
}

fn told(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let _ = writeln!(text, "  -> {} {:?} {} {:?}", outcome.reason, outcome.causes, outcome.security, outcome.path);
        for step in &outcome.steps {
            let _ = writeln!(text, "     {}: {} [{}]", step.at.code(), step.says, step.because);
        }
    }
    text
}
