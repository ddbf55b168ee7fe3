//! What changes in the cluster is told, and nothing else.

use crate::cluster::{account, connected, kubeconfig_of, namespace, peer_authentication, pod, watch};
use crate::followed::Followed;
use crate::shared;
use serde_json::json;
use tracer_daemon::source::cluster::watch::State;

#[tokio::test]
async fn what_is_there_is_told_and_then_what_changes() {
    let server = shared().await;
    server.admin().apply(&namespace("changes")).await.unwrap();
    server.etcd().put(&pod("changes", "web-0", "10.1.0.1")).await.unwrap();
    let connection = connected(kubeconfig_of(server, &account(), &server.url()).await).await;
    connection.greet().await.unwrap();
    let mut followed = Followed::begin(watch(), connection);
    followed.until_synced().await;
    assert!(followed.pods().contains(&"changes/web-0".to_owned()), "{:?}", followed.pods());
    assert!(followed.states.values().all(|state| *state == State::Watching), "{:?}", followed.states);

    server.etcd().put(&pod("changes", "web-1", "10.1.0.2")).await.unwrap();
    followed.until("a new pod", |f| f.pods().contains(&"changes/web-1".to_owned())).await;
    server.admin().delete(&pod("changes", "web-0", "10.1.0.1")).await.unwrap();
    followed.until("a deleted pod", |f| !f.pods().contains(&"changes/web-0".to_owned())).await;
    server.admin().apply(&peer_authentication("changes", "STRICT")).await.unwrap();
    let is_strict = |f: &Followed| format!("{:?}", f.changes).contains("Strict");
    followed.until("a policy", is_strict).await;
    // What no rule reads changes nothing.
    let before = followed.changes.len();
    let annotation = json!({ "metadata": { "annotations": { "example.com/note": "x" } } });
    server.admin().patch(&pod("changes", "web-1", ""), "", &annotation).await.unwrap();
    server.admin().apply(&namespace("changes-end")).await.unwrap();
    followed.until("the end", |f| format!("{:?}", f.changes).contains("changes-end")).await;
    assert_eq!(followed.changes.len(), before + 1, "{:?}", &followed.changes[before..]);
    followed.end().await;
}
