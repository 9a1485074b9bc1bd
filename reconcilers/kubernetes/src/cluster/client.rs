//! The requests to one cluster.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use domain::lifecycle::FailureClass;
use http::{Request, Uri};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::client::{Body, ClientBuilder};
use kube::core::{ApiResource, DynamicObject, Status};
use kube::{Api, Client, Config, Error};
use reconcilers::CallError;
use serde_json::Value;
use tower::limit::RateLimitLayer;
use tower::util::MapRequestLayer;
use tracing::debug;

use crate::kubeconfig::{Access, Identity};
use crate::labels::FIELD_MANAGER;
use crate::objects::Key;

/// How long a cluster may take to be connected to.
const CONNECT: Duration = Duration::from_secs(10);
/// How long it may take to answer. A write may pass through slow webhooks (Kubernetes: at most 30 s each).
const ANSWER: Duration = Duration::from_secs(40);
/// The pause before a request that failed is sent once more.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause that a cluster may ask for; where it asks for more, the whole step waits.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Requests under way at once to one cluster, watches apart: as much as its API server takes from 16 clients.
pub(crate) const REQUESTS_MAX: usize = 16;
/// Requests to one cluster in one [`SPAN`], those that begin watches included: some three times what a thousand
/// applications that are delivered at once ask for, and less than what a small API server can take.
const REQUESTS_IN_SPAN: u64 = 100;
/// What requests are counted over, so that none waits for longer.
const SPAN: Duration = Duration::from_millis(250);

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
    let builder = ClientBuilder::try_from(config)
        .map_err(|error| wrong(format!("its credentials cannot be used: {error}")))?;
    Ok(builder.with_layer(&limited(SPAN)).with_layer(&MapRequestLayer::new(counted)).build())
}

/// Lets so many requests through in a time; the others wait their turn.
const fn limited(span: Duration) -> RateLimitLayer {
    RateLimitLayer::new(REQUESTS_IN_SPAN, span)
}

/// Every request is counted, whoever makes it; by what Kubernetes calls it.
fn counted(request: Request<Body>) -> Request<Body> {
    let watches = request.uri().query().is_some_and(|query| query.contains("watch=true"));
    let verb = match request.method().as_str() {
        "GET" if watches => "watch",
        "GET" => "get",
        "POST" => "create",
        "PATCH" => "apply",
        "DELETE" => "delete",
        _ => "other",
    };
    metrics::counter!("cairn_kubernetes_requests_total", "verb" => verb).increment(1);
    request
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
        let answer = twice(key, "apply", || api.patch(&key.name, &parameters, &patch));
        whole(answer.await.map_err(|error| error.told(key))?, resource)
    }

    /// Makes an object; none when one of its name is there already.
    pub(crate) async fn create(
        &self,
        resource: &ApiResource,
        key: &Key,
        body: &Value,
    ) -> Result<Option<Value>, CallError> {
        let object: DynamicObject = serde_json::from_value(body.clone()).map_err(|error| {
            let message = format!("{key} cannot be sent: {error}");
            CallError { class: FailureClass::Terminal, message }
        })?;
        let manager = Some(FIELD_MANAGER.to_owned());
        let parameters = PostParams { field_manager: manager, ..PostParams::default() };
        let api = self.api(resource, key.namespace.as_deref());
        match twice(key, "create", || api.create(&parameters, &object)).await {
            Ok(answer) => whole(answer, resource).map(Some),
            Err(Unanswered::Refused(Error::Api(status))) if status.reason == "AlreadyExists" => {
                Ok(None)
            }
            Err(error) => Err(error.told(key)),
        }
    }

    /// Reads an object; none when it is not there.
    pub(crate) async fn get(
        &self,
        resource: &ApiResource,
        key: &Key,
    ) -> Result<Option<Value>, CallError> {
        let api = self.api(resource, key.namespace.as_deref());
        let answer = twice(key, "get", || api.get_opt(&key.name)).await;
        answer.map_err(|error| error.told(key))?.map(|object| whole(object, resource)).transpose()
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
        match twice(key, "delete", || api.delete(&key.name, &parameters)).await {
            // An object may be there for as long as finalizers hold it.
            Ok(_) => Ok(false),
            Err(Unanswered::Refused(Error::Api(status))) if is_gone(&status) => Ok(true),
            Err(error) => Err(error.told(key)),
        }
    }
}

