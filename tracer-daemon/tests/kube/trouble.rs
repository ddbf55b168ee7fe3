//! A real proxy between us and the API server: slow, refusing, breaking off. What is known stays known.

use crate::cluster::{account, connected, kubeconfig_of, pace, pod, watch};
use crate::followed::Followed;
use crate::{shared, started};
use std::time::Duration;
use tracer_daemon::source::cluster::watch::{Pace, State, Watch};
use tracer_lab::kubernetes::{ApiServer, Fault, Options, Proxy};

async fn behind(server: &ApiServer) -> (Proxy, Followed) {
    let proxy = Proxy::start(server.admin()).await.unwrap();
    let connection = connected(kubeconfig_of(server, &account(), &proxy.url()).await).await;
    let mut followed = Followed::begin(watch(), connection);
    followed.until_synced().await;
    followed.changes.clear();
    (proxy, followed)
}

/// Of the kinds whose watch fails.
fn failing(followed: &Followed) -> Vec<String> {
    followed.states.values().filter(|state| matches!(state, State::Failing { .. })).map(ToString::to_string).collect()
}

async fn sees(server: &ApiServer, followed: &mut Followed, name: &str) {
    server.etcd().put(&pod("trouble", name, "10.2.0.1")).await.unwrap();
    followed.until(name, |f| f.pods().contains(&format!("trouble/{name}"))).await;
    server.etcd().delete(&pod("trouble", name, "10.2.0.1")).await.unwrap();
    followed.until("gone again", |f| !f.pods().contains(&format!("trouble/{name}"))).await;
}

#[tokio::test]
async fn answers_of_429_and_500_are_waited_out() {
    let server = shared().await;
    let (proxy, mut followed) = behind(server).await;
    for (code, retry_after) in [(429, Some(1)), (500, None), (503, None), (504, None)] {
        proxy.set(Fault::Status { code, retry_after });
        proxy.cut();
        let word = code.to_string();
        followed.until(&word, |f| failing(f).iter().any(|why| why.contains(&word))).await;
        let before = proxy.requests().len();
        proxy.set(Fault::None);
        sees(server, &mut followed, &format!("after-{code}")).await;
        // From where they were: nothing is listed anew.
        let after = proxy.requests().split_off(before);
        assert!(!after.iter().any(|path| path.contains("sendInitialEvents") && path.contains("/pods")), "{after:?}");
    }
    assert_eq!(followed.listed, 0);
    followed.end().await;
}

#[tokio::test]
async fn a_server_that_says_when_to_come_again_is_left_alone_until_then() {
    let server = shared().await;
    let (proxy, mut followed) = behind(server).await;
    proxy.set(Fault::Status { code: 429, retry_after: Some(3600) });
    proxy.cut();
    let told_to = |f: &Followed| failing(f).iter().filter(|why| why.contains("429")).count();
    followed.until("all are told to wait", |f| told_to(f) == 12).await;
    let asked = proxy.requests().len();
    // Many times as long as the longest wait of its own.
    let _nothing = tokio::time::timeout(pace().longest * 5, followed.until("never", |_| false)).await;
    assert_eq!(proxy.requests().len(), asked);
    followed.end().await;
}

#[tokio::test]
async fn a_watch_that_is_cut_within_an_object_goes_on_from_the_last_whole_one() {
    let server = shared().await;
    let (proxy, mut followed) = behind(server).await;
    for after in [1, 100, 333, 1000] {
        proxy.set(Fault::Cut { after });
        proxy.cut();
        server.etcd().put(&pod("trouble", &format!("cut-{after}"), "10.2.0.2")).await.unwrap();
        followed.until("a cut", |f| !failing(f).is_empty()).await;
        proxy.set(Fault::None);
        followed.until("the pod", |f| f.pods().contains(&format!("trouble/cut-{after}"))).await;
        server.etcd().delete(&pod("trouble", &format!("cut-{after}"), "10.2.0.2")).await.unwrap();
    }
    assert!(followed.malformed.is_empty(), "{:?}", followed.malformed);
    followed.end().await;
}

#[tokio::test]
async fn a_watch_that_ends_at_once_is_not_opened_again_at_once() {
    let server = shared().await;
    let (proxy, mut followed) = behind(server).await;
    proxy.set(Fault::EndAtOnce);
    proxy.cut();
    followed.until("it is noticed", |f| failing(f).iter().any(|why| why.contains("closed at once"))).await;
    let asked = proxy.requests().len();
    let window = Duration::from_secs(2);
    let _nothing = tokio::time::timeout(window, followed.until("never", |_| false)).await;
    let (more, kinds) = (proxy.requests().len() - asked, 12);
    // Twelve kinds, each at most once in its longest wait.
    let most = kinds * (window.as_millis() / pace().longest.as_millis() + 2);
    assert!((more as u128) < most, "{more} requests in {window:?}, at most {most}");
    proxy.set(Fault::None);
    sees(server, &mut followed, "after-ends").await;
    followed.end().await;
}

