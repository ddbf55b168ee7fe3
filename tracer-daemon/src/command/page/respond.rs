//! What the page's paths answer. Nothing that is answered may lead a browser anywhere else.

use super::assets::asset;
use super::guard::Guard;
use super::relay::{Relay, relay};
use crate::command::Failure;
use crate::command::daemons::{Daemons, nobody};
use crate::command::observe::Source;
use crate::sink::wire::Refusal;
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};

#[derive(Debug)]
pub(super) struct Site {
    pub(super) source: Source,
    /// Nobody, where flows were recorded.
    pub(super) daemons: Option<Daemons>,
    pub(super) guard: Guard,
}

type Body = Either<Full<Bytes>, Relay>;

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];

impl Site {
    pub(super) async fn respond(&self, request: &Request<Incoming>) -> Response<Body> {
        let path = match self.guard.admit(request) {
            Ok(path) => path,
            Err((status, text)) => return whole(status, "text/plain; charset=utf-8", text.to_owned()),
        };
        if let Some((kind, content)) = asset(path) {
            return whole(StatusCode::OK, kind, content);
        }
        match (path, path.strip_prefix("explain/")) {
            ("flows", _) => match relay(&self.source).await {
                Ok(lines) => answer(StatusCode::OK, LINES, Either::Right(lines)),
                Err(failure) => failed(&failure),
            },
            ("status", _) => self.status().await,
            (_, Some(id)) if is_id(id) => self.explain(id).await,
            _ => whole(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "there is nothing here\n"),
        }
    }

    /// A line each: what a daemon says of itself, or why it does not.
    async fn status(&self) -> Response<Body> {
        let Some(daemons) = &self.daemons else { return whole(StatusCode::OK, LINES, "") };
        let lines = daemons.statuses().await.into_iter().map(|status| match status {
            Ok(line) => line + "\n",
            Err(failure) => refusal(&failure),
        });
        whole(StatusCode::OK, LINES, lines.collect::<String>())
    }

    async fn explain(&self, id: &str) -> Response<Body> {
        let Some(daemons) = &self.daemons else { return failed(&nobody()) };
        match daemons.explain(id).await {
            Ok(line) => whole(StatusCode::OK, JSON, line),
            Err(failure) => failed(&failure),
        }
    }
}

/// Node, start and number: nothing that a path would spell otherwise.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

fn failed(failure: &Failure) -> Response<Body> {
    whole(StatusCode::BAD_GATEWAY, JSON, refusal(failure))
}

fn refusal(failure: &Failure) -> String {
    Refusal { error: failure.to_string() }.line().to_string()
}

fn whole(status: StatusCode, kind: &'static str, content: impl Into<Bytes>) -> Response<Body> {
    answer(status, kind, Either::Left(Full::new(content.into())))
}

fn answer(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // Flows of yesterday's daemon are no answer.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