/// Whether what was to be deleted is not there: nothing of its name is, or something with another uid.
fn is_gone(status: &Status) -> bool {
    status.code == 404 || (status.code == 409 && status.message.contains("Precondition failed"))
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

/// Why there is no answer.
pub(super) enum Unanswered {
    /// The cluster's own word, or that the connection broke.
    Refused(Error),
    /// It took too long.
    Late,
}

impl Unanswered {
    /// What it means, in the cluster's own words.
    pub(super) fn told(&self, key: &impl Display) -> CallError {
        match self {
            Self::Refused(error) => refusal(key, error),
            Self::Late => {
                let seconds = ANSWER.as_secs();
                let message = format!("{key}: the cluster did not answer within {seconds} s");
                CallError { class: FailureClass::Retry, message }
            }
        }
    }

    /// How long to wait before it is asked once more; none where that would change nothing.
    fn pause(&self) -> Option<Duration> {
        match self {
            Self::Late => None,
            Self::Refused(Error::Api(status)) => {
                let asked =
                    status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
                let asked = Duration::from_secs(asked.into());
                let passes =
                    matches!(status.code, 429 | 500 | 502 | 503 | 504) || is_outrun(status);
                (passes && asked <= PAUSE_MAX).then_some(asked.max(PAUSE))
            }
            // The connection broke, before the request had an effect or after.
            Self::Refused(_) => Some(PAUSE),
        }
    }
}

/// Asks, and once more where that may help. Each of our requests may be repeated: what it asks for is the same
/// whether it came before or not.
pub(super) async fn twice<T, F: Future<Output = Result<T, Error>>>(
    key: &impl Display,
    verb: &'static str,
    ask: impl Fn() -> F,
) -> Result<T, Unanswered> {
    let once = || async {
        match tokio::time::timeout(ANSWER, ask()).await {
            Ok(answer) => answer.map_err(Unanswered::Refused),
            Err(_) => Err(Unanswered::Late),
        }
    };
    let error = match once().await {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    let Some(pause) = error.pause() else { return Err(error) };
    debug!(%key, verb, error = error.told(key).message, "asked once more");
    tokio::time::sleep(pause).await;
    once().await
}

/// Somebody else wrote at the same moment.
fn is_outrun(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 409
        && status.reason == "Conflict"
        && !status.message.contains("Precondition failed")
        && !causes.into_iter().any(|cause| cause.reason == "FieldManagerConflict")
}

/// What a cluster's refusal means, with its own words.
fn refusal(key: &impl Display, error: &Error) -> CallError {
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
        409 if is_outrun(status) => FailureClass::Retry,
        // Credentials are read again every while: those that were rotated are on their way.
        401 => FailureClass::Retry,
        400 | 403 | 405 | 409 | 413 | 422 => FailureClass::Terminal,
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::FutureExt as _;
    use tower::{Layer as _, Service as _, ServiceExt as _};

    use super::*;

    /// Longer than the test.
    const LONG: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn more_requests_than_a_cluster_is_to_take_wait_their_turn() {
        let answer = tower::service_fn(async |()| Ok::<_, Infallible>(()));
        let mut service = limited(LONG).layer(answer);
        for _ in 0..REQUESTS_IN_SPAN {
            let ready = service.ready().now_or_never().expect("a burst goes through at once");
            ready.unwrap().call(()).await.unwrap();
        }
        assert!(service.ready().now_or_never().is_none(), "one more waits");
    }
}
