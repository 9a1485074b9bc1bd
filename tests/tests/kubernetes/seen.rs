//! What a developer sees of a workload on a real Kubernetes.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use domain::lifecycle::Command;
use domain::plan::Purpose;
use domain::{OutputValue, Resource, StreamId};
use futures::StreamExt as _;
use reconcilers::logs::LogError;
use reconcilers::secrets::{Secrets as _, Stores};
use reconcilers::{LogLine, LogQuery};
use serde_json::{Value, json};
use servers::kubernetes::{ControlPlane, Options};
use tests::{Plane, namespace};

/// How long a line may take.
const PATIENCE: Duration = Duration::from_secs(240);

fn control_plane() -> ControlPlane {
    ControlPlane::start(&Options { nodes: 1, entry: false, ..Options::default() })
}

async fn hello(plane: &Plane, folder: &Path, rest: &str) {
    let file = folder.join("hello.yaml");
    let text = format!("name: hello\nimage: registry.example/hello:1\nport: 8080\n{rest}");
    std::fs::write(&file, text).unwrap();
    plane.apply("hello", &[&file], &[]).await;
    plane.deliver("hello").await;
}

type Lines = futures::stream::BoxStream<'static, LogLine>;

async fn read(plane: &Plane, query: &LogQuery) -> Lines {
    let (tenant, name) = ("acme".parse().unwrap(), "dev_hello".parse().unwrap());
    let lines = plane.logs.read(&tenant, &name, Some("hello"), query).await.unwrap();
    lines
        .map(|(workload, line)| {
            assert_eq!(workload, "hello");
            line.unwrap_or_else(|error| LogLine::note(error.to_string()))
        })
        .boxed()
}

async fn all(plane: &Plane, query: LogQuery) -> Vec<LogLine> {
    read(plane, &query).await.collect().await
}

