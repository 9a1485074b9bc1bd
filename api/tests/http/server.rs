//! A server on a free port, before a log in memory.

use std::sync::Arc;
use std::time::Duration;

use api::{Durability, Plane, Probed, Simulate, SimulateError, Token, Tokens, WorldFault};
use domain::{ResourceId, Tenant, catalogue};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use journal::memory::MemoryJournal;
use journal::{Executor, Journal};
use projections::Views;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Long enough for anything here; a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server. Dropping it stops it.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) executor: Executor,
    pub(crate) views: Views,
    http: reqwest::Client,
    closing: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.send_replace(true);
    }
}

/// A world without objects.
struct Empty;

impl Simulate for Empty {
    fn fault<'a>(
        &'a self,
        id: &'a ResourceId,
        _: WorldFault,
    ) -> BoxFuture<'a, Result<(), SimulateError>> {
        std::future::ready(Err(SimulateError::NotFound(id.clone()))).boxed()
    }
}

impl Server {
    /// Starts one, with the shipped classes and environments defined.
    pub(crate) async fn start() -> Self {
        Self::with_views_of(|journal| journal).await
    }

    /// Starts one whose views are kept from the log as somebody else sees it.
    pub(crate) async fn with_views_of(
        seen: impl FnOnce(Arc<dyn Journal>) -> Arc<dyn Journal>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
        let executor = Executor::new(Arc::clone(&journal));
        let views = Views::open_sqlite(&folder.path().join("views")).await.unwrap();
        let tenant: Tenant = "default".parse().unwrap();
        let token = Token::generate();
        let mut tokens = Tokens::default();
        tokens.accept(&token, "anna").unwrap();
        let closing = watch::Sender::new(false);
        let probed = Probed {
            executor: executor.clone(),
            views: Some(views.clone()),
            durability: Durability::ProcessCrash,
            tokens: Arc::new(tokens),
            numbers: Arc::new(String::new),
            stopped: watch::Sender::default().subscribe(),
            closing: closing.subscribe(),
        };
        let plane = Plane::over(probed, views.clone(), tenant, Some(Arc::new(Empty)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(projections::run(
            seen(journal),
            views.clone(),
            api::closed(closing.subscribe()),
        ));
        tokio::spawn(api::serve(listener, api::router(plane), closing.subscribe()));
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let server = Self {
            url,
            token: token.reveal().into(),
            executor,
            views,
            http,
            closing,
            _folder: folder,
        };
        server.define().await;
        server
    }

    async fn define(&self) {
        let shipped = catalogue::shipped().unwrap();
        for class in shipped.classes {
            let key = class.name().unwrap().to_string();
            let input = json!({ "idempotencyKey": key, "definition": class });
            self.change("classDefine", "ClassDefineInput", input, "version").await;
        }
        for environment in shipped.environments {
            let key = environment.name.clone();
            let input = json!({ "idempotencyKey": key, "definition": environment });
            self.change("environmentDefine", "EnvironmentDefineInput", input, "version").await;
        }
    }

    /// A request with the token, not yet sent.
    pub(crate) fn request(&self, body: &Value) -> RequestBuilder {
        self.bare()
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// A request without anything.
    pub(crate) fn bare(&self) -> RequestBuilder {
        self.http.post(format!("{}/graphql", self.url))
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> Response {
        let request = self.http.get(format!("{}{path}", self.url));
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        request.send().await.unwrap()
    }

    /// Asks, and gives the whole answer.
    pub(crate) async fn ask(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        json_of(self.request(&body).send().await.unwrap()).await
    }

    /// Changes something, and gives the payload: some of its fields, its errors and its position.
    pub(crate) async fn change(
        &self,
        name: &str,
        input_type: &str,
        input: Value,
        fields: &str,
    ) -> Value {
        let query = format!(
            "mutation($input: {input_type}!) {{ {name}(input: $input) {{ {fields} unchanged position commandId \
             userErrors {{ code path message hint }} }} }}"
        );
        let mut answer = self.ask(&query, json!({ "input": input })).await;
        assert!(answer.get("errors").is_none(), "{answer}");
        answer["data"][name].take()
    }
}

pub(crate) async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// An application of one workload.
pub(crate) fn files(image: &str) -> Value {
    json!([{ "path": "app.yaml", "text": format!("name: shop\nimage: {image}\nport: 8080\n") }])
}
