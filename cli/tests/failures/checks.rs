//! What must be true after every failure, looked up in the files while no server runs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt as _;
use journal::sqlite::SqliteJournal;
use journal::{Journal, Position, Recorded};
use projections::{ROWS, SqliteViews, Statement, ViewStore, Views};
use uuid::Uuid;

use crate::load::Acknowledged;

/// Looks through the log, which must be whole, and looks up everything that was acknowledged. Gives its length.
pub(crate) async fn log_holds(journal: &dyn Journal, acknowledged: &[Acknowledged]) -> usize {
    journal::verify(journal).await.unwrap();
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

/// The log of a data folder.
pub(crate) fn embedded(folder: &Path) -> Arc<dyn Journal> {
    Arc::new(SqliteJournal::open(folder).unwrap())
}

/// The views, brought up to the end of the log as a server does that starts, are those that a fresh fold gives.
pub(crate) async fn views_are_the_fold(log: &Path, views: &Path) {
    let journal = embedded(log);
    let incremental = followed(&journal, views).await;
    are_the_fold(&incremental, &fold(&journal).await);
}

/// The rows of all views, and the position that they show.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) position: i64,
    pub(crate) rows: Vec<String>,
}

/// What views hold that were brought up to the end of the log somehow is what a fresh fold gave.
pub(crate) fn are_the_fold(incremental: &Shown, fold: &Shown) {
    assert_eq!(incremental.position, fold.position, "two different moments");
    let missing = fold.rows.iter().find(|row| incremental.rows.binary_search(row).is_err());
    assert_eq!(missing, None, "the views lack what the log tells");
    let besides = incremental.rows.iter().find(|row| fold.rows.binary_search(row).is_err());
    assert_eq!(besides, None, "the views show what the log does not tell");
    assert_eq!(incremental.rows.len(), fold.rows.len(), "the views show something twice");
}

/// What a fresh fold of the whole log gives.
pub(crate) async fn fold(journal: &Arc<dyn Journal>) -> Shown {
    let fresh = tempfile::tempdir().unwrap();
    followed(journal, fresh.path()).await
}

/// Brings views up to the end of the log, and gives what they hold.
async fn followed(journal: &Arc<dyn Journal>, folder: &Path) -> Shown {
    let head = journal.head().await.unwrap();
    let views = Views::open_sqlite(folder).await.unwrap();
    let mut status = views.status();
    let reached = async move {
        status.wait_for(|status| status.position >= head).await.unwrap();
    };
    projections::run(Arc::clone(journal), views, reached).await.unwrap();
    let store = SqliteViews::open(folder).unwrap();
    let position = store.checkpoint().await.unwrap().position;
    Shown { position, rows: rows(&store).await }
}

/// Every row of every view, in the same order whatever the store's.
pub(crate) async fn rows(views: &dyn ViewStore) -> Vec<String> {
    let statement = |text: &'static str| Statement { text: text.into(), values: vec![] };
    let answers = views.select(&ROWS.map(statement)).await.unwrap();
    let mut rows: Vec<String> = Vec::new();
    for (view, cells) in answers.into_iter().enumerate() {
        rows.extend(cells.into_iter().map(|cells| format!("{view}: {cells:?}")));
    }
    rows.sort();
    rows
}
