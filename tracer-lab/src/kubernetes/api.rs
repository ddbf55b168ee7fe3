//! Asking the API as a person with a token does: one request, one connection.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::objects;

#[derive(Clone, Debug)]
pub struct Api {
    address: String,
    ca: PathBuf,
    token: String,
}

pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Api {
    /// By its address, the certificate that verifies it, and whose token.
    pub fn new(address: String, ca: PathBuf, token: &str) -> Self {
        Self { address, ca, token: token.to_owned() }
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, "application/json", String::new()).await
    }

    /// Server-side apply: makes the object, or makes it so.
    pub async fn apply(&self, object: &Value) -> Result<Value> {
        let path = format!("{}?fieldManager=tracer-lab&force=true", objects::path(object)?);
        self.ask("PATCH", &path, "application/apply-patch+yaml", object.to_string()).await?.object()
    }

    /// Merge patch of the object itself or, with `subresource`, of such a part of it.
    pub async fn patch(&self, object: &Value, subresource: &str, patch: &Value) -> Result<Value> {
        let path = format!("{}{subresource}", objects::path(object)?);
        self.ask("PATCH", &path, "application/merge-patch+json", patch.to_string()).await?.object()
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask("POST", path, "application/json", body.to_string()).await?.object()
    }

    /// At once, as where a kubelet has done its part.
    pub async fn delete(&self, object: &Value) -> Result<()> {
        let now = json!({ "gracePeriodSeconds": 0 }).to_string();
        self.ask("DELETE", &objects::path(object)?, "application/json", now).await?.object().map(drop)
    }

    /// A namespace and what is in it go; nobody else runs to finalize it.
    pub async fn delete_namespace(&self, name: &str) -> Result<()> {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        self.delete(&namespace).await?;
        let finalized = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name }, "spec": {} });
        let path = format!("/api/v1/namespaces/{name}/finalize");
        self.ask("PUT", &path, "application/json", finalized.to_string()).await?.object().map(drop)
    }

    pub(super) async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let tls = TlsConnector::from(Arc::new(trusting(&self.ca)?));
        let stream = TcpStream::connect(&self.address).await.with_context(|| format!("no API at {}", self.address))?;
        Ok(tls.connect(ServerName::try_from("127.0.0.1")?, stream).await?)
    }

    async fn ask(&self, method: &str, path: &str, content_type: &str, body: String) -> Result<Answer> {
        let stream = self.connect().await?;
        let (mut http, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", content_type)
            .header("accept", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let answer = http.send_request(request).await.with_context(|| format!("{method} {path}"))?;
        let status = answer.status().as_u16();
        let body = String::from_utf8(answer.into_body().collect().await?.to_bytes().to_vec())?;
        connection.abort();
        Ok(Answer { status, body })
    }
}

impl Answer {
    pub fn object(self) -> Result<Value> {
        let Self { status, body } = self;
        if !(200..300).contains(&status) {
            bail!("the API says {status}: {body}");
        }
        serde_json::from_str(&body).context("the API's answer is not JSON")
    }
}

fn trusting(ca: &PathBuf) -> Result<ClientConfig> {
    let pem = fs::read(ca).with_context(|| format!("cannot read {}", ca.display()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate?)?;
    }
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
