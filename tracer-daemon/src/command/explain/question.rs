//! A question as a person puts it, and the call that it means.

use crate::sink::wire::Asked;
use std::net::{IpAddr, SocketAddr};
use tracer_engine::mesh::facts::ObjectKey;
use tracer_engine::net::{Endpoint, Name};
use tracer_engine::walk::outcome::{Call, Known, Sends, Source};

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Question {
    /// `namespace/pod`, or an ip.
    pub from: String,
    /// `ip:port`, `[ip6]:port`
    pub to: String,
    /// `http`, `http2`, `tls`, `tcp`, `none`; left out: anything.
    pub send: Option<String>,
    pub host: Option<String>,
    pub sni: Option<String>,
    pub alpn: Vec<String>,
    /// `/` if left out.
    pub path: Option<String>,
    /// Owner of the application's socket; left out: not the proxy's.
    pub uid: Option<u32>,
    /// What else was said, and means nothing.
    pub unknown: Vec<String>,
}

impl Question {
    pub(super) fn call(&self) -> Result<Call, String> {
        Ok(Call {
            from: from(&self.from)?,
            to: to(&self.to)?,
            sends: self.sends()?,
            uid: self.uid,
            path: Some(self.path.as_deref().unwrap_or("/").into()),
        })
    }

    /// What was said and has no part in the answer.
    pub(super) fn ignored(&self) -> Vec<String> {
        let http = matches!(self.send.as_deref(), Some("http" | "http2"));
        let tls = self.send.as_deref() == Some("tls");
        let mut ignored = self.unknown.clone();
        let said = [
            ("host", self.host.is_some() && !http),
            ("path", self.path.is_some() && !http),
            ("sni", self.sni.is_some() && !tls),
            ("alpn", !self.alpn.is_empty() && !tls),
        ];
        ignored.extend(said.into_iter().filter(|(_, in_vain)| *in_vain).map(|(name, _)| name.to_owned()));
        ignored
    }

    fn sends(&self) -> Result<Sends, String> {
        let some = |name: &Option<String>| name.as_deref().filter(|name| !name.is_empty()).map(Name::from);
        Ok(match self.send.as_deref() {
            None => Sends::Unknown,
            Some(http @ ("http" | "http2")) => {
                Sends::Http { http2: http == "http2", host: Known::Yes(some(&self.host)) }
            }
            Some("tls") => Sends::Tls {
                sni: Known::Yes(some(&self.sni)),
                alpn: self.alpn.iter().map(|name| Name::from(name.as_str())).collect(),
            },
            Some("tcp") => Sends::Other,
            Some("none") => Sends::Nothing,
            Some(other) => {
                return Err(format!(
                    "send {other:?} is none of http, http2, tls, tcp, none; leave it out for all of them"
                ));
            }
        })
    }
}

impl From<Asked> for Question {
    fn from(asked: Asked) -> Self {
        let Asked { id: _, from, to, send, host, sni, alpn, path, uid, ignored: unknown } = asked;
        Self { from, to, send, host, sni, alpn, path, uid, unknown }
    }
}

fn from(text: &str) -> Result<Source, String> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Source::Ip(ip));
    }
    match text.split_once('/') {
        Some((namespace, pod)) if !namespace.is_empty() && !pod.is_empty() && !pod.contains('/') => {
            Ok(Source::Pod(ObjectKey { namespace: namespace.into(), name: pod.into() }))
        }
        _ => Err(format!("from {text:?} is neither namespace/pod, such as shop/web-0, nor an ip")),
    }
}

fn to(text: &str) -> Result<Endpoint, String> {
    let expected = "ip:port is expected, such as 10.244.1.7:9300 or [fd00::7]:9300";
    match text.parse::<SocketAddr>() {
        Ok(to) if to.port() == 0 => Err(format!("to {text:?} has port 0, which nobody can dial: {expected}")),
        Ok(to) => Ok(Endpoint::new(to.ip(), to.port())),
        Err(_) if text.parse::<IpAddr>().is_ok() => Err(format!("to {text:?} has no port: {expected}")),
        Err(_) => Err(format!("to {text:?} is no address (names are not looked up): {expected}")),
    }
}
