//! How a bucket is reached: HTTP 1.1, TLS by rustls with the certificates that the system trusts.
//!
//! `SSL_CERT_FILE` names others, for a store with a certificate of its own.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use crate::target::Unavailable;

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long an answer may take to begin: a segment of 64 MiB is sent in that time at 5 Mbit/s.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// How long a connection is kept that nobody uses: S3 closes its own after some 20 s.
const IDLE_MAX: Duration = Duration::from_secs(15);

/// Makes clients.
#[derive(Debug)]
pub(super) struct Connector(ClientConfig);

impl Connector {
    pub(super) fn new() -> Result<Self, Unavailable> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Unavailable::new)?;
        Ok(Self(tls.with_root_certificates(roots).with_no_client_auth()))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let plain = options.get_config_value(&ClientConfigKey::AllowHttp);
        let mut tcp = Tcp::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_MAX));
        let schemes = HttpsConnectorBuilder::new().with_tls_config(self.0.clone());
        let schemes = match plain.as_deref() {
            Some("true") => schemes.https_or_http(),
            Some(_) | None => schemes.https_only(),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .build(schemes.enable_http1().wrap_connector(tcp));
        Ok(HttpClient::new(Http(client)))
    }
}

#[derive(Clone, Debug)]
struct Http(Client<HttpsConnector<Tcp>, HttpRequestBody>);

/// Nobody answered in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {ANSWER_MAX:?}")]
struct Silence;

impl HttpService for Http {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> BoxFuture<'b, Result<HttpResponse, HttpError>>
    where
        'a: 'b,
        Self: 'b,
    {
        async move {
            let answer = timeout(ANSWER_MAX, self.0.request(request)).await;
            let answer = answer.map_err(|_| HttpError::new(HttpErrorKind::Timeout, Silence))?;
            let answer = answer.map_err(|error| {
                // What was sent on a connection that broke may have had its effect.
                let connecting = error.is_connect();
                let kind =
                    if connecting { HttpErrorKind::Connect } else { HttpErrorKind::Interrupted };
                HttpError::new(kind, error)
            })?;
            Ok(answer.map(|body| {
                HttpResponseBody::new(
                    body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error)),
                )
            }))
        }
        .boxed()
    }
}
