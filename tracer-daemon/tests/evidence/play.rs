//! One call as connections: what each proxy does is the truth's, how that looks to a kernel is what real Envoys showed.

use crate::clusters::{Asked, AtDestination, AtSource, Cluster, Hop, Truth};
use crate::wire::{By, Conn, Process, Wire, says};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tracer_engine::net::{Endpoint, Name};
use tracer_engine::socket::{ClientHello, Payload, SocketEvent};

pub(crate) struct Played {
    pub(crate) events: Vec<SocketEvent>,
    /// Network namespaces.
    pub(crate) source: u32,
    pub(crate) destination: u32,
}

struct Stage<'a> {
    cluster: &'a Cluster,
    asked: &'a Asked,
    truth: &'a Truth,
    wire: Wire,
    app: Process,
}

/// How far the bytes got behind the hop, and what came back on it.
enum Fate {
    /// The application answers; `http`: through an HTTP chain of the destination's proxy.
    Answered {
        http: bool,
    },
    /// Reset before an answer.
    Reset,
    /// A TLS flight came back, and then the end.
    AlertAfterHello,
    /// The HTTP codec of the destination's proxy says 400 and closes.
    BadRequest,
    /// A mesh ClientHello got something that is no TLS, or nothing but the end.
    NotTls,
    /// TLS is spoken, but the certificate is not one the source accepts.
    WrongIdentity,
    Stall,
}

pub(crate) fn play(cluster: &Cluster, asked: &Asked, truth: &Truth) -> Played {
    let from = cluster.pod(&asked.from);
    let app = Process { netns: netns(from.ips[0]), ip: from.ips[0], uid: 2000, tid: 50 };
    let mut stage = Stage { cluster, asked, truth, wire: Wire::new(), app };
    match &truth.source {
        Some(source) => stage.captured(source),
        None => stage.uncaptured(),
    }
    let to = truth.hop.as_ref().map_or(asked.to.ip(), |hop| hop.ip);
    Played { events: stage.wire.events, source: app.netns, destination: netns(to) }
}

/// Every address has a network namespace of its own.
fn netns(ip: IpAddr) -> u32 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits(),
        IpAddr::V6(ip) => ip.to_bits() as u32,
    }
}