#[tokio::test]
async fn a_server_that_answers_nothing_is_given_up_and_asked_again() {
    let server = shared().await;
    let proxy = Proxy::start(server.admin()).await.unwrap();
    let kubeconfig = kubeconfig_of(server, &account(), &proxy.url()).await;
    let pace = Pace { silence: Duration::from_millis(500), ..pace() };
    let connection = tracer_daemon::source::cluster::watch::Connection::open(
        tracer_daemon::source::cluster::watch::Target::Kubeconfig { file: Some(kubeconfig), context: None },
        pace.clone(),
    );
    let mut followed = Followed::begin(Watch { pace, ..watch() }, connection.await.unwrap());
    followed.until_synced().await;
    proxy.set(Fault::Hang);
    proxy.cut();
    followed.until("silence is told", |f| failing(f).iter().any(|why| why.contains("no answer within"))).await;
    proxy.set(Fault::None);
    sees(server, &mut followed, "after-silence").await;
    followed.end().await;
}

#[tokio::test]
async fn a_slow_server_is_waited_for_as_long_as_it_says_something() {
    // Of its own: how long it says nothing depends on how large each object is.
    let server = &started(Options::default()).await;
    let pods: Vec<_> = (0..200).map(|n| pod("slow", &format!("pod-{n}"), &format!("10.3.0.{n}"))).collect();
    server.etcd().seed(pods.iter().cloned()).await.unwrap();
    for streaming in [true, false] {
        let proxy = Proxy::start(server.admin()).await.unwrap();
        // A list takes several times as long as a silence may.
        proxy.set(Fault::Throttle { bytes: 40_000 });
        let pace = Pace { silence: Duration::from_millis(700), ..pace() };
        let kubeconfig = kubeconfig_of(server, &account(), &proxy.url()).await;
        let target =
            tracer_daemon::source::cluster::watch::Target::Kubeconfig { file: Some(kubeconfig), context: None };
        let connection = tracer_daemon::source::cluster::watch::Connection::open(target, pace.clone()).await.unwrap();
        let mut followed = Followed::begin(Watch { pace, streaming, ..watch() }, connection);
        followed.until_synced().await;
        let slow = followed.pods().iter().filter(|pod| pod.starts_with("slow/")).count();
        assert_eq!(slow, 200);
        followed.end().await;
    }
}

#[tokio::test]
async fn a_server_without_streaming_lists_is_asked_for_pages() {
    let server = shared().await;
    let proxy = Proxy::start(server.admin()).await.unwrap();
    proxy.set(Fault::NoStreamingLists);
    let connection = connected(kubeconfig_of(server, &account(), &proxy.url()).await).await;
    let mut followed = Followed::begin(watch(), connection);
    followed.until_synced().await;
    let requests = proxy.requests();
    assert!(requests.iter().any(|path| path.contains("/pods?") && path.contains("limit=500")), "{requests:?}");
    sees(server, &mut followed, "in-pages").await;
    followed.end().await;
}

#[tokio::test]
async fn a_list_whose_later_pages_are_forgotten_begins_anew() {
    let server = shared().await;
    // More than a page.
    let address = |n: u32| format!("10.10.{}.{}", n / 250, n % 250);
    let pods: Vec<_> = (0..600).map(|n| pod("pages", &format!("pod-{n}"), &address(n))).collect();
    server.etcd().seed(pods.iter().cloned()).await.unwrap();
    let proxy = Proxy::start(server.admin()).await.unwrap();
    proxy.set(Fault::ForgottenLists);
    let connection = connected(kubeconfig_of(server, &account(), &proxy.url()).await).await;
    let mut followed = Followed::begin(Watch { streaming: false, ..watch() }, connection);
    followed.until("it is told", |f| failing(f).iter().any(|why| why.contains("410"))).await;
    assert!(!followed.index.synced(tracer_engine::mesh::facts::Kind::Pod), "half a list is none");
    proxy.set(Fault::None);
    followed.until_synced().await;
    let told = followed.pods().iter().filter(|pod| pod.starts_with("pages/")).count();
    assert_eq!(told, 600);
    let changes = followed.changes.iter().filter(|change| format!("{change:?}").contains("pages")).count();
    assert_eq!(changes, 600, "what was told before is not told anew");
    followed.end().await;
    for pod in &pods {
        server.etcd().delete(pod).await.unwrap();
    }
}