/// The next lines until so many pods have said a line.
async fn said(lines: &mut Lines, line: &str, pods: usize) -> BTreeSet<String> {
    let mut by = BTreeSet::new();
    let saying = async {
        while by.len() < pods {
            let found = lines.next().await.unwrap();
            if !found.note && found.text == line {
                assert!(by.insert(found.pod.clone().unwrap()), "said twice: {found:?}");
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, saying).await;
    assert!(found.is_ok(), "{line}: said by {by:?} alone");
    by
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_every_pod_are_read_and_those_that_a_rollout_brings_are_followed() {
    let cluster = control_plane();
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    hello(&plane, directory.path(), "replicas: 2\n").await;
    ["one", "two", "three"].iter().for_each(|line| cluster.write_log(line));
    cluster.write_log_before("the last words");

    let lines = all(&plane, LogQuery { tail: Some(2), ..LogQuery::default() }).await;
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["two", "three", "two", "three"]);
    let pods: BTreeSet<_> = lines.iter().map(|line| line.pod.clone().unwrap()).collect();
    assert_eq!(pods.len(), 2, "{pods:?}");
    assert!(lines.iter().all(|line| line.container.is_some() && line.time.is_some()));
    let before = all(&plane, LogQuery { previous: true, ..LogQuery::default() }).await;
    assert_eq!(before.len(), 2);
    assert!(before.iter().all(|line| line.text == "the last words" && !line.note));
    let none =
        all(&plane, LogQuery { container: Some("mian".into()), ..LogQuery::default() }).await;
    assert!(none[0].note && none[0].text.contains("no container `mian`: it has main"), "{none:?}");

    let query = LogQuery { tail: Some(1), follow: true, ..LogQuery::default() };
    let mut followed = read(&plane, &query).await;
    assert_eq!(said(&mut followed, "three", 2).await, pods);
    cluster.write_log("four");
    assert_eq!(said(&mut followed, "four", 2).await, pods);
    hello(&plane, directory.path(), "replicas: 2\nvariables: {MORE: '1'}\n").await;
    cluster.write_log("five");
    // The pods that went may have said it as well, and the new ones have said all of it.
    let mut by = BTreeSet::new();
    while by.difference(&pods).count() < 2 {
        by.extend(said(&mut followed, "five", 1).await);
    }
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_says_why() {
    let cluster = control_plane();
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    hello(&plane, directory.path(), "").await;
    let (tenant, name) = ("acme".parse().unwrap(), "dev_hello".parse().unwrap());
    let query = LogQuery::default();
    let missing = plane.logs.read(&tenant, &"dev_helo".parse().unwrap(), None, &query).await;
    assert!(matches!(missing, Err(LogError::NoDeployment(_))));
    let Err(wrong) = plane.logs.read(&tenant, &name, Some("web"), &query).await else {
        panic!("there is no such workload")
    };
    assert_eq!(wrong.to_string(), "dev_hello has no workload `web`: it has hello");

    let namespace = format!("--namespace={}", namespace("hello"));
    let _ = cluster.kubectl(&["delete", "pods", "--all", &namespace, "--wait=false"]);
    cluster.apiserver().kill9();
    let lines = all(&plane, LogQuery { follow: true, ..LogQuery::default() });
    let lines = tokio::time::timeout(PATIENCE, lines).await.unwrap();
    assert!(lines[0].note && lines[0].text.contains("cannot be re"), "{lines:?}");
    cluster.apiserver().start();
    plane.stop().await;
}

const HELLO: &str = "workload/dev_hello_hello";

/// The value of the password that a deployment's database has published.
async fn password(plane: &Plane) -> String {
    let Resource::Live(database) = plane.resource("database/dev_hello_db").await else {
        panic!("no database")
    };
    let OutputValue::Secret(reference) = &database.outputs["password"] else {
        panic!("the password is a secret")
    };
    Stores::new("nowhere".into()).read(reference).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_crashes_has_its_last_words_in_the_blocker_and_no_secret_in_them() {
    let cluster = control_plane();
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let uses = "variables: {PASSWORD: '${resources.db.password}'}\nresources: {db: postgres}\n";
    hello(&plane, directory.path(), uses).await;
    let value = password(&plane).await;
    cluster.write_log_before("starting");
    cluster.write_log_before(&format!("panic: the password {value} was refused"));
    let in_it = format!("--namespace={}", namespace("hello"));
    let pod = cluster.kubectl(&["get", "pods", &in_it, "--output=name"]);
    let ended = json!({ "reason": "Error", "exitCode": 2, "startedAt": null, "finishedAt": null });
    let waits = |message: &str| json!({ "reason": "CrashLoopBackOff", "message": message });
    let crash = |run: u32, message: &str| {
        let main = json!({ "name": "main", "image": "i", "imageID": "", "ready": false, "restartCount": run,
            "state": { "waiting": waits(message) }, "lastState": { "terminated": ended } });
        let unready = json!([{ "type": "Ready", "status": "False" }]);
        let patch = json!({ "status": { "containerStatuses": [main], "conditions": unready } });
        let patch = format!("--patch={patch}");
        let _ = cluster.kubectl(&[
            "patch",
            pod.trim(),
            &in_it,
            "--subresource=status",
            "--type=merge",
            &patch,
        ]);
    };
    crash(1, "back-off 10s");
    plane
        .until("its last words", async || {
            plane
                .blocker(HELLO)
                .await
                .contains("starting · panic: the password [secret] was refused")
        })
        .await;
    let words = plane.blocker(HELLO).await;
    assert!(
        words.contains("CrashLoopBackOff after Error (exit code 2); it wrote last: "),
        "{words}"
    );
    assert!(!words.contains(&value) && !words.contains("back-off"), "{words}");
    // In a log that is read there is none either.
    let before = all(&plane, LogQuery { previous: true, ..LogQuery::default() }).await;
    assert!(before.iter().any(|line| line.text == "panic: the password [secret] was refused"));
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_cluster_warns_of_is_noted_once() {
    let cluster = control_plane();
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let file = directory.path().join("hello.yaml");
    let text =
        "name: hello\nimage: registry.example/hello:1\nport: 8080\nrequests: {cpu: '4000'}\n";
    std::fs::write(&file, text).unwrap();
    plane.apply("hello", &[&file], &[]).await;
    plane.begin("hello", Purpose::Deploy).await;
    let warned = async || match plane.resource(HELLO).await {
        Resource::Live(body) => body.notices,
        Resource::Deleting(..) | Resource::Gone(_) | Resource::Absent => Vec::new(),
    };
    plane.until("the warning", async || !warned().await.is_empty()).await;
    let first = warned().await;
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(first[0].reason, "FailedScheduling");
    assert!(first[0].about.starts_with("Pod hello-"), "{first:?}");
    assert!(first[0].message.contains("Insufficient cpu"), "{first:?}");
    // Another pod in its place is warned of in the same words: that is not noted again.
    let in_it = format!("--namespace={}", namespace("hello"));
    let before = plane.blocker(HELLO).await;
    let _ = cluster.kubectl(&["delete", "pods", "--all", &in_it]);
    plane
        .until("the next pod", async || {
            let now = plane.blocker(HELLO).await;
            now != before && now.contains("Insufficient cpu")
        })
        .await;
    assert_eq!(warned().await, first);
    // It is over when it runs.
    std::fs::write(&file, text.replace("4000", "1")).unwrap();
    plane.apply("hello", &[&file], &[]).await;
    plane.deliver("hello").await;
    assert_eq!(warned().await, []);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalizer_that_holds_a_deletion_is_named_and_so_is_who_put_it_there() {
    let cluster = control_plane();
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    hello(&plane, directory.path(), "").await;
    let in_it = format!("--namespace={}", namespace("hello"));
    let finalizers = |what: &str, list: &str| {
        let patch = format!("--patch={{\"metadata\": {{\"finalizers\": {list}}}}}");
        let _ = cluster.kubectl(&["patch", what, &in_it, "--type=merge", &patch]);
    };
    finalizers("service/hello", "[\"example.com/hold\"]");
    // Somebody else's, in our namespace.
    let _ = cluster.kubectl(&["create", "configmap", "theirs", &in_it]);
    finalizers("configmap/theirs", "[\"example.com/keep\"]");
    plane.begin("hello", Purpose::Delete).await;
    let held = async |words: &str| plane.blocker(HELLO).await.contains(words);
    let named =
        "hello is held by the finalizer example.com/hold, which kubectl-patch put there, since 20";
    plane.until("the finalizer's name", async || held(named).await).await;
    finalizers("service/hello", "null");
    plane
        .until("what is left in the namespace", async || {
            held("is not gone, since 20").await && held("example.com/keep in 1 resource").await
        })
        .await;
    finalizers("configmap/theirs", "null");
    plane
        .until("the end", async || {
            plane.tree("hello").await.deployment.is_some_and(|row| row.phase == "deleted")
        })
        .await;
    let (status, _) =
        cluster.ask(&format!("GET /api/v1/namespaces/{}", namespace("hello")), &Value::Null);
    assert_eq!(status, 404);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_abandoned_in_a_lost_cluster_is_removed_when_that_is_found_again() {
    let cluster = control_plane();
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    hello(&plane, directory.path(), "").await;
    cluster.apiserver().kill9();
    plane.begin("hello", Purpose::Delete).await;
    plane
        .until("the deletion to wait", async || {
            matches!(plane.resource(HELLO).await, Resource::Deleting(..))
                && plane.blocker(HELLO).await.contains("cluster/real is not ready")
        })
        .await;
    let stream =
        StreamId::new("acme".parse().unwrap(), "workload", "dev_hello_hello".parse().unwrap());
    let abandon = Command::Abandon { reason: "the site burnt down".into(), at: tests::now() };
    plane.executor.execute::<Resource>(&stream.unwrap(), abandon, tests::context()).await.unwrap();
    plane
        .until("the end", async || {
            plane.tree("hello").await.deployment.is_some_and(|row| row.phase == "deleted")
        })
        .await;
    assert!(plane.noted(HELLO, "Abandoned").await.contains("the site burnt down"));
    plane.stop().await;

    cluster.apiserver().start();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    plane
        .until("the cluster to be found", async || plane.resource("cluster/real").await.is_ready())
        .await;
    // Nothing of it is written down: what is gone is gone.
    tokio::task::block_in_place(|| {
        servers::until("what was left to be removed", || {
            let mut command = std::process::Command::new(cluster.kubectl_program());
            command.arg(format!("--kubeconfig={}", cluster.kubeconfig_file().display()));
            command.args(["get", "namespace", &namespace("hello"), "--ignore-not-found"]);
            let output = command.output().unwrap();
            (output.status.success() && output.stdout.is_empty()).then_some(())
        });
    });
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_tried_and_who_comes_later_is_followed_as_well() {
    let cluster = ControlPlane::start(&Options { nodes: 1, ..Options::default() });
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let file = directory.path().join("hello.yaml");
    let apply = async |version: u32, rest: &str| {
        let text = format!(
            "name: hello\nworkloads:\n  hello:\n    image: registry.example/hello:{version}\n    port: 8080\n    \
             strategy: blue-green\n    resources: {{all: {{type: route, params: {{host: hello.test}}}}}}\n{rest}"
        );
        std::fs::write(&file, text).unwrap();
        plane.apply("hello", &[&file], &[]).await;
    };
    apply(1, "").await;
    plane.deliver("hello").await;
    let (tenant, name) = ("acme".parse().unwrap(), "dev_hello".parse().unwrap());
    let query = LogQuery { tail: Some(1), follow: true, ..LogQuery::default() };
    let mut lines = plane.logs.read(&tenant, &name, None, &query).await.unwrap();
    let mut saying = async |text: &str, by: &str, pods: usize| {
        let mut found = BTreeSet::new();
        while found.len() < pods {
            let (workload, line) =
                tokio::time::timeout(PATIENCE, lines.next()).await.unwrap().unwrap();
            let line = line.unwrap();
            if line.text == text && !line.note && workload == by {
                found.insert(line.pod.unwrap());
            }
        }
    };
    apply(2, "").await;
    plane.begin("hello", Purpose::Deploy).await;
    let tried = async || plane.blocker(HELLO).await.contains("has yet to be promoted");
    plane.until("it to be tried", tried).await;
    cluster.write_log("by both");
    saying("by both", "hello", 2).await;
    apply(1, "  later: {image: 'registry.example/later:1'}\n").await;
    plane.deliver("hello").await;
    cluster.write_log("by who came later");
    saying("by who came later", "later", 1).await;
    plane.stop().await;
}
