//! Bugs that a log can have, planted in front of a good one: the test of the contract that names each finds it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a bug concerns a call or two")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use domain::StreamId;
use domain::commit::Sealed;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use journal::conformance::{self as contract, Store};
use journal::sqlite::SqliteJournal;
use journal::{AppendError, Appended, Journal, JournalError, Loaded, Position, Recorded, Token};
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    /// Acknowledges, and stores nothing.
    AcksBeforeTheAppend,
    /// Acknowledges what has lost the race, without a look at what is there.
    IgnoresTheToken,
    /// Compares with the end of the log, not of the stream.
    TakesTheHeadForTheToken,
    /// Does not read back after a conflict: a repetition is refused.
    NoReadBack,
    /// Says of a repetition that it was stored.
    RepetitionUnnoticed,
    /// Gives a repetition a position of its own.
    RepetitionMoves,
    /// Refuses what does not continue its stream as if it had lost a race.
    TakesAGapForAConflict,
    /// Does not know the ids of other streams.
    IdsOfOneStreamOnly,
    /// A follower misses a commit.
    FollowerSkips,
    /// A follower gets a commit twice.
    FollowerRepeats,
    /// A follower gets the history, and nothing after it.
    FollowerEnds,
    /// A follower begins at the beginning, wherever it was.
    FollowerForgets,
    /// A follower that is ahead of the log is not told.
    FollowerOfALostLog,
    /// A read is one commit behind.
    StaleRead,
    /// A read gives all, whatever is known already.
    ReadsFromTheStart,
    /// The end of the log is one commit behind.
    StaleHead,
    /// The end of a stream is not known.
    TokenUnknown,
    /// What was written is gone after a restart.
    Forgets,
}

/// A log in a folder, with a bug in front of it.
struct Planted(Bug, tempfile::TempDir);

impl Store for Planted {
    fn open(&self) -> Arc<dyn Journal> {
        if self.0 == Bug::Forgets {
            for entry in std::fs::read_dir(self.1.path()).unwrap() {
                std::fs::remove_file(entry.unwrap().path()).unwrap();
            }
        }
        Arc::new(Buggy(self.0, Arc::new(SqliteJournal::open(self.1.path()).unwrap())))
    }
}

struct Buggy(Bug, Arc<SqliteJournal>);

impl Buggy {
    fn is(&self, bug: Bug) -> bool {
        self.0 == bug
    }

    /// What a follower has to be given at once.
    fn history(&self, after: Position) -> BoxStream<'static, Result<Recorded, JournalError>> {
        let head = futures::executor::block_on(self.1.head()).unwrap().get();
        let count = usize::try_from(head.saturating_sub(after.get())).unwrap();
        self.1.follow(after).take(count).boxed()
    }

    async fn spoil(&self, expected: Token, sealed: Arc<Sealed>) -> Result<Appended, AppendError> {
        let head = self.1.head().await.unwrap();
        let stream = sealed.commit.stream.clone();
        let (id, before) = (sealed.commit.commit_id, self.1.load(&stream, 0).await.unwrap());
        let known = before.commits.iter().any(|it| it.sealed.commit.commit_id == id);
        let conflict = || AppendError::Conflict { expected, actual: before.token };
        if self.is(Bug::AcksBeforeTheAppend) {
            return Ok(Appended { position: Position::new(head.get() + 1), repeated: false });
        }
        if self.is(Bug::TakesTheHeadForTheToken) && expected != Token::at(head) && !known {
            return Err(conflict());
        }
        match self.1.append(expected, sealed).await {
            Ok(it) if it.repeated && self.is(Bug::NoReadBack) => Err(conflict()),
            Ok(it) if it.repeated && !known && self.is(Bug::IdsOfOneStreamOnly) => {
                Ok(Appended { position: Position::new(head.get() + 1), repeated: false })
            }
            Ok(it) if self.is(Bug::RepetitionUnnoticed) => Ok(Appended { repeated: false, ..it }),
            Ok(it) if it.repeated && self.is(Bug::RepetitionMoves) => {
                Ok(Appended { position: head, ..it })
            }
            Err(AppendError::Conflict { .. }) if self.is(Bug::IgnoresTheToken) => {
                Ok(Appended { position: head, repeated: false })
            }
            Err(AppendError::Discontinuous(_)) if self.is(Bug::TakesAGapForAConflict) => {
                Err(conflict())
            }
            answer => answer,
        }
    }
}

