//! VirtualServices that hand requests on to others (`mergeVirtualServicesIfNeeded`).

use crate::mesh::{Mesh, call, http, key, route, to};
use tracer_engine::mesh::facts::{Delta, ExportTo, HttpMatch, HttpRoute, Kind, StringMatch};
use tracer_engine::net::Ktime;
use tracer_engine::walk::outcome::Call;
use tracer_engine::walk::walk;

/// On port 9200 `app/web`, `app/es` and `other/db`, each with a VIP.
fn mesh() -> Mesh {
    let mut mesh = Mesh::strict();
    mesh.vip("app/web", "10.96.0.1", &[("http", 9200)], &["app/db-0"]);
    mesh.vip("app/es", "10.96.0.2", &[("http", 9200)], &["app/db-0"]);
    mesh.vip("other/db", "10.96.0.3", &[("http", 9200)], &["app/db-0"]);
    mesh
}

fn on(uri: StringMatch, route: HttpRoute) -> HttpRoute {
    HttpRoute { matches: vec![HttpMatch { uri: Some(uri), ..HttpMatch::default() }], ..route }
}

fn prefix(path: &str) -> StringMatch {
    StringMatch::Prefix(path.into())
}

fn handed_to(delegate: &str) -> HttpRoute {
    HttpRoute { route: Vec::new(), delegate: Some(key(delegate)), ..route(to("x", None)) }
}

/// The Service that a request for `web` gets to; the proxy's own answer where to none.
fn led_to(mesh: &Mesh, path: &str) -> String {
    let asked = Call { path: Some(path.into()), ..call("app/client", "10.96.0.1:9200", http("web")) };
    let [outcome] = &walk(&mesh.index, &asked, Ktime(2))[..] else { panic!("one way for {path}") };
    let cluster = outcome.path.hop.as_ref().and_then(|hop| hop.cluster.as_ref());
    cluster.map_or_else(|| format!("{:?}", outcome.path.proxy_answers), |cluster| cluster.host.to_string())
}

fn root(mesh: &mut Mesh, delegate: &str) {
    let routes = vec![on(prefix("/a"), handed_to(delegate)), on(prefix("/"), route(to("web", None)))];
    mesh.virtual_service("app/root", &["web"], |service| service.http = routes);
}

#[test]
fn its_routes_stand_in_the_place_of_the_one_that_hands_on() {
    let mut mesh = mesh();
    root(&mut mesh, "other/leaf");
    assert_eq!(led_to(&mesh, "/a/b"), "web.app.svc.cluster.local", "there is no such delegate yet");
    mesh.virtual_service("other/leaf", &[], |leaf| {
        let elsewhere = on(StringMatch::Exact("/x".into()), route(to("es.app.svc.cluster.local", None)));
        leaf.http = vec![on(prefix("/a/b"), route(to("db", None))), elsewhere];
    });
    assert_eq!(led_to(&mesh, "/a/b/c"), "db.other.svc.cluster.local", "its short names are of its own namespace");
    assert_eq!(led_to(&mesh, "/a/z"), "web.app.svc.cluster.local");
    assert_eq!(led_to(&mesh, "/x"), "web.app.svc.cluster.local", "outside of what was handed on");

    mesh.virtual_service("other/leaf", &[], |leaf| leaf.http = vec![route(to("es.app.svc.cluster.local", None))]);
    assert_eq!(led_to(&mesh, "/a/z"), "es.app.svc.cluster.local", "all that was handed on");
    assert_eq!(led_to(&mesh, "/b"), "web.app.svc.cluster.local");
    mesh.index.apply(Ktime(1), &Delta::Remove(Kind::VirtualService, key("other/leaf")));
    assert_eq!(led_to(&mesh, "/a/z"), "web.app.svc.cluster.local");
}

#[test]
fn one_that_is_not_shown_to_the_namespace_or_has_hosts_is_none() {
    let mut mesh = mesh();
    root(&mut mesh, "other/leaf");
    let leaf = |mesh: &mut Mesh, hosts: &[&str], shown: Option<ExportTo>| {
        mesh.virtual_service("other/leaf", hosts, |leaf| {
            leaf.export_to = shown;
            leaf.http = vec![route(to("db", None))];
        });
        led_to(mesh, "/a")
    };
    for (shown, host) in [
        (ExportTo::OwnNamespace, "web.app"),
        (ExportTo::Nobody, "web.app"),
        (ExportTo::Namespaces(vec!["app".into()]), "db.other"),
        (ExportTo::All, "db.other"),
    ] {
        assert_eq!(leaf(&mut mesh, &[], Some(shown)), format!("{host}.svc.cluster.local"));
    }
    assert_eq!(leaf(&mut mesh, &["x.org"], None), "web.app.svc.cluster.local", "it is a VirtualService of its own");
    assert_eq!(leaf(&mut mesh, &[], None), "db.other.svc.cluster.local");
    mesh.config(|config| config.default_virtual_service_export_to = ExportTo::OwnNamespace);
    assert_eq!(led_to(&mesh, "/a"), "web.app.svc.cluster.local", "what is not said is the mesh's default");
}

#[test]
fn delegates_that_hand_on_to_each_other_lead_nowhere() {
    let mut mesh = mesh();
    root(&mut mesh, "app/one");
    mesh.virtual_service("app/one", &[], |one| one.http = vec![handed_to("app/two")]);
    mesh.virtual_service("app/two", &[], |two| two.http = vec![handed_to("app/one")]);
    assert_eq!(led_to(&mesh, "/a"), "None", "no destination, and no second delegate");
    mesh.virtual_service("app/self", &["web"], |own| own.http = vec![handed_to("app/self")]);
    mesh.index.apply(Ktime(1), &Delta::Remove(Kind::VirtualService, key("app/root")));
    assert_eq!(led_to(&mesh, "/a"), "web.app.svc.cluster.local", "none of its routes is left: those of the Service");
}
