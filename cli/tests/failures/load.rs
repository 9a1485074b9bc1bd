//! Clients that follow the retry rules: whatever happens, repeat with the same key until there is an answer.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::{RwLock, RwLockWriteGuard, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use uuid::Uuid;

/// How many clients there are. Each has an application of its own.
const CLIENTS: usize = 4;
/// How long a client waits for an answer before it repeats its request.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a client waits before it repeats a request that failed.
const AGAIN: Duration = Duration::from_millis(20);
/// How often a client asks for something: logs stay short enough to be looked through after each failure.
const TURN: Duration = Duration::from_millis(25);
/// How long anything may take that the load is waited for.
const PATIENCE: Duration = Duration::from_secs(240);
/// Every so many requests the application is deployed; the others record a revision of it.
const DEPLOY_EVERY: u64 = 5;
/// Every so many requests its deployment is taken down.
const DELETE_EVERY: u64 = 33;
/// Every so many acknowledgements the request is repeated at once.
const REPEAT_EVERY: u64 = 4;

/// A request that was carried out, and what was said of it.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    body: Value,
    /// Names the request in the log.
    pub(crate) command: Uuid,
    /// The log has it there or before: views at this position show it.
    pub(crate) position: u64,
    /// Whether there was anything to do.
    pub(crate) unchanged: bool,
}

/// What came back.
enum Answer {
    Acknowledged(Acknowledged),
    /// Refused in the user's words, such as one rollout while another runs.
    Refused,
    /// Not now; the same again may succeed.
    Retriable,
    /// What no client should see.
    Wrong(String),
}

/// The clients, running. Dropping it ends them.
pub(crate) struct Load {
    shared: Arc<Shared>,
    _clients: JoinSet<()>,
}

struct Shared {
    http: Client,
    /// The servers that a client may ask; one that does not answer is not asked again at once.
    urls: Vec<String>,
    token: String,
    /// Held by each client while a request of its is open.
    gate: RwLock<()>,
    acknowledged: watch::Sender<Vec<Acknowledged>>,
    retried: watch::Sender<u64>,
    refused: AtomicU64,
    /// Which server the next request goes to first.
    turn: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl Load {
    /// Lets the clients loose on some servers.
    pub(crate) fn start(urls: &[String], token: &str) -> Self {
        let shared = Arc::new(Shared {
            http: Client::builder().no_proxy().timeout(ANSWER).build().unwrap(),
            urls: urls.iter().map(|url| format!("{url}/graphql")).collect(),
            token: token.to_owned(),
            gate: RwLock::new(()),
            acknowledged: watch::Sender::default(),
            retried: watch::Sender::default(),
            refused: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
            wrong: Mutex::default(),
        });
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let shared = Arc::clone(&shared);
            clients.spawn(async move { shared.client(number).await });
        }
        Self { shared, _clients: clients }
    }

    /// How many requests were acknowledged so far.
    pub(crate) fn count(&self) -> usize {
        self.shared.acknowledged.borrow().len()
    }

    /// How many requests were refused so far in the user's words.
    pub(crate) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// How many tries failed so far in a way that allows another.
    pub(crate) fn retried(&self) -> u64 {
        *self.shared.retried.borrow()
    }

    /// Waits until so many requests more are acknowledged.
    pub(crate) async fn acknowledged_more(&self, more: usize) {
        let wanted = self.count() + more;
        let mut acknowledged = self.shared.acknowledged.subscribe();
        let waited = timeout(PATIENCE, acknowledged.wait_for(|all| all.len() >= wanted)).await;
        assert!(waited.is_ok(), "no progress: {} of {wanted} acknowledged", self.count());
    }

    /// Waits until so many tries more have failed: what was done to the server is felt.
    pub(crate) async fn retried_more(&self, more: u64) {
        let wanted = self.retried() + more;
        let mut retried = self.shared.retried.subscribe();
        let waited = timeout(PATIENCE, retried.wait_for(|count| *count >= wanted)).await;
        assert!(waited.is_ok(), "nobody feels the failure");
    }

