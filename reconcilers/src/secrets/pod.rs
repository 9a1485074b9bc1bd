//! The account of the pod that this process runs in, as a kubeconfig (Kubernetes: "Accessing the Kubernetes API from a
//! Pod").

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

/// Where Kubernetes mounts it. The token is renewed there before it ends.
const FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where the account is, and the API server that it is for.
#[derive(Clone, Debug)]
pub struct Account {
    folder: PathBuf,
    server: Option<String>,
}

impl Account {
    /// The account of this pod, where this is one.
    #[must_use]
    pub fn of_pod() -> Self {
        let said = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let server = said("KUBERNETES_SERVICE_HOST").map(|host| {
            let port = said("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".into());
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            format!("https://{host}:{port}")
        });
        Self { folder: FOLDER.into(), server }
    }

    /// An account that is elsewhere.
    #[must_use]
    pub fn at(folder: &Path, server: &str) -> Self {
        Self { folder: folder.to_owned(), server: Some(server.to_owned()) }
    }

    /// The account as a kubeconfig.
    ///
    /// # Errors
    /// In words, where this is no pod or its account is not mounted.
    pub(super) fn kubeconfig(&self) -> Result<String, String> {
        let server = self.server.as_ref().ok_or(
            "this process runs in no pod: KUBERNETES_SERVICE_HOST is not set. Use `store: file` with a kubeconfig",
        )?;
        let read = |name: &str| {
            let path = self.folder.join(name);
            std::fs::read(&path).map_err(|error| {
                let path = path.display();
                format!("{path}: {error}; the pod needs `automountServiceAccountToken: true`")
            })
        };
        let (authority, token) = (read("ca.crt")?, read("token")?);
        let token = String::from_utf8(token).map_err(|_| "its token is not text")?;
        let authority = BASE64_STANDARD.encode(authority);
        let cluster = json!({ "server": server, "certificate-authority-data": authority });
        // JSON is YAML.
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "pod", "cluster": cluster }],
            "users": [{ "name": "pod", "user": { "token": token.trim() } }],
            "contexts": [{ "name": "pod", "context": { "cluster": "pod", "user": "pod" } }],
            "current-context": "pod",
        });
        Ok(config.to_string())
    }
}
