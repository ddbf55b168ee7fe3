//! The API server is killed, frozen, and comes back with its past forgotten.

use crate::cluster::{account, connected, kubeconfig_of, pace, pod, watch};
use crate::followed::Followed;
use crate::started;
use serde_json::json;
use tracer_daemon::source::cluster::watch::State;
use tracer_engine::mesh::facts::{Delta, Kind};
use tracer_lab::kubernetes::Options;

fn is_watched(followed: &Followed) -> bool {
    followed.states.values().all(|state| *state == State::Watching)
}

fn is_down(followed: &Followed) -> bool {
    followed.states.values().all(|state| matches!(state, State::Failing { .. }))
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_changes_nothing_but_what_changed() {
    let mut server = started(Options::default()).await;
    let pods: Vec<_> = (0..50).map(|n| pod("outage", &format!("web-{n}"), &format!("10.4.0.{n}"))).collect();
    server.etcd().seed(pods.iter().cloned()).await.unwrap();
    let connection = connected(kubeconfig_of(&server, &account(), &server.url()).await).await;
    let mut followed = Followed::begin(watch(), connection);
    followed.until_synced().await;
    assert_eq!(followed.index.objects(Kind::Pod), 50);
    followed.changes.clear();
    let heard = |f: &Followed| f.pulses.values().filter_map(|pulse| pulse.heard()).max();
    let last = heard(&followed);

    server.kill();
    followed.until("it is noticed", is_down).await;
    let why = followed.states["Pod"].to_string();
    assert!(why.contains("what is known gets older"), "{why}");
    // For many of the longest waits: facts stay, nothing is heard.
    let _nothing = tokio::time::timeout(pace().longest * 10, followed.until("never", |_| false)).await;
    assert_eq!(followed.index.objects(Kind::Pod), 50);
    assert_eq!(heard(&followed), last);

    // Meanwhile the world goes on, and what lies between is forgotten: each watch is told 410 and lists anew.
    server.etcd().delete(&pods[7]).await.unwrap();
    server.etcd().put(&pod("outage", "web-50", "10.4.0.50")).await.unwrap();
    let mut moved = pods[8].clone();
    moved["metadata"]["labels"]["app"] = json!("moved");
    server.etcd().put(&moved).await.unwrap();
    server.etcd().compact().await.unwrap();
    server.restart().await.unwrap();
    followed.until("it is back", |f| is_watched(f) && f.listed > 0).await;
    assert_eq!(followed.index.objects(Kind::Pod), 50);
    let of_pods: Vec<_> = followed.changes.iter().filter(|delta| format!("{delta:?}").contains("outage")).collect();
    let [Delta::Upsert(_), Delta::Upsert(_), Delta::Remove(Kind::Pod, gone)] = &*of_pods else {
        panic!("no flicker: {of_pods:#?}")
    };
    assert_eq!(gone.to_string(), "outage/web-7");
    assert!(heard(&followed) > last);
    followed.end().await;
}

#[tokio::test]
async fn a_short_outage_is_gone_on_from_without_a_list() {
    let mut server = started(Options::default()).await;
    server.etcd().put(&pod("outage", "web-0", "10.4.0.1")).await.unwrap();
    let connection = connected(kubeconfig_of(&server, &account(), &server.url()).await).await;
    let mut followed = Followed::begin(watch(), connection);
    followed.until_synced().await;
    // Frozen, not dead: connections hang and nobody says why.
    server.freeze(true).unwrap();
    server.etcd().put(&pod("outage", "web-1", "10.4.0.2")).await.unwrap();
    server.freeze(false).unwrap();
    followed.until("what happened meanwhile", |f| f.pods().len() == 2).await;
    assert_eq!(followed.listed, 0);

    // Dead for a moment; what lies between is still known to etcd, if not to the new server's memory.
    server.kill();
    followed.until("it is noticed", is_down).await;
    server.restart().await.unwrap();
    server.etcd().put(&pod("outage", "web-2", "10.4.0.3")).await.unwrap();
    followed.until("it goes on", |f| f.pods().len() == 3 && is_watched(f)).await;
    followed.end().await;
}
