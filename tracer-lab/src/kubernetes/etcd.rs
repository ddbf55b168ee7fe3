//! etcd underneath the API, spoken to by its JSON gateway: whoever writes here writes objects as they are, creation time
//! and all, and nothing that the API server would refuse is refused.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use super::objects;

/// Writers at once; more make etcd no faster.
const WRITERS: usize = 16;

#[derive(Clone, Debug)]
pub struct Etcd {
    socket: PathBuf,
}

/// One connection.
struct Session {
    http: SendRequest<Full<Bytes>>,
}

impl Etcd {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Writes objects as they are: no admission, no validation, no managedFields. Watchers see ordinary events.
    pub async fn seed(&self, objects: impl IntoIterator<Item = Value>) -> Result<usize> {
        let mut piles: [Vec<Value>; WRITERS] = Default::default();
        let mut count = 0;
        for object in objects {
            piles[count % WRITERS].push(object);
            count += 1;
        }
        let mut writers = JoinSet::new();
        for pile in piles.into_iter().filter(|pile| !pile.is_empty()) {
            let etcd = self.clone();
            writers.spawn(async move {
                let mut session = etcd.session().await?;
                for object in pile {
                    session.put(&objects::storage_key(&object)?, &serde_json::to_vec(&object)?).await?;
                }
                Ok::<_, anyhow::Error>(())
            });
        }
        while let Some(done) = writers.join_next().await {
            done.context("a writer panicked")??;
        }
        Ok(count)
    }

    /// One object at a time, in order, by a writer of its own.
    pub async fn put(&self, object: &Value) -> Result<()> {
        let value = serde_json::to_vec(object)?;
        self.session().await?.put(&objects::storage_key(object)?, &value).await
    }

    /// Bytes in an object's place, be they an object or not.
    pub async fn put_bytes(&self, object: &Value, value: &[u8]) -> Result<()> {
        self.session().await?.put(&objects::storage_key(object)?, value).await
    }

    /// Removes an object at once, whatever its finalizers and grace periods say.
    pub async fn delete(&self, object: &Value) -> Result<()> {
        let key = objects::storage_key(object)?;
        self.session().await?.call("kv/deleterange", &json!({ "key": STANDARD.encode(key) })).await.map(drop)
    }

    /// Removes every object of the kinds that `objects` can place.
    pub async fn clear(&self) -> Result<()> {
        let mut session = self.session().await?;
        for prefix in objects::storage_prefixes() {
            // The first key that does not begin with it: its last byte, a slash, plus one.
            let mut end = prefix.clone().into_bytes();
            if let Some(last) = end.last_mut() {
                *last += 1;
            }
            let range = json!({ "key": STANDARD.encode(&prefix), "range_end": STANDARD.encode(end) });
            session.call("kv/deleterange", &range).await?;
        }
        Ok(())
    }

    /// Forgets all revisions but the present one.
    pub async fn compact(&self) -> Result<()> {
        let mut session = self.session().await?;
        let status = session.call("maintenance/status", &json!({})).await?;
        let revision = status["header"]["revision"].as_str().context("etcd says no revision")?;
        session.call("kv/compaction", &json!({ "revision": revision, "physical": true })).await.map(drop)
    }

    async fn session(&self) -> Result<Session> {
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.with_context(|| format!("no etcd at {}", self.socket.display()))?;
        let (http, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Session { http })
    }
}

impl Session {
    async fn put(&mut self, key: &str, value: &[u8]) -> Result<()> {
        let put = json!({ "key": STANDARD.encode(key), "value": STANDARD.encode(value) });
        self.call("kv/put", &put).await.map(drop)
    }

    async fn call(&mut self, what: &str, body: &Value) -> Result<Value> {
        let body = Full::new(Bytes::from(serde_json::to_vec(body)?));
        let request = Request::post(format!("/v3/{what}")).header("host", "etcd").body(body)?;
        self.http.ready().await.context("etcd has closed the connection")?;
        let answer = self.http.send_request(request).await.context("etcd does not answer")?;
        let status = answer.status();
        let said = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("etcd says {status} to {what}: {}", String::from_utf8_lossy(&said));
        }
        serde_json::from_slice(&said).context("etcd's answer is not JSON")
    }
}
