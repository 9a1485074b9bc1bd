//! What an older Cairn did not understand is listed, and shown again by a newer one.

use std::sync::Arc;

use journal::jetstream::{JetStreamJournal, Options};
use journal::sqlite::SqliteJournal;
use journal::testing::{Older, commit};
use journal::{Journal, Token};
use projections::Views;
use serde_json::Value;
use servers::http;
use servers::nats::{self, Nats};
use servers::postgres::Postgres;
use servers::until;
use tokio::runtime::Runtime;

use crate::plane::Plane;

const DEV: &str = "ev.default.environment.dev";

/// The views of a program that came before whatever is defined.
async fn shown_by_an_older_program(journal: Arc<dyn Journal>, views: Views) {
    let head = journal.head().await.unwrap();
    let mut status = views.status();
    let reached = async move {
        status.wait_for(|status| status.position >= head).await.unwrap();
    };
    let older = Arc::new(Older::new(journal, "Defined"));
    projections::run(older, views, reached).await.unwrap();
}

/// Runs a command in the plane's folder; gives its exit code, its data and its talk.
fn runs(plane: &Plane, line: &str) -> (Option<i32>, String, String) {
    let mut command = plane.command(env!("CARGO_BIN_EXE_cairn"));
    command.args(line.split(' ').skip(1)).current_dir(plane.folder.path());
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn says(plane: &Plane, line: &str) -> String {
    let (code, said, talk) = runs(plane, line);
    assert_eq!(code, Some(0), "{line}: {said}{talk}");
    said
}

#[track_caller]
fn refuses(plane: &Plane, line: &str, exit: i32, expected: &str) {
    let (code, said, talk) = runs(plane, line);
    assert_eq!(code, Some(exit), "{line}: {said}{talk}");
    assert!(talk.contains(expected), "{line}: {talk}");
}

fn streams(json: &str) -> Vec<String> {
    let rows: Vec<Value> = serde_json::from_str(json).unwrap();
    rows.iter().map(|row| row["stream"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_stream_comes_back_beside_a_running_server() {
    let nats = Nats::start(&nats::Options { sync_always: true, ..nats::Options::default() });
    let postgres = Postgres::shared();
    let settings = |database: &str| {
        let journal = format!("--journal={}?monitor={}", nats.url(), nats.monitor_url());
        vec![journal, format!("--views={}", postgres.url_of(database))]
    };
    let mut plane = Plane::new(200);
    plane.settings = settings(&postgres.create_database());
    plane.start();
    let shows = |plane: &Plane| plane.data_of(&["get", "environments"]).contains("dev");
    until("the views of a new server", || shows(&plane).then_some(()));
    assert!(plane.stop());

    let database = postgres.create_database();
    Runtime::new().unwrap().block_on(async {
        let journal = JetStreamJournal::open(&Options::new(vec![nats.url()])).await.unwrap();
        let views = Views::open_postgres(&postgres.url_of(&database)).await.unwrap();
        shown_by_an_older_program(Arc::new(journal), views).await;
    });
    plane.settings = settings(&database);
    plane.start();
    assert!(!shows(&plane), "it is not shown");
    let (_, ready) = http::get(plane.port, "/readyz?verbose").unwrap();
    assert!(ready.contains("quarantine"), "{ready}");

    let stores = plane.settings.join(" ");
    let list = says(&plane, &format!("cairn admin quarantine {stores}"));
    let line = list.lines().find(|line| line.starts_with(DEV)).unwrap();
    assert!(line.contains("`Defined` of schema 9"), "{line}");
    let redrive = format!("cairn admin redrive {DEV} {stores}");
    let said = says(&plane, &redrive);
    assert!(said.starts_with(&format!("{DEV} is shown again: 1 commit, up to ")), "{said}");
    assert!(shows(&plane), "the server shows it");
    refuses(&plane, &redrive, 4, "is not in quarantine");

    let list = format!("cairn admin quarantine -o json {stores}");
    let held = streams(&says(&plane, &list));
    assert!(!held.is_empty() && !held.contains(&DEV.to_owned()), "{held:?}");
    let driven = says(&plane, &format!("cairn admin redrive --all -o json {stores}"));
    assert_eq!(streams(&driven), held);
    assert_eq!(says(&plane, &list).trim(), "[]");
    let (_, ready) = http::get(plane.port, "/readyz?verbose").unwrap();
    assert!(!ready.contains("quarantine"), "{ready}");
    assert!(plane.stop());
}

#[test]
fn what_is_still_not_understood_stays_and_the_rest_is_shown() {
    let mut plane = Plane::up(200);
    refuses(&plane, "cairn admin quarantine --data-dir data", 7, "cannot use data/log");
    assert!(plane.stop());
    let data = plane.data();
    std::fs::remove_dir_all(data.join("views")).unwrap();
    Runtime::new().unwrap().block_on(async {
        let journal = Arc::new(SqliteJournal::open(&data.join("log")).unwrap());
        let unknown = "ev.default.spell.cast".parse().unwrap();
        journal.append(Token::EMPTY, commit(&unknown, 1, None, &[1])).await.unwrap();
        let views = Views::open_sqlite(&data.join("views")).await.unwrap();
        shown_by_an_older_program(journal, views).await;
    });
    let spell = "cairn admin redrive ev.default.spell.cast --data-dir data";
    refuses(&plane, spell, 1, "still cannot be shown, at position");
    refuses(&plane, "cairn admin redrive --data-dir data", 2, "STREAM");
    refuses(&plane, "cairn admin redrive nonsense --data-dir data", 2, "nonsense");
    let all = "cairn admin redrive --all --data-dir data";
    refuses(&plane, all, 1, "stay in quarantine");
    let left = says(&plane, "cairn admin quarantine -o json --data-dir data");
    assert_eq!(streams(&left), ["ev.default.spell.cast"]);
    plane.start();
    assert!(plane.data_of(&["get", "environments"]).contains("dev"));
    assert!(plane.stop());
}
