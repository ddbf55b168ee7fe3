//! What the kernel shows of connections, played by hand: dial, accept, say, close. Both ends' events come out; a test
//! keeps those of the namespaces that its node has.

use std::net::IpAddr;
use std::time::Duration;
use tracer_engine::net::{CgroupId, Cookie, Endpoint, Ktime, NetNs};
use tracer_engine::socket::{
    Close, ConnectError, Direction, End, Handshake, Owner, Payload, Reset, Socket, SocketChange, SocketEvent,
};

pub(crate) struct Wire {
    pub(crate) now: Ktime,
    cookie: u64,
    port: u16,
    isn: u32,
    pub(crate) events: Vec<SocketEvent>,
}

/// A process in a network namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pub(crate) netns: u32,
    pub(crate) ip: IpAddr,
    pub(crate) uid: u32,
    pub(crate) tid: u32,
}

/// One connection: what each end's kernel has of it.
#[derive(Clone, Debug)]
pub(crate) struct Conn {
    pub(crate) client: Socket,
    pub(crate) server: Option<Socket>,
    since: Ktime,
    pub(crate) handshake: Option<Handshake>,
    sent: u64,
    received: u64,
    said: bool,
    answered: bool,
    opened: Ktime,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    Client,
    Server,
}

impl Conn {
    fn isn(&self) -> Option<u32> {
        self.handshake.map(|handshake| handshake.client_isn)
    }
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self { now: Ktime(1_000_000_000), cookie: 100, port: 40_000, isn: 7, events: Vec::new() }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    pub(crate) fn dial(&mut self, from: Process, to: Endpoint) -> Conn {
        self.port += 1;
        self.dial_from(from, Endpoint::new(from.ip, self.port), to)
    }

    pub(crate) fn dial_from(&mut self, from: Process, local: Endpoint, to: Endpoint) -> Conn {
        self.tick();
        self.isn = self.isn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let handshake = Handshake { client_isn: self.isn, server_isn: self.isn.rotate_left(11) };
        let client = self.socket(from, local, to, from.tid);
        Conn {
            client,
            server: None,
            since: self.now,
            handshake: Some(handshake),
            sent: 0,
            received: 0,
            said: false,
            answered: false,
            opened: self.now,
        }
    }

    /// The server's end is `local` in `at`; the client's address there is its own, or what REDIRECT made of it.
    pub(crate) fn accept(&mut self, conn: &mut Conn, at: Process, local: Endpoint, remote: Endpoint) {
        self.connected(conn);
        let server = self.socket(at, local, remote, 0);
        conn.server = Some(server);
        self.tick();
        self.emit(server, SocketChange::Accepted { handshake: conn.handshake });
    }

    pub(crate) fn connected(&mut self, conn: &mut Conn) {
        self.tick();
        conn.opened = self.now;
        let change = SocketChange::Connected { since: conn.since, handshake: conn.handshake };
        self.emit(conn.client, change);
    }

    pub(crate) fn fails(&mut self, conn: &Conn, error: ConnectError) {
        self.tick();
        self.emit(conn.client, SocketChange::ConnectFailed { since: conn.since, error, client_isn: conn.isn() });
    }

    pub(crate) fn retransmits(&mut self, conn: &Conn, count: u8) {
        self.emit(conn.client, SocketChange::SynRetransmitted { since: conn.since, count, client_isn: conn.isn() });
    }

    pub(crate) fn says(&mut self, conn: &mut Conn, by: By, payload: &Payload) {
        self.tick();
        let (first, ends) = match by {
            By::Client => (
                !std::mem::replace(&mut conn.said, true),
                [(Some(conn.client), Direction::Sent), (conn.server, Direction::Received)],
            ),
            By::Server => (
                !std::mem::replace(&mut conn.answered, true),
                [(conn.server, Direction::Sent), (Some(conn.client), Direction::Received)],
            ),
        };
        *(if by == By::Client { &mut conn.sent } else { &mut conn.received }) += 100;
        for (socket, direction) in ends {
            if let (Some(socket), true) = (socket, first) {
                self.emit(socket, SocketChange::FirstBytes { direction, payload: payload.clone() });
            }
        }
    }

    /// An orderly close that `by` began.
    pub(crate) fn fin(&mut self, conn: &Conn, by: By) {
        let first = |end: By| Some(if end == by { End::This } else { End::Peer });
        self.close(conn, None, None, first(By::Client), first(By::Server));
    }

