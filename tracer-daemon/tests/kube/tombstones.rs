//! Addresses that change hands while we watch: who had one is answered as of when.

use crate::cluster::{account, connected, kubeconfig_of, pod, watch};
use crate::followed::Followed;
use crate::shared;
use std::time::Duration;
use tracer_engine::net::Ktime;
use tracer_engine::record::Attribution;

const ADDRESS: &str = "10.9.0.1";

fn who(followed: &Followed, at: Ktime) -> String {
    match followed.index.resolve(ADDRESS.parse().unwrap(), at) {
        Attribution::Pod(pod) => format!("pod {}", pod.pod),
        Attribution::Tombstone(pod) => format!("tombstone {}", pod.pod),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn an_address_is_that_of_the_pod_that_had_it_then() {
    let server = shared().await;
    let first = pod("hands", "first", ADDRESS);
    server.etcd().put(&first).await.unwrap();
    let connection = connected(kubeconfig_of(server, &account(), &server.url()).await).await;
    let mut followed = Followed::begin(watch(), connection);
    followed.until_synced().await;
    let before = followed.now();

    followed.pass(Duration::from_mins(1));
    server.admin().delete(&first).await.unwrap();
    followed.until("the first is gone", |f| !f.pods().contains(&"hands/first".to_owned())).await;
    let gone = followed.now();
    assert_eq!(who(&followed, gone), "tombstone hands/first");
    let [soon, late] = [299, 301].map(|seconds| gone + Duration::from_secs(seconds));
    assert_eq!(who(&followed, soon), "tombstone hands/first");
    assert!(!who(&followed, late).contains("first"), "{}", who(&followed, late));

    followed.pass(Duration::from_mins(1));
    let second = pod("hands", "second", ADDRESS);
    server.etcd().put(&second).await.unwrap();
    followed.until("the second is there", |f| f.pods().contains(&"hands/second".to_owned())).await;
    let now = followed.now();
    assert_eq!(who(&followed, now), "pod hands/second");
    assert_eq!(who(&followed, before), "pod hands/first");
    assert_eq!(who(&followed, gone), "tombstone hands/first");

    // A pod that has run to its end has its address no more, though it is still there.
    followed.pass(Duration::from_mins(1));
    let over = serde_json::json!({ "status": { "phase": "Succeeded" } });
    server.admin().patch(&second, "/status", &over).await.unwrap();
    followed.until("the second is over", |f| who(f, f.now()).contains("tombstone")).await;
    assert_eq!(who(&followed, followed.now()), "tombstone hands/second");
    server.etcd().delete(&second).await.unwrap();
    followed.end().await;
}
