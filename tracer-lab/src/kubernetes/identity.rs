//! Who asks: a ServiceAccount's token, and the kubeconfig that presents it.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::server::ApiServer;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceAccount {
    pub namespace: String,
    pub name: String,
}

impl ServiceAccount {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// Its name where roles are bound and in the audit log.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// A new token of the ServiceAccount, which must be there.
    pub async fn token(&self, server: &ApiServer) -> Result<String> {
        let Self { namespace, name } = self;
        let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let granted = server.admin().post(&path, &request).await?;
        Ok(granted["status"]["token"].as_str().context("the API granted no token")?.to_owned())
    }
}

/// A kubeconfig whose one context, `test`, reaches `url` as `user`, a YAML flow mapping such as `{token: abc}`.
/// Without `ca` the server's certificate is verified by the machine's own authorities, and over plain HTTP not at all.
pub fn kubeconfig(url: &str, ca: Option<&Path>, user: &str) -> String {
    let ca = ca.map(|ca| format!(", certificate-authority: {:?}", ca.display().to_string())).unwrap_or_default();
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         clusters: [{{name: test, cluster: {{server: {url:?}{ca}}}}}]\n\
         users: [{{name: test, user: {user}}}]\n\
         contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n"
    )
}
