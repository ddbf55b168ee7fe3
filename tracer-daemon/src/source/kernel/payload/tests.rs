//! First payloads as they are seen on the wire, cut off anywhere.

use super::read;
use loona_hpack::Encoder;
use proptest::prelude::*;
use tracer_engine::net::Name;
use tracer_engine::socket::{ClientHello, HttpResponse, Payload, ResponseBody};

fn host(bytes: &[u8]) -> Option<Name> {
    match read(bytes) {
        Payload::Http1 { host } => host,
        other => panic!("{other:?}"),
    }
}

fn response(bytes: &[u8]) -> HttpResponse {
    match read(bytes) {
        Payload::HttpResponse(response) => response,
        other => panic!("{other:?}"),
    }
}

fn hello(bytes: &[u8]) -> ClientHello {
    match read(bytes) {
        Payload::ClientHello(hello) => hello,
        other => panic!("{other:?}"),
    }
}

/// A ClientHello with these extensions, in this order.
fn client_hello(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([32]);
    body.extend([8; 32]);
    body.extend([0, 4, 0x13, 0x01, 0x13, 0x02, 1, 0]);
    let mut list = Vec::new();
    for (kind, value) in extensions {
        list.extend(kind.to_be_bytes());
        list.extend((value.len() as u16).to_be_bytes());
        list.extend(value);
    }
    body.extend((list.len() as u16).to_be_bytes());
    body.extend(list);
    let mut message = vec![1, 0];
    message.extend((body.len() as u16).to_be_bytes());
    message.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend((message.len() as u16).to_be_bytes());
    record.extend(message);
    record
}

fn sni(name: &str) -> (u16, Vec<u8>) {
    let length = name.len() as u16;
    let mut value = (length + 3).to_be_bytes().to_vec();
    value.push(0);
    value.extend(length.to_be_bytes());
    value.extend(name.as_bytes());
    (0, value)
}

fn alpn(names: &[&str]) -> (u16, Vec<u8>) {
    let list: Vec<u8> = names.iter().flat_map(|name| [&[name.len() as u8], name.as_bytes()].concat()).collect();
    (16, [&(list.len() as u16).to_be_bytes(), list.as_slice()].concat())
}

