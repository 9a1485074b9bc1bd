//! What must be true after every failure, looked up in the files while no server runs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt as _;
use journal::sqlite::SqliteJournal;
use journal::{Journal, Position, Recorded};
use projections::{ROWS, SqliteViews, Statement, ViewStore as _, Views};
use uuid::Uuid;

use crate::load::Acknowledged;

/// Opens the log, which must be whole, and looks up everything that was acknowledged. Gives how long the log is.
pub(crate) async fn log_holds(folder: &Path, acknowledged: &[Acknowledged]) -> usize {
    let journal = SqliteJournal::open(folder).unwrap();
    journal::verify(&journal).await.unwrap();
    let head = journal.head().await.unwrap();
    let all: Vec<Recorded> = journal
        .follow(Position::START)
        .take(usize::try_from(head.get()).unwrap())
        .map(|recorded| recorded.expect("the log was verified"))
        .collect()
        .await;
    for (number, recorded) in (1..).zip(&all) {
        assert_eq!(recorded.position.get(), number, "the log has a gap");
    }
    let mut first: HashMap<Uuid, u64> = HashMap::new();
    for recorded in all.iter().rev() {
        first.insert(recorded.sealed.commit.correlation_id, recorded.position.get());
    }
    for one in acknowledged.iter().filter(|one| !one.unchanged) {
        let stored = first.get(&one.command);
        let there = stored.is_some_and(|stored| *stored <= one.position);
        assert!(there && one.position <= head.get(), "acknowledged, and lost: {one:?}, {stored:?}");
    }
    all.len()
}

/// The views, brought up to the end of the log as a server does that starts, are those that a fresh fold gives.
pub(crate) async fn views_are_the_fold(log: &Path, views: &Path) {
    let fresh = tempfile::tempdir().unwrap();
    let (incremental, fold) = (rows(log, views).await, rows(log, fresh.path()).await);
    assert_eq!(incremental.len(), fold.len(), "the views have other rows than the log gives");
    for (shown, told) in incremental.iter().zip(&fold) {
        assert_eq!(shown, told, "the views show what the log does not tell");
    }
}

async fn rows(log: &Path, folder: &Path) -> Vec<String> {
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open(log).unwrap());
    let head = journal.head().await.unwrap();
    let views = Views::open_sqlite(folder).await.unwrap();
    let mut status = views.status();
    let reached = async move {
        status.wait_for(|status| status.position >= head).await.unwrap();
    };
    projections::run(journal, views, reached).await.unwrap();
    let store = SqliteViews::open(folder).unwrap();
    let statement = |text: &'static str| Statement { text: text.into(), values: vec![] };
    let answers = store.select(&ROWS.map(statement)).await.unwrap();
    answers.into_iter().flatten().map(|cells| format!("{cells:?}")).collect()
}
