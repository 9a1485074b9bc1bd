//! The requests to one cluster.

use std::net::SocketAddr;
use std::time::Duration;

use domain::lifecycle::FailureClass;
use http::Uri;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::core::{ApiResource, DynamicObject, Status};
use kube::{Api, Client, Config, Error};
use reconcilers::CallError;
use serde_json::Value;

use crate::kubeconfig::{Access, Identity};
use crate::labels::FIELD_MANAGER;
use crate::objects::Key;

/// How long a cluster may take to be connected to.
const CONNECT: Duration = Duration::from_secs(10);
/// How long it may take to answer. A write may pass through slow webhooks (Kubernetes: at most 30 s each).
const ANSWER: Duration = Duration::from_secs(40);
/// Requests under way at once to one cluster, watches apart: as much as its API server takes from 16 clients.
pub(crate) const REQUESTS_MAX: usize = 16;

/// Makes a client of what a kubeconfig says, at the address that it led to. Nothing of this machine's own configuration
/// is used.
pub(crate) fn client(access: &Access, address: SocketAddr) -> Result<Client, CallError> {
    let wrong = |what: String| CallError { class: FailureClass::Terminal, message: what };
    let url: Uri = format!("https://{address}{}", access.server.path())
        .parse()
        .map_err(|_| wrong(format!("{} is not an address", access.server)))?;
    let mut config = Config::new(url);
    config.connect_timeout = Some(CONNECT);
    config.tls_server_name = access.server_name.clone().or_else(|| match access.server.host() {
        Some(url::Host::Domain(name)) => Some(name.to_owned()),
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) | None => None,
    });
    config.root_cert = access.authority.as_deref().map(certificates).transpose()?;
    match &access.identity {
        Identity::Token(token) => config.auth_info.token = Some(token.clone().into()),
        Identity::Certificate { certificate, key } => {
            let base64 =
                |bytes: &[u8]| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes);
            config.auth_info.client_certificate_data = Some(base64(certificate));
            config.auth_info.client_key_data = Some(base64(key).into());
        }
    }
    // Another library may have brought another provider along; the first choice stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::try_from(config)
        .map_err(|error| wrong(format!("its credentials cannot be used: {error}")))
}

/// The certificates of a PEM file, as DER.
fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, CallError> {
    let wrong = || CallError {
        class: FailureClass::Terminal,
        message: "its certificate authority is not PEM".into(),
    };
    let text = std::str::from_utf8(pem).map_err(|_| wrong())?;
    let mut found = Vec::new();
    for block in text.split("-----BEGIN CERTIFICATE-----").skip(1) {
        let (body, _) = block.split_once("-----END CERTIFICATE-----").ok_or_else(wrong)?;
        let body: String = body.split_whitespace().collect();
        let der = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, body);
        found.push(der.map_err(|_| wrong())?);
    }
    if found.is_empty() { Err(wrong()) } else { Ok(found) }
}

/// Speaks to one cluster.
#[derive(Clone)]
pub(crate) struct Requests {
    pub(crate) client: Client,
    /// The address of the API server.
    pub(crate) endpoint: String,
}

impl Requests {
    pub(super) fn api(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
    ) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }

    /// Applies an object: all that we want of it. Where somebody else owns a field of it, that is an error unless
    /// `force`.
    pub(crate) async fn apply(
        &self,
        resource: &ApiResource,
        key: &Key,
        body: &Value,
        force: bool,
    ) -> Result<Value, CallError> {
        let mut parameters = PatchParams::apply(FIELD_MANAGER).validation_strict();
        parameters.force = force;
        let api = self.api(resource, key.namespace.as_deref());
        let patch = Patch::Apply(body);
        let answer = timely(key, api.patch(&key.name, &parameters, &patch)).await?;
        whole(answer, resource)
    }

    /// Reads an object; none when it is not there.
    pub(crate) async fn get(
        &self,
        resource: &ApiResource,
        key: &Key,
    ) -> Result<Option<Value>, CallError> {
        let api = self.api(resource, key.namespace.as_deref());
        let answer = timely(key, api.get_opt(&key.name)).await?;
        answer.map(|object| whole(object, resource)).transpose()
    }

    /// Deletes an object of this uid, what depends on it first. Whether it is gone already.
    pub(crate) async fn delete(
        &self,
        resource: &ApiResource,
        key: &Key,
        uid: &str,
    ) -> Result<bool, CallError> {
        let api = self.api(resource, key.namespace.as_deref());
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Foreground),
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                ..Preconditions::default()
            }),
            ..DeleteParams::default()
        };
        let deleted = tokio::time::timeout(ANSWER, api.delete(&key.name, &parameters)).await;
        match deleted {
            // An object may be there for as long as finalizers hold it.
            Ok(Ok(_)) => Ok(false),
            // Another one has its name: ours is gone.
            Ok(Err(Error::Api(status))) if status.code == 404 || status.code == 409 => Ok(true),
            Ok(Err(error)) => Err(refusal(key, &error)),
            Err(_) => Err(late(key)),
        }
    }
}

/// An object with the type that lists leave out.
pub(crate) fn whole(object: DynamicObject, resource: &ApiResource) -> Result<Value, CallError> {
    let value = serde_json::to_value(object);
    let mut value = value.map_err(|error| CallError {
        class: FailureClass::Retry,
        message: format!("a {} cannot be read: {error}", resource.kind),
    })?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("apiVersion".into(), resource.api_version.clone().into());
        fields.insert("kind".into(), resource.kind.clone().into());
    }
    Ok(value)
}

async fn timely<T>(
    key: &Key,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(ANSWER, request).await {
        Ok(answer) => answer.map_err(|error| refusal(key, &error)),
        Err(_) => Err(late(key)),
    }
}

fn late(key: &Key) -> CallError {
    let message = format!("{key}: the cluster did not answer within {} s", ANSWER.as_secs());
    CallError { class: FailureClass::Retry, message }
}

/// What a cluster's refusal means, with its own words.
pub(super) fn refusal(key: &Key, error: &Error) -> CallError {
    let (class, message) = if let Error::Api(status) = error {
        (class(status), status.message.clone())
    } else {
        (FailureClass::Retry, told(error))
    };
    CallError { class, message: format!("{key}: {message}") }
}

fn class(status: &Status) -> FailureClass {
    match status.code {
        429 => FailureClass::Throttled,
        // A namespace that is going away takes nothing in until it is gone.
        403 if status.message.contains("being terminated") => FailureClass::Retry,
        400 | 401 | 403 | 405 | 409 | 413 | 422 => FailureClass::Terminal,
        _ => FailureClass::Retry,
    }
}

/// An error with its causes, which say what happened.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text += &format!(": {words}");
        }
        cause = error.source();
    }
    text
}
