//! A log, its archive and a key.

use std::sync::Arc;

use archive::{Settings, Signer, Subject, Target, Verified, backup, verify};
use domain::StreamId;
use domain::commit::{Commit, Sealed};
use journal::memory::MemoryJournal;
use journal::testing::{commit, stream};
use journal::{Journal, Position, Recorded, Token};
use tempfile::TempDir;

use crate::place::{Place, Sort};

/// Bytes of a segment: a few commits, so that there are many segments.
pub(crate) const SEGMENT_BYTES: usize = 2_000;

pub(crate) struct World {
    /// Where keys are.
    pub(crate) folder: TempDir,
    /// Where the archive is.
    pub(crate) place: Place,
    pub(crate) journal: Arc<MemoryJournal>,
}

impl World {
    /// An empty log.
    pub(crate) fn new(sort: Sort) -> Self {
        let journal = Arc::new(MemoryJournal::new());
        Self { folder: tempfile::tempdir().unwrap(), place: sort.place(), journal }
    }

    /// A log of some commits, archived and signed in three steps.
    pub(crate) async fn archived(sort: Sort) -> Self {
        let world = Self::new(sort);
        for _ in 0..3 {
            world.grow(20).await;
            world.backup().await;
        }
        world
    }

    /// Adds commits, turn by turn to four streams.
    pub(crate) async fn grow(&self, count: u64) {
        let head = self.journal.head().await.unwrap().get();
        for number in head + 1..=head + count {
            let stream = stream(&format!("s{}", number % 4));
            let before = self.journal.load(&stream, 0).await.unwrap();
            let numbers: Vec<u64> = (0..=number % 3).collect();
            let sealed = commit(&stream, u128::from(number), before.commits.last(), &numbers);
            let appended = self.journal.append(before.token, sealed).await.unwrap();
            assert_eq!(appended.position.get(), number);
        }
    }

    pub(crate) fn target(&self) -> Arc<dyn Target> {
        self.place.target()
    }

    pub(crate) fn log(&self) -> Arc<dyn Journal> {
        Arc::clone(&self.journal) as Arc<dyn Journal>
    }

    pub(crate) fn signer(&self) -> Signer {
        Signer::load_or_make(&self.folder.path().join("anchor.key")).unwrap()
    }

    pub(crate) fn settings(&self) -> Settings {
        let settings = Settings::new(Some(self.signer()));
        Settings { segment_bytes_max: SEGMENT_BYTES, ..settings }
    }

    pub(crate) async fn backup(&self) {
        backup(self.log(), self.target(), self.settings()).await.unwrap();
    }

    pub(crate) fn subject(&self) -> Subject {
        let key = Some(self.signer().public());
        Subject { journal: Some(self.log()), archive: Some(self.target()), key, kept: None }
    }

    pub(crate) async fn verified(&self) -> Verified {
        verify(self.subject()).await.unwrap()
    }
}

/// Every commit of a log.
pub(crate) async fn all(journal: &dyn Journal) -> Vec<Recorded> {
    use futures::StreamExt as _;
    let head = journal.head().await.unwrap().get();
    let commits = journal.follow(Position::START).take(usize::try_from(head).unwrap());
    commits.map(Result::unwrap).collect().await
}

/// The log of somebody who can seal: commits as they are told, each continued as its stream goes.
pub(crate) async fn forge(commits: impl IntoIterator<Item = Commit>) -> Arc<MemoryJournal> {
    let journal = MemoryJournal::new();
    for mut commit in commits {
        let stream: StreamId = commit.stream.clone();
        let before = journal.load(&stream, 0).await.unwrap();
        let last = before.commits.last();
        commit.prev_hash = last.map(|last| last.sealed.hash).unwrap_or_default();
        commit.first_version = last.map_or(0, Recorded::last_version) + 1;
        let token = last.map_or(Token::EMPTY, |last| Token::at(last.position));
        let sealed: Sealed = commit.seal().unwrap();
        journal.append(token, Arc::new(sealed)).await.unwrap();
    }
    Arc::new(journal)
}
