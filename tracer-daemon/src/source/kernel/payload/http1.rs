//! HTTP/1.x heads: the Host of a request; of a response the status and what tells who wrote it.

use httparse::{EMPTY_HEADER, Header};
use tracer_engine::net::Name;
use tracer_engine::socket::{HttpResponse, Payload, ResponseBody};

/// More headers than a head of the bytes seen can hold.
const MAX_HEADERS: usize = 100;

/// Methods that are known without the rest of the request line, for a target too long for the bytes seen.
const METHODS: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE"];

/// As httparse numbers it. What says HTTP/1.0 is no HTTP for Envoy's inspector, unless `PILOT_HTTP10` is set, which no
/// fact tells: it takes the TCP chain, and an HTTP codec refuses it.
const HTTP_1_1: u8 = 1;

/// How Envoy begins the bodies of its own answers.
const CONNECT_ERROR: &[u8] = b"upstream connect error or disconnect/reset before headers";
const CONNECTION_FAILURE: &[u8] = b"connection failure";

/// `None` where this is no HTTP/1.x head.
pub(super) fn read(bytes: &[u8]) -> Option<Payload> {
    if bytes.starts_with(b"HTTP/1.") { response(bytes).map(Payload::HttpResponse) } else { request(bytes) }
}

fn request(bytes: &[u8]) -> Option<Payload> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    // Cut off, or broken further on: what was read until there stands in `head`.
    let whole = head.parse(bytes).is_ok_and(|parsed| parsed.is_complete());
    let known = head.method.is_some_and(|method| METHODS.contains(&method));
    let long_target = head.path.is_none() && known && bytes.iter().all(|byte| !matches!(byte, b'\r' | b'\n'));
    if head.version != Some(HTTP_1_1) && !long_target {
        return None;
    }
    let absolute = head.path.and_then(authority);
    Some(Payload::Http1 { host: absolute.map(Name::from).or_else(|| host(head.headers, whole)) })
}

/// The authority of a target in absolute form, which wins over Host (RFC 9112, 3.2.2).
fn authority(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("://")?;
    let is_http = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    rest.split(['/', '?', '#']).next().filter(|authority| is_http && !authority.is_empty())
}

/// What Envoy takes for Host: several are one, with a comma between; bytes that are no text stand there as U+FFFD, which
/// no authority has. Empty where the head is `whole` and has none; `None` where that is not known, or where it has no
/// value.
fn host(headers: &[Header<'_>], whole: bool) -> Option<Name> {
    let hosts = headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
    let values: Vec<_> = hosts.map(|header| String::from_utf8_lossy(header.value)).collect();
    match values[..] {
        [] => whole.then(|| Name::from("")),
        _ => Some(Name::from(values.join(","))).filter(|host| !host.is_empty()),
    }
}

fn response(bytes: &[u8]) -> Option<HttpResponse> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let length = head.parse(bytes).ok().and_then(|parsed| match parsed {
        httparse::Status::Complete(length) => Some(length),
        httparse::Status::Partial => None,
    });
    let upstream_service_time = find(head.headers, "x-envoy-upstream-service-time").map(|_| true);
    Some(HttpResponse {
        status: head.code?,
        upstream_service_time: upstream_service_time.or(length.map(|_| false)),
        envoy: find(head.headers, "server").is_some_and(|server| matches!(server, b"envoy" | b"istio-envoy")),
        empty_body: find(head.headers, "content-length").map(|length| length == b"0"),
        body: length.and_then(|length| bytes.get(length..)).filter(|body| !body.is_empty()).map(body),
    })
}

fn body(bytes: &[u8]) -> ResponseBody {
    if bytes.starts_with(CONNECT_ERROR) {
        return connect_error(&bytes[CONNECT_ERROR.len()..]);
    }
    if bytes.starts_with(b"no healthy upstream") {
        return ResponseBody::NoHealthyUpstream;
    }
    if bytes.starts_with(b"RBAC: access denied") { ResponseBody::AccessDenied } else { ResponseBody::Other }
}

/// `. [retried and the latest ]reset reason: [remote |local ]connection failure...`
fn connect_error(rest: &[u8]) -> ResponseBody {
    let words: [&[u8]; 5] = [b". ", b"retried and the latest ", b"reset reason: ", b"remote ", b"local "];
    let reason = words.iter().fold(rest, |rest, word| rest.strip_prefix(*word).unwrap_or(rest));
    if reason.starts_with(CONNECTION_FAILURE) {
        ResponseBody::UpstreamConnectionFailure
    } else {
        ResponseBody::UpstreamConnectError
    }
}

fn find<'a>(headers: &[Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}
