//! Bugs that a store of views can have, planted in front of a good one: the test of the views that names each finds it.
#![allow(clippy::wildcard_enum_match_arm, reason = "a bug concerns a call or two")]

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use domain::StreamId;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use projections::{
    Batch, Cells, Checkpoint, Recalled, SqliteViews, Statement, StoreError, ViewStore,
};

use crate::place::Place;
use crate::{past, rebuilding, running, watching};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Moves the checkpoint in a transaction of its own, before the rows: a crash in between loses them.
    CheckpointBeforeTheRows,
    /// Moves the checkpoint in a transaction of its own, after the rows: a crash in between doubles them.
    CheckpointAfterTheRows,
    /// Lets a runner write that another has followed.
    NoFencing,
    /// Lets two runners have the same right to write.
    ClaimTakesNothing,
    /// Says that a batch is written, and writes nothing.
    AcksBeforeTheRows,
    /// Does not say what the next commits continue.
    RecallsNothing,
    /// Answers what it answered the last time.
    AnswersOfBefore,
    /// Leaves out the last row of an answer.
    ShortAnswers,
    /// Does not say why a runner stopped.
    StopsSilently,
}

/// Ten times what the longest of the tests takes.
const PATIENCE: Duration = Duration::from_secs(120);

type Test = fn(&Place);

/// The test that names a bug.
const fn finder(bug: Bug) -> (&'static str, Test) {
    match bug {
        Bug::CheckpointBeforeTheRows
        | Bug::CheckpointAfterTheRows
        | Bug::AcksBeforeTheRows
        | Bug::RecallsNothing => {
            ("rebuild_equals_incremental", rebuilding::rebuild_equals_incremental)
        }
        Bug::NoFencing | Bug::ClaimTakesNothing => (
            "whoever_was_followed_by_another_writes_nothing",
            running::whoever_was_followed_by_another_writes_nothing,
        ),
        Bug::AnswersOfBefore => (
            "queries_are_answered_from_the_new_views_after_a_rebuild_and_the_runner_goes_on",
            rebuilding::queries_are_answered_from_the_new_views_after_a_rebuild_and_the_runner_goes_on,
        ),
        Bug::ShortAnswers => {
            ("pages_put_together_are_the_whole_list", past::pages_put_together_are_the_whole_list)
        }
        Bug::StopsSilently => (
            "a_replica_sees_the_position_the_changes_and_the_health_of_a_runner_elsewhere",
            watching::a_replica_sees_the_position_the_changes_and_the_health_of_a_runner_elsewhere,
        ),
    }
}

/// Views in SQLite, with a bug in front of them.
pub(crate) struct Buggy {
    bug: Bug,
    inner: SqliteViews,
    file: PathBuf,
    /// It has crashed between two transactions, which it does once.
    crashed: AtomicBool,
    answered: Mutex<HashMap<String, Vec<Vec<Cells>>>>,
}

impl Buggy {
    pub(crate) fn open(folder: &Path, bug: Bug) -> Self {
        let (crashed, answered) = Default::default();
        let inner = SqliteViews::open(folder).unwrap();
        Self { bug, inner, file: folder.join("views-1.db"), crashed, answered }
    }

    /// The outcome of two transactions, if it crashed after the first.
    fn crash(&self, undo: &str, before: i64) -> Result<(), StoreError> {
        if self.crashed.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let file = rusqlite::Connection::open(&self.file).unwrap();
        file.execute_batch(&undo.replace('?', &before.to_string())).unwrap();
        Err(StoreError::Unavailable { reason: "it crashed".into() })
    }

    async fn apply_in_parts(&self, epoch: i64, batch: Batch) -> Result<(), StoreError> {
        let before = self.inner.checkpoint().await?;
        let epoch = if self.bug == Bug::NoFencing { before.epoch } else { epoch };
        if self.bug != Bug::AcksBeforeTheRows {
            self.inner.apply(epoch, batch).await?;
        }
        match self.bug {
            Bug::CheckpointBeforeTheRows => self.crash(
                "DELETE FROM versions WHERE from_position > ?; DELETE FROM activity WHERE position > ?",
                before.position,
            ),
            Bug::CheckpointAfterTheRows => {
                self.crash("UPDATE checkpoint SET pos = ?", before.position)
            }
            _ => Ok(()),
        }
    }
}

impl ViewStore for Buggy {
    fn claim(&self) -> BoxFuture<'_, Result<Checkpoint, StoreError>> {
        if self.bug == Bug::ClaimTakesNothing {
            self.inner.checkpoint()
        } else {
            self.inner.claim()
        }
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<Checkpoint, StoreError>> {
        self.inner.checkpoint()
    }

    fn apply(&self, epoch: i64, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>> {
        self.apply_in_parts(epoch, batch).boxed()
    }

    fn select<'a>(
        &'a self,
        statements: &'a [Statement],
    ) -> BoxFuture<'a, Result<Vec<Vec<Cells>>, StoreError>> {
        async move {
            let mut answers = self.inner.select(statements).await?;
            if self.bug == Bug::ShortAnswers {
                answers.iter_mut().filter(|rows| rows.len() > 1).for_each(|rows| drop(rows.pop()));
            }
            if self.bug == Bug::AnswersOfBefore {
                let mut answered = self.answered.lock().unwrap();
                return Ok(answered.entry(format!("{statements:?}")).or_insert(answers).clone());
            }
            Ok(answers)
        }
        .boxed()
    }

    fn recall<'a>(
        &'a self,
        streams: &'a [StreamId],
    ) -> BoxFuture<'a, Result<Recalled, StoreError>> {
        async move {
            let recalled = self.inner.recall(streams).await?;
            Ok(if self.bug == Bug::RecallsNothing { Recalled::default() } else { recalled })
        }
        .boxed()
    }

    fn stop<'a>(&'a self, epoch: i64, reason: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        if self.bug == Bug::StopsSilently {
            return ready(Ok(())).boxed();
        }
        self.inner.stop(epoch, reason)
    }

    fn beside(&self) -> BoxFuture<'_, Result<std::sync::Arc<dyn ViewStore>, StoreError>> {
        self.inner.beside()
    }

    fn promote(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.promote()
    }
}

#[test]
fn every_planted_bug_is_found_by_the_test_that_names_it() {
    let bugs = [
        Bug::CheckpointBeforeTheRows,
        Bug::CheckpointAfterTheRows,
        Bug::NoFencing,
        Bug::ClaimTakesNothing,
        Bug::AcksBeforeTheRows,
        Bug::RecallsNothing,
        Bug::AnswersOfBefore,
        Bug::ShortAnswers,
        Bug::StopsSilently,
    ];
    let begun = bugs.map(|bug| {
        let (ended, end) = channel();
        std::thread::spawn(move || {
            let place = Place::planted(bug);
            let found = catch_unwind(AssertUnwindSafe(|| finder(bug).1(&place))).is_err();
            ended.send(found)
        });
        (bug, end)
    });
    let until = Instant::now() + PATIENCE;
    for (bug, end) in begun {
        // A test that waits for what never comes has found it too.
        let found = end.recv_timeout(until.saturating_duration_since(Instant::now()));
        assert!(found.unwrap_or(true), "{bug:?} is not found by {}", finder(bug).0);
    }
}
