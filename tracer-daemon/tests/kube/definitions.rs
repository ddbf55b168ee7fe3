//! Istio's definitions: absent, installed under our eyes, and removed again.

use crate::cluster::{account, allow, connected, kubeconfig_of, peer_authentication, watch};
use crate::followed::Followed;
use serde_json::json;
use tracer_daemon::source::cluster::watch::State;
use tracer_engine::mesh::facts::Kind;
use tracer_lab::kubernetes::{ApiServer, Options, istio_crds};

#[tokio::test]
async fn istio_is_installed_and_removed_while_we_watch() {
    let server = ApiServer::start(Options::default()).await.unwrap();
    allow(&server).await;
    let connection = connected(kubeconfig_of(&server, &account(), &server.url()).await).await;
    let mut followed = Followed::begin(watch(), connection);
    // What does not exist is told whole: there is none of it.
    followed.until_synced().await;
    for kind in ["PeerAuthentication", "DestinationRule", "ServiceEntry", "Sidecar", "VirtualService"] {
        assert_eq!(followed.states[kind], State::NotServed, "{kind}");
    }
    assert_eq!(followed.states["Pod"], State::Watching);

    // An older Istio serves v1beta1 alone.
    let mut crds = istio_crds().unwrap();
    crds.retain(|crd| crd["spec"]["names"]["kind"] == "PeerAuthentication");
    for version in crds[0]["spec"]["versions"].as_array_mut().unwrap() {
        let old = version["name"] == "v1beta1";
        version["served"] = json!(old);
        version["storage"] = json!(old);
    }
    server.install(crds.clone()).await.unwrap();
    let mut policy = peer_authentication("default", "STRICT");
    policy["apiVersion"] = json!("security.istio.io/v1beta1");
    server.admin().apply(&policy).await.unwrap();
    followed.until("a policy in v1beta1", |f| f.index.objects(Kind::PeerAuthentication) == 1).await;
    assert_eq!(followed.states["Sidecar"], State::NotServed);

    server.install(istio_crds().unwrap()).await.unwrap();
    let is_watched = |f: &Followed| f.states.values().all(|state| *state == State::Watching);
    followed.until("all of Istio", is_watched).await;
    assert_eq!(followed.index.objects(Kind::PeerAuthentication), 1, "an upgrade loses nothing");

    for crd in istio_crds().unwrap() {
        server.admin().delete(&crd).await.unwrap();
    }
    let is_gone = |f: &Followed| {
        f.index.objects(Kind::PeerAuthentication) == 0 && f.states["PeerAuthentication"] == State::NotServed
    };
    followed.until("Istio is gone", is_gone).await;
    assert_eq!(followed.states["Pod"], State::Watching);
    followed.end().await;
}