fn key_share(length: usize) -> (u16, Vec<u8>) {
    (51, vec![9; length])
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn header_block(headers: &[(&str, &str)]) -> Vec<u8> {
    Encoder::new().encode(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
}

#[test]
fn a_request_has_its_host() {
    assert_eq!(host(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").as_deref(), Some("web"));
    assert_eq!(host(b"POST /a HTTP/1.1\r\nX: y\r\nhost: web.shop:8080\r\n\r\n{}").as_deref(), Some("web.shop:8080"));
    assert_eq!(host(b"PURGE /a HTTP/1.1\r\nA: b\r\n"), None, "it may still come");
}

/// What Envoy makes of them, so that the walk can ask the same question.
#[test]
fn odd_hosts_are_those_that_envoy_sees() {
    let of = |head: &str| host(format!("GET / HTTP/1.1\r\n{head}\r\n\r\n").as_bytes());
    assert_eq!(of("A: b").as_deref(), Some(""), "a whole head without one");
    assert_eq!(of("Host:"), None);
    assert_eq!(of("Host:\tWEB.shop:80\t").as_deref(), Some("WEB.shop:80"));
    assert_eq!(of("Host: [fd00::1]:80").as_deref(), Some("[fd00::1]:80"));
    assert_eq!(of("Host: web\r\nHost: web").as_deref(), Some("web,web"));
    assert_eq!(host(b"GET / HTTP/1.1\r\nHost: caf\xe9\r\n\r\n").as_deref(), Some("caf\u{fffd}"));
    let absolute = |target: &str| host(format!("GET {target} HTTP/1.1\r\nHost: b\r\n\r\n").as_bytes());
    assert_eq!(absolute("http://web.shop:80/x?a://c").as_deref(), Some("web.shop:80"));
    assert_eq!(absolute("/x?a=http://c/").as_deref(), Some("b"));
    assert_eq!(absolute("ftp://web/").as_deref(), Some("b"));
    assert_eq!(absolute("http:///").as_deref(), Some("b"));
}

/// Envoy's inspector takes HTTP/1.1 alone for HTTP, as Istio sets it up.
#[test]
fn http_1_0_is_other_bytes() {
    assert_eq!(read(b"GET / HTTP/1.0\r\nHost: web\r\n\r\n"), Payload::Other);
}

#[test]
fn a_host_that_is_cut_off_is_no_host() {
    assert_eq!(host(b"GET / HTTP/1.1\r\nHost: web.sh"), None);
    assert_eq!(host(b"GET / HTTP/1.1\r\nHost: web\r\nAccept").as_deref(), Some("web"));
}

#[test]
fn a_target_that_does_not_fit_is_still_a_request() {
    assert_eq!(host(format!("GET /{}", "a".repeat(2000)).as_bytes()), None);
}

#[test]
fn what_only_looks_like_a_request_is_not_one() {
    for bytes in
        [b"EHLO mail.example\r\n".as_slice(), b"SSH-2.0-OpenSSH_9.6\r\n", b"GET key\r\n", b"PING\r\n", b"get x y"]
    {
        assert_eq!(read(bytes), Payload::Other, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_response_tells_who_wrote_it() {
    let proxy = b"HTTP/1.1 502 Bad Gateway\r\nserver: envoy\r\ncontent-length: 0\r\n\r\n";
    let expected = HttpResponse {
        status: 502,
        upstream_service_time: Some(false),
        envoy: true,
        empty_body: Some(true),
        body: None,
    };
    assert_eq!(response(proxy), expected);
    let app =
        b"HTTP/1.1 200 OK\r\nserver: istio-envoy\r\nx-envoy-upstream-service-time: 3\r\ncontent-length: 2\r\n\r\nok";
    let expected = HttpResponse {
        status: 200,
        upstream_service_time: Some(true),
        envoy: true,
        empty_body: Some(false),
        body: Some(ResponseBody::Other),
    };
    assert_eq!(response(app), expected);
}

#[test]
fn a_head_that_is_cut_off_does_not_deny_what_may_follow() {
    let cut = response(b"HTTP/1.1 503 Service Unavailable\r\nserver: nginx\r\ncontent-ty");
    assert_eq!((cut.status, cut.envoy, cut.upstream_service_time, cut.empty_body), (503, false, None, None));
    assert_eq!(read(b"HTTP/1.1 50"), Payload::Other);
}

#[test]
fn a_proxys_own_words_are_known() {
    let says = |body: &str| response(format!("HTTP/1.1 503 x\r\nserver: envoy\r\n\r\n{body}").as_bytes()).body;
    let before = "upstream connect error or disconnect/reset before headers";
    for reason in [
        ". reset reason: connection failure, transport failure reason: refused",
        ". reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused",
        ". retried and the latest reset reason: connection failure",
        ". retried and the latest reset reason: local connection failure",
    ] {
        let body = format!("{before}{reason}");
        assert_eq!(says(&body), Some(ResponseBody::UpstreamConnectionFailure), "{body}");
    }
    for reason in ["", ". reset re", ". reset reason: connection termination", ". reset reason: connection timeout"] {
        let body = format!("{before}{reason}");
        assert_eq!(says(&body), Some(ResponseBody::UpstreamConnectError), "{body}");
    }
    assert_eq!(says("no healthy upstream"), Some(ResponseBody::NoHealthyUpstream));
    assert_eq!(says("RBAC: access denied"), Some(ResponseBody::AccessDenied));
    assert_eq!(says("it broke"), Some(ResponseBody::Other));
    assert_eq!(says(""), None);
}

#[test]
fn http2_has_its_authority_from_the_first_headers() {
    let block =
        header_block(&[(":method", "GET"), (":path", "/a"), (":authority", "grpc.shop:9000"), (":scheme", "http")]);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice();
    let settings = frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]);
    let whole = [preface, &settings, &frame(8, 0, 0, &[0, 0, 1, 0]), &frame(1, 4, 1, &block)].concat();
    assert_eq!(read(&whole), Payload::Http2 { authority: Some("grpc.shop:9000".into()) });
    assert_eq!(read(&[preface, &settings].concat()), Payload::Http2 { authority: None });
    assert_eq!(read(preface), Payload::Http2 { authority: None });

    let padded = [&[3][..], &[0, 0, 0, 0, 15], &block, &[0; 3]].concat();
    let padded = [preface, &settings, &frame(1, 0x2c, 1, &padded)].concat();
    assert_eq!(read(&padded), Payload::Http2 { authority: Some("grpc.shop:9000".into()) });
}

#[test]
fn an_http2_server_begins_with_settings() {
    let settings = frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]);
    assert_eq!(read(&settings), Payload::Http2Response { status: None });
    let answer =
        [settings.as_slice(), &frame(4, 1, 0, &[]), &frame(1, 4, 1, &header_block(&[(":status", "503")]))].concat();
    assert_eq!(read(&answer), Payload::Http2Response { status: Some(503) });
    assert_eq!(read(&frame(4, 0, 0, &[1, 2, 3, 4, 5])), Payload::Other);
}

#[test]
fn a_client_hello_has_its_names() {
    let name = "outbound_.80_._.reviews.default.svc.cluster.local";
    let whole = client_hello(&[key_share(1216), sni(name), alpn(&["istio-peer-exchange", "istio"])]);
    let found = hello(&whole);
    assert_eq!(found.sni.as_deref(), Some(name));
    assert_eq!(found.alpn.as_slice(), [Name::from("istio-peer-exchange"), Name::from("istio")]);
    assert!(found.complete && found.is_mesh());
}

#[test]
fn trap_15_a_hello_that_is_cut_off_tells_what_came_before() {
    let whole = client_hello(&[sni("web.shop"), alpn(&["h2", "http/1.1"]), key_share(1800)]);
    let found = hello(&whole[..512]);
    assert_eq!((found.sni.as_deref(), found.alpn.len(), found.complete), (Some("web.shop"), 2, false));
    let late = client_hello(&[key_share(1800), sni("web.shop")]);
    let found = hello(&late[..1448]);
    assert_eq!((found.sni, found.complete), (None, false));
}

#[test]
fn a_hello_without_names_is_complete_too() {
    let found = hello(&client_hello(&[key_share(32)]));
    assert_eq!(found, ClientHello { complete: true, ..ClientHello::default() });
}

#[test]
fn what_answers_a_hello_is_told_apart() {
    assert_eq!(read(&[22, 3, 3, 0, 90, 2, 0, 0, 86]), Payload::TlsAnswer { alert: false, length: 9 });
    assert_eq!(read(&[21, 3, 3, 0, 2, 2, 40]), Payload::TlsAnswer { alert: true, length: 7 });
    assert_eq!(read(&[22, 3]), Payload::Other);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        read(&bytes);
    }

    #[test]
    fn any_bytes_behind_a_beginning_are_read_without_panic(
        beginning in prop::sample::select(vec![
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"HTTP/1.1 200 OK\r\n".to_vec(),
            [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &[0, 1, 0, 1, 4, 0, 0, 0, 1]].concat(),
            vec![0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 1, 0, 1, 4, 0, 0, 0, 1],
            vec![22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3],
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        read(&[beginning, rest].concat());
    }

    #[test]
    fn any_damage_to_a_hello_is_read_without_panic(at in 0_usize..200, value: u8, end in 0_usize..200) {
        let mut bytes = client_hello(&[sni("web.shop"), alpn(&["h2"]), key_share(32)]);
        let (at, end) = (at % bytes.len(), end % bytes.len());
        bytes[at] = value;
        read(&bytes[..end]);
    }

    #[test]
    fn a_hello_never_tells_a_name_that_was_not_sent(end in 0_usize..200) {
        let bytes = client_hello(&[sni("web.shop"), alpn(&["h2", "istio"]), key_share(32)]);
        if let Payload::ClientHello(found) = read(&bytes[..end.min(bytes.len())]) {
            prop_assert!(found.sni.is_none_or(|name| &*name == "web.shop"));
            prop_assert!(found.alpn.iter().all(|name| matches!(&**name, "h2" | "istio")));
            prop_assert!(!found.complete || end >= bytes.len());
        }
    }

    #[test]
    fn any_host_is_read_back(name in "[a-z0-9.-]{1,80}") {
        let bytes = format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n");
        prop_assert_eq!(host(bytes.as_bytes()), Some(Name::from(name.as_str())));
        let hello = hello(&client_hello(&[sni(&name)]));
        prop_assert_eq!(hello.sni, Some(Name::from(name.as_str())));
    }
}
