//! A call that an application makes, and what is known to become of it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::pod_name::PodName;

/// One line of `calls.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    pub id: String,
    pub from: PodName,
    #[serde(flatten)]
    pub request: Request,
    pub truth: Truth,
}

/// What the application does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    pub to: SocketAddr,
    pub send: Sends,
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default = "root")]
    pub path: String,
    #[serde(default)]
    pub sni: Option<String>,
    #[serde(default)]
    pub alpn: Vec<String>,
    /// `namespace.serviceaccount`: the application presents that mesh certificate.
    #[serde(default)]
    pub cert: Option<String>,
    #[serde(default = "app_uid")]
    pub uid: u32,
    #[serde(default = "four_seconds")]
    pub timeout_ms: u64,
    /// As long as `timeout_ms` where absent.
    #[serde(default)]
    pub connect_timeout_ms: Option<u64>,
    /// How long the connection stays open after the answer.
    #[serde(default)]
    pub hold_ms: u64,
}

/// What the client says first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sends {
    Http,
    Http2,
    /// With a host, HTTP/1.1 inside; without, bytes of no protocol.
    Tls,
    /// Neither HTTP nor TLS.
    Tcp,
    /// Nothing: it waits for the server's words.
    None,
}

/// The recorded outcome, judged by the proxies' access logs when the mesh was recorded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    pub class: String,
    pub reason: String,
    /// Any of them is right, the most specific first; empty where none was recorded.
    pub causes: Vec<String>,
    /// `None`: not recorded.
    pub security: Option<String>,
    /// Whether the application got the request.
    pub accepted: bool,
}

impl Request {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms.unwrap_or(self.timeout_ms))
    }
}

pub(super) fn read_lines(text: &str) -> Result<Vec<Call>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| serde_json::from_str(line).with_context(|| format!("line {}", at + 1))).collect()
}

fn root() -> String {
    "/".to_owned()
}

fn app_uid() -> u32 {
    2000
}

fn four_seconds() -> u64 {
    4000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_leaves_out_has_its_default() {
        let line = r#"{"id": "a", "from": "shop/cart-0", "to": "10.244.1.40:6379", "send": "tcp", "truth":
            {"class": "opaque-tcp", "reason": "headless-tcp", "causes": [], "security": null, "accepted": true}}"#;
        let calls = read_lines(&line.replace('\n', "")).unwrap();
        let request = &calls[0].request;
        assert_eq!((request.uid, request.path.as_str(), request.send), (2000, "/", Sends::Tcp));
        assert_eq!((request.timeout_ms, request.connect_timeout()), (4000, Duration::from_secs(4)));
        assert_eq!(calls[0].truth.security, None);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = read_lines("\n{\"id\": \"a\"}\n").unwrap_err();
        assert!(format!("{error:#}").starts_with("line 2: missing field"), "{error:#}");
    }
}
