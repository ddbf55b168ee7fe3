//! What a port speaks, by what its Service says of it.

use crate::mesh::facts::{ServicePort, Transport};

/// Istio's `protocol.Instance`, as far as a rule tells them apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protocol {
    Http,
    /// `http2`, `grpc`, `grpc-web`: HTTP/2 towards the application.
    Http2,
    /// A listener without inspector: other bytes die in its codec.
    HttpProxy,
    Tcp,
    /// `tls`, `https`: carried as TCP, and may be told apart by SNI.
    Tls,
    /// Never shares a listener with another protocol.
    Mongo,
    MySql,
    Udp,
    /// Nothing said, or nothing known: sniffed.
    Auto,
}

/// What a listener makes of a protocol.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ListenerProtocol {
    Http,
    Tcp,
    Auto,
}

/// Service ports that are TCP where nothing is said: their protocols let the server speak first.
const WELL_KNOWN_TCP: [u16; 4] = [25, 53, 3306, 27017];

impl Protocol {
    /// `config/kube/conversion.go ConvertProtocol`: `appProtocol` overrides the name, wholly.
    pub fn of(port: &ServicePort) -> Self {
        if port.transport == Transport::Udp {
            return Protocol::Udp;
        }
        let said = match port.app_protocol.as_deref() {
            Some("kubernetes.io/h2c") => return Protocol::Http2,
            Some("kubernetes.io/ws") => return Protocol::Http,
            Some("kubernetes.io/wss") => return Protocol::Tls,
            Some(app_protocol) => app_protocol,
            None => &port.name,
        };
        if said.get(..8).is_some_and(|prefix| prefix.eq_ignore_ascii_case("grpc-web")) {
            return Protocol::Http2;
        }
        match Self::parse(said.split('-').next().unwrap_or_default()) {
            Protocol::Auto if WELL_KNOWN_TCP.contains(&port.port) => Protocol::Tcp,
            protocol => protocol,
        }
    }

    /// `config/protocol/instance.go Parse`, which is all that a ServiceEntry's or Sidecar's port goes through.
    pub fn parse(token: &str) -> Self {
        match token.to_ascii_lowercase().as_str() {
            "http" => Protocol::Http,
            "http2" | "grpc" | "grpc-web" => Protocol::Http2,
            "http_proxy" => Protocol::HttpProxy,
            "tcp" | "redis" => Protocol::Tcp,
            "tls" | "https" => Protocol::Tls,
            "mongo" => Protocol::Mongo,
            "mysql" => Protocol::MySql,
            "udp" => Protocol::Udp,
            _ => Protocol::Auto,
        }
    }

    /// `networking/networking.go ModelProtocolToListenerProtocol`. `None`: no outbound listener.
    pub fn outbound(self) -> Option<ListenerProtocol> {
        match self {
            Protocol::Http | Protocol::Http2 | Protocol::HttpProxy => Some(ListenerProtocol::Http),
            Protocol::Tcp | Protocol::Tls | Protocol::Mongo | Protocol::MySql => Some(ListenerProtocol::Tcp),
            Protocol::Auto => Some(ListenerProtocol::Auto),
            Protocol::Udp => None,
        }
    }

    /// The same at the destination, where `getFilterChainMatchOptions` takes what it does not know for TCP.
    pub fn inbound(self) -> ListenerProtocol {
        self.outbound().unwrap_or(ListenerProtocol::Tcp)
    }

    pub fn is_http(self) -> bool {
        self.outbound() == Some(ListenerProtocol::Http)
    }

    /// `IsHTTPOrSniffed`: has virtual hosts.
    pub fn is_http_or_sniffed(self) -> bool {
        matches!(self.outbound(), Some(ListenerProtocol::Http | ListenerProtocol::Auto))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::facts::TargetPort;

    fn port(name: &str, app_protocol: Option<&str>, number: u16) -> ServicePort {
        ServicePort {
            name: name.into(),
            port: number,
            target: TargetPort::Number(number),
            transport: Transport::Tcp,
            app_protocol: app_protocol.map(Into::into),
        }
    }

    /// The protocol table of section 4.
    #[test]
    fn a_port_speaks_what_its_token_says() {
        for (name, expected) in [
            ("http", Protocol::Http),
            ("HTTP-up", Protocol::Http),
            ("http2-x", Protocol::Http2),
            ("grpc", Protocol::Http2),
            ("grpc-web-x", Protocol::Http2),
            ("gRPC-Webby", Protocol::Http2),
            ("tcp-x", Protocol::Tcp),
            ("redis", Protocol::Tcp),
            ("tls-x", Protocol::Tls),
            ("https", Protocol::Tls),
            ("mongo", Protocol::Mongo),
            ("mysql-db", Protocol::MySql),
            ("udp-x", Protocol::Udp),
            ("", Protocol::Auto),
            ("metrics", Protocol::Auto),
            ("h2c", Protocol::Auto),
            ("kafka", Protocol::Auto),
        ] {
            assert_eq!(Protocol::of(&port(name, None, 9000)), expected, "{name}");
        }
    }

    #[test]
    fn app_protocol_overrides_the_name_even_where_nothing_knows_it() {
        for (app_protocol, expected) in [
            ("kubernetes.io/h2c", Protocol::Http2),
            ("kubernetes.io/ws", Protocol::Http),
            ("kubernetes.io/wss", Protocol::Tls),
            ("http_proxy", Protocol::HttpProxy),
            ("example.com/x", Protocol::Auto),
            ("tcp", Protocol::Tcp),
        ] {
            assert_eq!(Protocol::of(&port("http", Some(app_protocol), 9000)), expected, "{app_protocol}");
        }
    }

    #[test]
    fn a_well_known_number_is_tcp_only_where_nothing_is_said() {
        for number in [25, 53, 3306, 27017] {
            assert_eq!(Protocol::of(&port("x", None, number)), Protocol::Tcp, "{number}");
            assert_eq!(Protocol::of(&port("http", None, number)), Protocol::Http, "{number}");
        }
        for number in [6379, 5432, 9092] {
            assert_eq!(Protocol::of(&port("x", None, number)), Protocol::Auto, "{number}");
        }
    }

    #[test]
    fn a_udp_port_has_no_outbound_listener_and_a_tcp_port_named_udp_is_tcp_inbound() {
        let udp = ServicePort { transport: Transport::Udp, ..port("http", None, 80) };
        assert_eq!(Protocol::of(&udp), Protocol::Udp);
        assert_eq!(Protocol::Udp.outbound(), None);
        assert_eq!(Protocol::Udp.inbound(), ListenerProtocol::Tcp);
    }
}