    /// `by` sends a RST.
    pub(crate) fn reset(&mut self, conn: &Conn, by: By) {
        let reset = |end: By| Some(if end == by { Reset::Sent } else { Reset::Received });
        self.close(conn, reset(By::Client), reset(By::Server), None, None);
    }

    /// Its client's socket is no more, and no close of it was told.
    pub(crate) fn vanishes(&mut self, conn: &Conn) {
        self.tick();
        self.emit(conn.client, SocketChange::Gone);
    }

    fn close(
        &mut self,
        conn: &Conn,
        client_reset: Option<Reset>,
        server_reset: Option<Reset>,
        client_fin: Option<End>,
        server_fin: Option<End>,
    ) {
        self.tick();
        let opened = Some(conn.opened);
        let unread = client_reset == Some(Reset::Received) && conn.said && !conn.answered;
        let client = Close {
            opened,
            sent: conn.sent,
            received: conn.received,
            reset: client_reset,
            first_fin: client_fin,
            unread: false,
        };
        let server = Close {
            opened,
            sent: conn.received,
            received: conn.sent,
            reset: server_reset,
            first_fin: server_fin,
            unread,
        };
        if let Some(socket) = conn.server {
            self.emit(socket, SocketChange::Closed(server));
        }
        self.emit(conn.client, SocketChange::Closed(client));
    }

    fn socket(&mut self, process: Process, local: Endpoint, remote: Endpoint, tid: u32) -> Socket {
        self.cookie += 1;
        let Process { netns, uid, .. } = process;
        let owner = Owner { netns: NetNs(netns), uid, tid, mark: 0, cgroup: CgroupId(u64::from(netns)) };
        Socket { cookie: Cookie(self.cookie), local, remote, owner }
    }

    fn emit(&mut self, socket: Socket, change: SocketChange) {
        self.events.push(SocketEvent { at: self.now, socket, change });
    }

    fn tick(&mut self) {
        self.pass(Duration::from_micros(40));
    }
}

/// First payloads as real clients and proxies send them.
pub(crate) mod says {
    use tracer_engine::net::Name;
    use tracer_engine::socket::{ClientHello, HttpResponse, Payload, ResponseBody};

    pub(crate) fn http(host: &str) -> Payload {
        Payload::Http1 { host: Some(host.into()) }
    }

    pub(crate) fn tls(sni: &str) -> Payload {
        Payload::ClientHello(ClientHello {
            sni: Some(sni.into()),
            alpn: [Name::from("h2")].into_iter().collect(),
            complete: true,
        })
    }

    /// As a proxy begins it towards `service:port`.
    pub(crate) fn mesh_tls(host: &str, port: u16) -> Payload {
        Payload::ClientHello(ClientHello {
            sni: Some(format!("outbound_.{port}_._.{host}").into()),
            alpn: ["istio-peer-exchange", "istio"].map(Name::from).into_iter().collect(),
            complete: true,
        })
    }

    pub(crate) const OTHER: Payload = Payload::Other;
    pub(crate) const SERVER_HELLO: Payload = Payload::TlsAnswer { alert: false, length: 100 };

    /// The application's answer, as a source proxy hands it on.
    pub(crate) fn answer(status: u16) -> Payload {
        response(status, Some(true), Some(ResponseBody::Other))
    }

    /// A source proxy's own answer.
    pub(crate) fn own_answer(status: u16) -> Payload {
        let body = (status == 503).then_some(ResponseBody::UpstreamConnectError);
        response(status, Some(false), body)
    }

    /// The destination proxy's own answer, as a source proxy hands it on.
    pub(crate) fn far_answer(status: u16, body: ResponseBody) -> Payload {
        response(status, Some(true), Some(body))
    }

    pub(crate) fn response(status: u16, upstream_service_time: Option<bool>, body: Option<ResponseBody>) -> Payload {
        Payload::HttpResponse(HttpResponse { status, upstream_service_time, envoy: true, empty_body: None, body })
    }

    /// An application's answer that no proxy touched.
    pub(crate) fn bare_answer(status: u16) -> Payload {
        Payload::HttpResponse(HttpResponse {
            status,
            upstream_service_time: Some(false),
            envoy: false,
            empty_body: None,
            body: Some(ResponseBody::Other),
        })
    }
}