    /// Waits until every open request is answered, and lets no other begin as long as the guard lives.
    pub(crate) async fn still(&self) -> RwLockWriteGuard<'_, ()> {
        timeout(PATIENCE, self.shared.gate.write()).await.expect("requests end")
    }

    /// Everything that was acknowledged.
    pub(crate) fn acknowledged(&self) -> Vec<Acknowledged> {
        self.shared.acknowledged.borrow().clone()
    }

    /// Repeats a request that was acknowledged; the answer must be the same.
    pub(crate) async fn repeat(&self, before: &Acknowledged) {
        self.shared.repeat(before).await;
        self.assert_nothing_wrong();
    }

    /// Ends the test if a client saw what none should see.
    #[track_caller]
    pub(crate) fn assert_nothing_wrong(&self) {
        let wrong = self.shared.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

impl Shared {
    async fn client(&self, number: usize) {
        let application = format!("load{number}");
        let mut turns = interval(TURN);
        for count in 1.. {
            turns.tick().await;
            let open = self.gate.read().await;
            let body = request(&application, count);
            let answer = self.until_answered(&body).await;
            if let Some(acknowledged) = answer {
                if count % REPEAT_EVERY == 0 {
                    self.repeat(&acknowledged).await;
                }
                self.acknowledged.send_modify(|all| all.push(acknowledged));
            }
            drop(open);
        }
    }

    /// Repeats until the request is carried out or refused.
    async fn until_answered(&self, body: &Value) -> Option<Acknowledged> {
        let mut again = interval(AGAIN);
        for attempt in self.turn.fetch_add(1, Ordering::Relaxed).. {
            again.tick().await;
            match self.ask(&self.urls[attempt % self.urls.len()], body).await {
                Answer::Acknowledged(acknowledged) => return Some(acknowledged),
                Answer::Refused => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    return None;
                }
                Answer::Retriable => self.retried.send_modify(|count| *count += 1),
                Answer::Wrong(what) => {
                    self.wrong.lock().unwrap().push(what);
                    return None;
                }
            }
        }
        None
    }

    async fn repeat(&self, before: &Acknowledged) {
        let again = self.until_answered(&before.body).await;
        let same = again.as_ref().is_some_and(|again| {
            (again.command, again.position) == (before.command, before.position)
        });
        if !same {
            let what = format!("repeated, {before:?} became {again:?}");
            self.wrong.lock().unwrap().push(what);
        }
    }

    async fn ask(&self, url: &str, body: &Value) -> Answer {
        let request = self.http.post(url).bearer_auth(&self.token).json(body);
        let Ok(response) = request.send().await else { return Answer::Retriable };
        let status = response.status();
        let Ok(answer) = response.json::<Value>().await else {
            return Answer::Retriable;
        };
        if let Some(error) = answer.pointer("/errors/0") {
            let code = error.pointer("/extensions/code").and_then(Value::as_str);
            return match code {
                Some("UNAVAILABLE" | "NOT_YET_VISIBLE") => Answer::Retriable,
                Some(_) | None => Answer::Wrong(format!("{status}: {error}\n  to {body}")),
            };
        }
        read(body, &answer).unwrap_or_else(|| Answer::Wrong(format!("{status}: {answer}")))
    }
}

fn read(body: &Value, answer: &Value) -> Option<Answer> {
    let payload = answer.get("data")?.as_object()?.values().next()?;
    if !payload.get("userErrors")?.as_array()?.is_empty() {
        return Some(Answer::Refused);
    }
    Some(Answer::Acknowledged(Acknowledged {
        body: body.clone(),
        command: payload.get("commandId")?.as_str()?.parse().ok()?,
        position: payload.get("position")?.as_str()?.parse().ok()?,
        unchanged: payload.get("unchanged")?.as_bool()?,
    }))
}

/// What a client asks for at its so-manieth turn.
fn request(application: &str, count: u64) -> Value {
    let key = Uuid::now_v7();
    let (field, input, rest) = if count.is_multiple_of(DELETE_EVERY) {
        let deployment = format!("dev_{application}");
        ("deploymentDelete", "DeploymentDeleteInput", json!({ "deployment": deployment }))
    } else if count.is_multiple_of(DEPLOY_EVERY) {
        let what = json!({ "application": application, "environment": "dev" });
        ("deploymentDeploy", "DeploymentDeployInput", what)
    } else {
        let text = format!("name: {application}\nimage: load/web:{count}\nport: 8080\n");
        let files = json!([{ "path": "app.yaml", "text": text }]);
        ("applicationApply", "ApplicationApplyInput", json!({ "files": files }))
    };
    let mut variables = rest;
    variables["idempotencyKey"] = json!(key);
    let query = format!(
        "mutation($input: {input}!) {{ {field}(input: $input) \
         {{ commandId position unchanged userErrors {{ code }} }} }}"
    );
    json!({ "query": query, "variables": { "input": variables } })
}
