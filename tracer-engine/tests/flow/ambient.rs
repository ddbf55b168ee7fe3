//! Ambient, as `tracer-lab`'s stand-in for ztunnel showed it on a real kernel.

use crate::cluster::Cluster;
use crate::lab::{Lab, endpoint, flows};
use crate::wire::{By, Conn, Process, says};
use tracer_engine::mesh::facts::MtlsMode;
use tracer_engine::net::Endpoint;
use tracer_engine::record::{FlowRecord, Record};
use tracer_engine::socket::ConnectError;
use tracer_engine::verdict::{Reason, Security};

const FROM: &str = "amb/api-0";
const AT: &str = "amb/db-0";
const ZTUNNEL: u32 = 0x539;

fn lab() -> Lab {
    let cluster = Cluster::new(&["istio-system", "amb"])
        .ambient(FROM, "10.244.1.80")
        .ambient(AT, "10.244.1.81")
        .plain("amb/plain-0", "10.244.1.82")
        .mtls(MtlsMode::Permissive);
    Lab::new(cluster)
}

/// ztunnel in the pod `of` dials: from its own address, or from one that it borrowed.
fn ztunnel_dials(lab: &mut Lab, of: &str, from: &str, to: Endpoint) -> Conn {
    let process = Process { uid: 0, ip: lab.app(from).ip, ..lab.proxy(of, 0) };
    let mut conn = lab.wire.dial(process, to);
    conn.client.owner.mark = ZTUNNEL;
    conn
}

fn tunnel(lab: &mut Lab) -> Conn {
    let to = Endpoint::new(lab.app(AT).ip, 15008);
    let mut conn = ztunnel_dials(lab, FROM, FROM, to);
    let (at, from) = (Process { uid: 0, ..lab.proxy(AT, 0) }, conn.client.local);
    lab.wire.accept(&mut conn, at, to, from);
    lab.wire.says(&mut conn, By::Client, &says::tls(""));
    lab.wire.says(&mut conn, By::Server, &says::SERVER_HELLO);
    conn
}

/// To the application, from the address of its client.
fn handed_on(lab: &mut Lab, client: &str, port: u16) -> Conn {
    let to = Endpoint::new(lab.app(AT).ip, port);
    let mut conn = ztunnel_dials(lab, AT, client, to);
    let (app, from) = (lab.app(AT), conn.client.local);
    lab.wire.accept(&mut conn, app, to, from);
    conn
}

/// One connection that goes through an open tunnel and back.
fn through(lab: &mut Lab, to: &str) {
    let mut app = lab.captured(FROM, to);
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    let mut local = handed_on(lab, FROM, endpoint(to).port);
    lab.wire.says(&mut local, By::Client, &says::OTHER);
    lab.relay(&mut [&mut local, &mut app], By::Server, &says::OTHER);
    lab.wire.fin(&app, By::Client);
    lab.wire.fin(&local, By::Client);
}

fn reasons(records: &[Record]) -> Vec<(u16, Option<Reason>)> {
    flows(records).iter().map(|flow| (flow.server.port, flow.verdict.reason)).collect()
}

#[test]
fn what_rides_on_a_tunnel_that_is_up_has_no_upstream_leg_of_its_own() {
    let mut lab = lab();
    let mut app = lab.captured(FROM, "10.244.1.81:9000");
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    let _open = tunnel(&mut lab);
    let mut local = handed_on(&mut lab, FROM, 9000);
    lab.relay(&mut [&mut local, &mut app], By::Server, &says::OTHER);
    lab.wire.fin(&app, By::Client);
    lab.wire.fin(&local, By::Client);
    through(&mut lab, "10.244.1.81:9001");
    for records in [lab.seen_by_all(), lab.seen_by(&[FROM])] {
        let hbone = Some(Reason::AmbientHbone);
        assert_eq!(reasons(&records), [(9000, hbone), (9001, hbone)], "no other flow: {records:#?}");
        assert!(flows(&records).iter().all(|flow| flow.verdict.security == Security::MutualTls));
    }
}

/// Its local address is the client's, whose flow it is not.
#[test]
fn what_ztunnel_hands_on_from_a_borrowed_address_is_nobodys_flow() {
    let mut lab = lab();
    let to = "10.244.1.81:9000";
    let mut app = lab.dial("amb/plain-0", to);
    let (at, from) = (Process { uid: 0, ..lab.proxy(AT, 0) }, app.client.local);
    lab.wire.accept(&mut app, at, Endpoint::new(lab.app(AT).ip, 15006), from);
    let mut local = handed_on(&mut lab, "amb/plain-0", 9000);
    lab.relay(&mut [&mut app, &mut local], By::Client, &says::OTHER);
    lab.relay(&mut [&mut local, &mut app], By::Server, &says::OTHER);
    lab.wire.fin(&app, By::Client);
    lab.wire.fin(&local, By::Client);
    let records = lab.seen_by_all();
    assert_eq!(reasons(&records), [(9000, Some(Reason::SourceUncaptured))]);
    let [FlowRecord { legs, .. }] = flows(&records)[..] else { panic!("{records:#?}") };
    assert_eq!(legs.len(), 3, "the application's, the proxy's end of it, the local one: {legs:#?}");
}

/// ztunnel answers the stream of the tunnel, and closes the application's socket: nothing else is to be seen there.
#[test]
fn a_tunnel_hides_why_nobody_answered() {
    let mut lab = lab();
    let mut app = lab.captured(FROM, "10.244.1.81:9999");
    lab.wire.says(&mut app, By::Client, &says::OTHER);
    let _open = tunnel(&mut lab);
    let refused = ztunnel_dials(&mut lab, AT, FROM, endpoint("10.244.1.81:9999"));
    lab.wire.fails(&refused, ConnectError::Refused);
    lab.wire.reset(&app, By::Server);
    let records = lab.seen_by(&[FROM]);
    let [flow] = flows(&records)[..] else { panic!("{records:#?}") };
    assert_eq!(flow.verdict.reason, None);
    let open: Vec<_> = flow.verdict.candidates.iter().map(|candidate| candidate.reason).collect();
    assert!(open.contains(&Reason::AppNotListening) && open.contains(&Reason::AmbientHbone), "{open:?}");
}
