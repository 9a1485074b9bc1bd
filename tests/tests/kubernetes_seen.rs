//! What a developer sees of a workload on a real Kubernetes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "these are tests")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use reconcilers::logs::LogError;
use reconcilers::{LogLine, LogQuery};
use servers::kubernetes::{ControlPlane, Options};
use tests::Plane;

/// How long a line may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn control_plane() -> ControlPlane {
    ControlPlane::start(&Options { nodes: 1, ..Options::default() })
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

/// The namespace of a deployment of the tests' tenant.
fn namespace(application: &str) -> String {
    let id = format!("workload/dev_{application}_any").parse().unwrap();
    let tenant = "acme".parse().unwrap();
    kubernetes::labels::namespace(&reconcilers::Target { tenant, id, uid: uuid::Uuid::nil() })
}