impl Journal for Buggy {
    fn load<'a>(
        &'a self,
        stream: &'a StreamId,
        after: u64,
    ) -> BoxFuture<'a, Result<Loaded, JournalError>> {
        async move {
            let after = if self.is(Bug::ReadsFromTheStart) { 0 } else { after };
            let mut loaded = self.1.load(stream, after).await?;
            if self.is(Bug::StaleRead) && loaded.commits.len() > 1 {
                loaded.commits.pop();
                loaded.token = Token::at(loaded.commits.last().unwrap().position);
            }
            Ok(loaded)
        }
        .boxed()
    }

    fn append(
        &self,
        expected: Token,
        sealed: Arc<Sealed>,
    ) -> BoxFuture<'_, Result<Appended, AppendError>> {
        self.spoil(expected, sealed).boxed()
    }

    fn follow(&self, after: Position) -> BoxStream<'static, Result<Recorded, JournalError>> {
        let good = |after| self.1.follow(after);
        match self.0 {
            // It ends where the log ends now: whoever waits for the one that is missing learns of it.
            Bug::FollowerSkips => self
                .history(after)
                .filter(|it| {
                    let skipped = it.as_ref().is_ok_and(|it| it.position.get() % 7 == 3);
                    std::future::ready(!skipped)
                })
                .boxed(),
            Bug::FollowerRepeats => good(after)
                .flat_map(|it| {
                    let again = it.as_ref().ok().cloned().map(Ok);
                    stream::iter([it].into_iter().chain(again))
                })
                .boxed(),
            Bug::FollowerEnds => self.history(after),
            Bug::FollowerForgets => good(Position::START),
            Bug::FollowerOfALostLog => {
                let head = futures::executor::block_on(self.1.head()).unwrap();
                if after > head { stream::empty().boxed() } else { good(after) }
            }
            _ => good(after),
        }
    }

    fn find<'a>(
        &'a self,
        stream: &'a StreamId,
        commit_id: Uuid,
    ) -> BoxFuture<'a, Result<Option<Recorded>, JournalError>> {
        self.1.find(stream, commit_id)
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, JournalError>> {
        async move {
            let head = self.1.head().await?;
            let stale = self.is(Bug::StaleHead) && head > Position::START;
            Ok(if stale { Position::new(head.get() - 1) } else { head })
        }
        .boxed()
    }

    fn check_token<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Token, JournalError>> {
        async move {
            let unknown = self.is(Bug::TokenUnknown);
            if unknown { Ok(Token::EMPTY) } else { self.1.check_token(stream).await }
        }
        .boxed()
    }
}

type Named = (&'static str, fn(&Planted));

macro_rules! named {
    ($($test:ident),* $(,)?) => {
        [$((stringify!($test), contract::$test as fn(&Planted))),*]
    };
}

/// Which test of the contract finds it.
fn finder(bug: Bug) -> Named {
    let [
        all,
        conflict,
        same_id,
        outranks,
        other,
        gap,
        follows,
        resumes,
        ahead,
        load,
        head,
        reopened,
    ] = named!(
        appends_are_all_or_nothing,
        an_append_conflicts_if_and_only_if_the_token_moved,
        the_same_id_gives_the_same_position_for_ever,
        an_id_known_already_outranks_a_conflict,
        an_id_of_another_stream_is_not_stored_again,
        a_commit_that_does_not_continue_its_stream_is_refused,
        a_follower_sees_history_and_then_what_comes,
        a_follower_resumes_anywhere,
        a_follower_ahead_of_the_log_is_told_so,
        load_is_contiguous,
        the_head_never_moves_back,
        everything_is_there_after_reopening,
    );
    match bug {
        Bug::AcksBeforeTheAppend => all,
        Bug::IgnoresTheToken | Bug::TakesTheHeadForTheToken | Bug::TokenUnknown => conflict,
        Bug::NoReadBack | Bug::RepetitionUnnoticed => same_id,
        Bug::RepetitionMoves => outranks,
        Bug::IdsOfOneStreamOnly => other,
        Bug::TakesAGapForAConflict => gap,
        Bug::FollowerSkips | Bug::FollowerRepeats | Bug::FollowerEnds => follows,
        Bug::FollowerForgets => resumes,
        Bug::FollowerOfALostLog => ahead,
        Bug::StaleRead | Bug::ReadsFromTheStart => load,
        Bug::StaleHead => head,
        Bug::Forgets => reopened,
    }
}

#[test]
fn every_planted_bug_is_found_by_the_test_that_names_it() {
    let bugs = [
        Bug::AcksBeforeTheAppend,
        Bug::IgnoresTheToken,
        Bug::TakesTheHeadForTheToken,
        Bug::NoReadBack,
        Bug::RepetitionUnnoticed,
        Bug::RepetitionMoves,
        Bug::TakesAGapForAConflict,
        Bug::IdsOfOneStreamOnly,
        Bug::FollowerSkips,
        Bug::FollowerRepeats,
        Bug::FollowerEnds,
        Bug::FollowerForgets,
        Bug::FollowerOfALostLog,
        Bug::StaleRead,
        Bug::ReadsFromTheStart,
        Bug::StaleHead,
        Bug::TokenUnknown,
        Bug::Forgets,
    ];
    for bug in bugs {
        let planted = Planted(bug, tempfile::tempdir().unwrap());
        let (name, test) = finder(bug);
        let found = catch_unwind(AssertUnwindSafe(|| test(&planted))).is_err();
        assert!(found, "{bug:?} is not found by {name}");
    }
}