impl Stage<'_> {
    fn captured(&mut self, source: &AtSource) {
        let AtSource { listener, chain_kind, outcome } = source;
        let http = chain_kind.as_deref() == Some("http");
        let mut app = self.wire.dial(self.app, self.dialled());
        let seen_as = Endpoint::new(self.app.ip, app.client.local.port ^ 1);
        let capture = Endpoint::new(Ipv4Addr::LOCALHOST.into(), 15001);
        let proxy = Self::proxy(self.app.ip);
        self.wire.accept(&mut app, proxy, capture, seen_as);
        let sends = self.sends();
        match (outcome.as_str(), &self.truth.hop) {
            ("stall", _) => self.silence(&[&app]),
            ("cluster", Some(hop)) => {
                let waits = !self.cluster.dials_at_once(listener);
                self.carried(app, waits, http, sends.as_ref(), hop);
            }
            (outcome, _) => {
                if let Some(sends) = &sends {
                    self.wire.says(&mut app, By::Client, sends);
                }
                let status = match outcome {
                    "direct_response:502" => Some(502),
                    "no_route" => Some(404),
                    "codec_error" => Some(400),
                    "cluster" if http => Some(503),
                    _ => None,
                };
                match status {
                    Some(status) => self.answered_by_source(&mut app, status),
                    None if sends.is_some() => self.wire.reset(&app, By::Server),
                    None => self.wire.fin(&app, By::Server),
                }
            }
        }
    }

    /// The source's proxy dials the hop for the application.
    fn carried(&mut self, mut app: Conn, waits: bool, http: bool, sends: Option<&Payload>, hop: &Hop) {
        if let (true, Some(sends)) = (waits, sends) {
            self.wire.says(&mut app, By::Client, sends);
        }
        let proxy = Self::proxy(self.app.ip);
        let mut up = self.wire.dial(proxy, Endpoint::new(hop.ip, hop.port));
        self.arrive(&mut up, hop.ip);
        if let (false, Some(sends)) = (waits, sends) {
            self.wire.says(&mut app, By::Client, sends);
        }
        let begins = self.begins(hop, sends);
        if let Some(begins) = &begins {
            self.wire.says(&mut up, By::Client, begins);
        }
        let tls = begins.is_some() && begins.as_ref() != sends;
        match self.fate() {
            Fate::Answered { http: at_http } => {
                let mut local = self.local(hop, sends);
                if tls {
                    self.wire.says(&mut up, By::Server, &says::SERVER_HELLO);
                }
                let answer = self.answer(http, at_http);
                if let Some(local) = &mut local {
                    let bare = self.answer(false, false);
                    self.wire.says(local, By::Server, &bare);
                }
                if !tls {
                    let on_hop = self.answer(false, at_http);
                    self.wire.says(&mut up, By::Server, &on_hop);
                }
                self.wire.says(&mut app, By::Server, &answer);
                self.wire.fin(&app, By::Client);
                if !http {
                    self.wire.fin(&up, By::Client);
                }
            }
            Fate::Stall => self.silence(&[&app, &up]),
            Fate::BadRequest if !http => {
                if tls {
                    self.wire.says(&mut up, By::Server, &says::SERVER_HELLO);
                } else {
                    self.wire.says(&mut up, By::Server, &says::response(400, Some(false), None));
                }
                self.wire.says(&mut app, By::Server, &says::response(400, Some(false), None));
                self.wire.fin(&up, By::Server);
                self.wire.fin(&app, By::Server);
            }
            fate => {
                self.hop_fails(&mut up, hop, &fate, begins.as_ref());
                let own_tls = !tls && matches!(fate, Fate::AlertAfterHello);
                if http {
                    self.answered_by_source(&mut app, 503);
                } else if own_tls {
                    self.wire.says(&mut app, By::Server, &says::SERVER_HELLO);
                    self.wire.fin(&app, By::Server);
                } else if matches!(fate, Fate::Reset) {
                    self.wire.reset(&app, By::Server);
                } else {
                    self.wire.fin(&app, By::Server);
                }
            }
        }
    }

    fn uncaptured(&mut self) {
        let to = self.dialled();
        let mut app = self.wire.dial(self.app, to);
        let hop = Hop { ip: to.ip, port: to.port, sni: None, alpn: Vec::new() };
        let hop = self.truth.hop.as_ref().unwrap_or(&hop);
        self.arrive(&mut app, hop.ip);
        let sends = self.sends();
        if let Some(sends) = &sends {
            self.wire.says(&mut app, By::Client, sends);
        }
        match self.fate() {
            Fate::Answered { http } => {
                let mut local = self.local(hop, sends.as_ref());
                if let Some(local) = &mut local {
                    let bare = self.answer(false, false);
                    self.wire.says(local, By::Server, &bare);
                }
                let answer = self.answer(false, http);
                self.wire.says(&mut app, By::Server, &answer);
                self.wire.fin(&app, By::Client);
            }
            Fate::Stall => self.silence(&[&app]),
            Fate::BadRequest => {
                self.wire.says(&mut app, By::Server, &says::response(400, Some(false), None));
                self.wire.fin(&app, By::Server);
            }
            fate => self.hop_fails(&mut app, hop, &fate, sends.as_ref()),
        }
    }

    fn hop_fails(&mut self, up: &mut Conn, hop: &Hop, fate: &Fate, begins: Option<&Payload>) {
        match fate {
            Fate::Reset => self.wire.reset(up, By::Server),
            Fate::AlertAfterHello => {
                // On a TCP chain the application is dialled before the handshake fails.
                let local = self.dial_local(hop);
                self.wire.says(up, By::Server, &says::SERVER_HELLO);
                if let Some(local) = local {
                    self.wire.fin(&local, By::Client);
                }
                self.wire.fin(up, By::Server);
            }
            Fate::NotTls => {
                if let Some(mut local) = self.dial_local(hop) {
                    if let Some(begins) = begins {
                        self.wire.says(&mut local, By::Client, begins);
                    }
                    self.wire.says(&mut local, By::Server, &says::OTHER);
                }
                self.wire.says(up, By::Server, &says::OTHER);
                self.wire.fin(up, By::Client);
            }
            Fate::BadRequest => {
                self.wire.says(up, By::Server, &says::response(400, Some(false), None));
                self.wire.fin(up, By::Server);
            }
            Fate::WrongIdentity => {
                self.wire.says(up, By::Server, &says::SERVER_HELLO);
                self.wire.fin(up, By::Client);
            }
            Fate::Answered { .. } | Fate::Stall => {}
        }
    }

    fn fate(&self) -> Fate {
        let reason = self.truth.reason.as_deref().unwrap_or_default();
        match (reason, &self.truth.destination) {
            ("identity-mismatch", _) => Fate::WrongIdentity,
            ("mtls-not-terminated", Some(AtDestination { outcome, .. })) if outcome == "codec_error" => {
                Fate::BadRequest
            }
            ("mtls-not-terminated", _) => Fate::NotTls,
            (_, Some(AtDestination { outcome, chain_kind })) => match outcome.as_str() {
                "no_filter_chain" => Fate::Reset,
                "tls_handshake_failed" => Fate::AlertAfterHello,
                "codec_error" => Fate::BadRequest,
                "stall" => Fate::Stall,
                _ => Fate::Answered { http: chain_kind.as_deref() == Some("http") },
            },
            _ => Fate::Answered { http: false },
        }
    }

    /// The application's leg beside a destination's proxy that lets the bytes through.
    fn local(&mut self, hop: &Hop, sends: Option<&Payload>) -> Option<Conn> {
        let mut local = self.dial_local(hop)?;
        if let Some(sends) = sends {
            self.wire.says(&mut local, By::Client, sends);
        }
        Some(local)
    }

    fn dial_local(&mut self, hop: &Hop) -> Option<Conn> {
        self.truth.destination.as_ref()?;
        let proxy = Self::proxy(hop.ip);
        let bind = Process { ip: Ipv4Addr::new(127, 0, 0, 6).into(), ..proxy };
        let to = Endpoint::new(hop.ip, hop.port);
        let mut local = self.wire.dial(bind, to);
        let from = local.client.local;
        self.wire.accept(&mut local, Process { uid: 2001, ..proxy }, to, from);
        Some(local)
    }

    /// The destination's end, if the address is a pod's.
    fn arrive(&mut self, conn: &mut Conn, ip: IpAddr) {
        let Some(_) = self.cluster.pod_at(ip) else { return self.wire.connected(conn) };
        let port = if self.truth.destination.is_some() { 15006 } else { conn.client.remote.port };
        let (proxy, from) = (Self::proxy(ip), conn.client.local);
        self.wire.accept(conn, proxy, Endpoint::new(ip, port), from);
    }

    fn answered_by_source(&mut self, app: &mut Conn, status: u16) {
        let answer = match self.asked.send.as_str() {
            "http2" => Payload::Http2Response { status: None },
            _ => says::own_answer(status),
        };
        self.wire.says(app, By::Server, &answer);
        self.wire.fin(app, By::Client);
    }

    /// What the application reads, through an HTTP chain at the source, at the destination, or none.
    fn answer(&self, at_source: bool, at_destination: bool) -> Payload {
        match self.asked.send.as_str() {
            "http" if at_source || at_destination => says::answer(200),
            "http" => says::bare_answer(200),
            "http2" => Payload::Http2Response { status: None },
            "tls" => says::SERVER_HELLO,
            _ => says::OTHER,
        }
    }

    fn sends(&self) -> Option<Payload> {
        let Asked { send, host, sni, alpn, .. } = self.asked;
        let some = |text: &String| (!text.is_empty()).then(|| Name::from(text.as_str()));
        match send.as_str() {
            "http" => Some(Payload::Http1 { host: some(host) }),
            "http2" => Some(Payload::Http2 { authority: some(host) }),
            "tls" => {
                let alpn = alpn.split(',').filter(|name| !name.is_empty()).map(Name::from).collect();
                Some(Payload::ClientHello(ClientHello { sni: some(sni), alpn, complete: true }))
            }
            "tcp" => Some(says::OTHER),
            _ => None,
        }
    }

    /// The first payload on the hop: the proxy's own ClientHello, or the application's bytes as they are.
    fn begins(&self, hop: &Hop, sends: Option<&Payload>) -> Option<Payload> {
        if hop.sni.is_some() || !hop.alpn.is_empty() || self.truth.security.as_deref() == Some("tls") {
            return Some(Payload::ClientHello(ClientHello {
                sni: hop.sni.as_deref().map(Name::from),
                alpn: hop.alpn.iter().map(|name| Name::from(name.as_str())).collect(),
                complete: true,
            }));
        }
        sends.cloned()
    }

    /// Nobody says a byte until the client gives up.
    fn silence(&mut self, conns: &[&Conn]) {
        self.wire.pass(Duration::from_secs(6));
        for conn in conns {
            self.wire.fin(conn, By::Client);
        }
    }

    fn dialled(&self) -> Endpoint {
        Endpoint::new(self.asked.to.ip(), self.asked.to.port())
    }

    fn proxy(ip: IpAddr) -> Process {
        Process { netns: netns(ip), ip, uid: 1337, tid: 9000 }
    }
}
