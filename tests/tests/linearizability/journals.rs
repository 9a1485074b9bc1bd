//! Real logs, with many clients of one stream at the same time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use journal::memory::MemoryJournal;
use journal::sqlite::SqliteJournal;
use journal::testing::{commit, stream};
use journal::{AppendError, Journal, JournalError, Position, Token};
use tests::history::{Act, Id, Operation, Outcome, check};
use tokio::task::JoinSet;
use tokio::time::interval;

use tests::rng::Rng;

/// How many do things at the same time.
const CLIENTS: u64 = 6;
/// How much each of them does.
const ACTS: usize = 60;
/// How many histories are made of each log.
const HISTORIES: u64 = 20;
/// How often a log that is away is asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// What a client was told, before it is known which number each position is.
enum Told {
    Read(Vec<Id>),
    Append { id: Id, expected: Token, said: Said },
}

enum Said {
    Stored(Position),
    Conflict(Token),
    Failed,
    Unknown,
}

/// Does random things to a stream; gives them with when they began and ended.
async fn client(
    journal: Arc<dyn Journal>,
    name: String,
    mut rng: Rng,
    clock: Arc<AtomicU64>,
) -> Vec<(u64, u64, Told)> {
    let stream = stream(&name);
    let mut last = None;
    let mut told = Vec::new();
    let tick = || clock.fetch_add(1, Ordering::SeqCst);
    for _ in 0..ACTS {
        let began = tick();
        let what = if rng.per_mille(600) {
            let id = Id::from(rng.number()) << 64 | Id::from(rng.number());
            let sealed = commit(&stream, id, last.as_ref(), &[1]);
            let id = sealed.commit.commit_id.as_u128();
            let expected = last
                .as_ref()
                .map_or(Token::EMPTY, |last: &journal::Recorded| Token::at(last.position));
            let answer = journal.append(expected, Arc::clone(&sealed)).await;
            let said = match answer {
                Ok(appended) => {
                    let position = appended.position;
                    last = Some(journal::Recorded { position, sealed });
                    Said::Stored(position)
                }
                Err(AppendError::Conflict { actual, .. }) => Said::Conflict(actual),
                Err(AppendError::Unavailable { .. } | AppendError::Full { .. }) => Said::Failed,
                Err(AppendError::Unknown { .. }) => Said::Unknown,
                Err(wrong @ (AppendError::Discontinuous(_) | AppendError::Damaged(_))) => {
                    panic!("{wrong:?}")
                }
            };
            Some(Told::Append { id, expected, said })
        } else {
            journal.load(&stream, 0).await.ok().map(|loaded| {
                last = loaded.commits.last().cloned();
                let ids = loaded.commits.iter();
                Told::Read(ids.map(|read| read.sealed.commit.commit_id.as_u128()).collect())
            })
        };
        told.extend(what.map(|what| (began, tick(), what)));
    }
    told
}

/// Lets clients loose on a stream of a log, each through one of the journals, and judges what they saw. Gives how
/// many commits there are in the end.
pub(crate) async fn judge(journals: &[Arc<dyn Journal>], seed: u64) -> usize {
    let name = format!("history-{seed}");
    let clock = Arc::new(AtomicU64::new(1));
    let mut rng = Rng::new(seed);
    let mut clients = JoinSet::new();
    for (_, journal) in (0..CLIENTS).zip(journals.iter().cycle()) {
        let journal = Arc::clone(journal);
        clients.spawn(client(journal, name.clone(), rng.fork(), Arc::clone(&clock)));
    }
    let told = clients.join_all().await;
    let mut end = journals[0].load(&stream(&name), 0).await;
    let mut again = interval(AGAIN);
    while let Err(JournalError::Unavailable { .. }) = end {
        again.tick().await;
        end = journals[0].load(&stream(&name), 0).await;
    }
    let end = end.unwrap();
    let ids: Vec<Id> =
        end.commits.iter().map(|read| read.sealed.commit.commit_id.as_u128()).collect();
    let numbers: HashMap<Position, usize> =
        (1..).zip(&end.commits).map(|(number, read)| (read.position, number)).collect();
    // A position that is not there any more is a number that no stream has.
    let number = |position: Position| match position {
        Position::START => 0,
        position => numbers.get(&position).copied().unwrap_or(usize::MAX),
    };
    let history: Vec<Operation> = told
        .into_iter()
        .flatten()
        .map(|(began, ended, told)| {
            let act = match told {
                Told::Read(ids) => Act::Read { ids },
                Told::Append { id, expected, said } => {
                    let outcome = match said {
                        Said::Stored(position) => Outcome::Stored(number(position)),
                        Said::Conflict(actual) => Outcome::Conflict(number(actual.position())),
                        Said::Failed => Outcome::Failed,
                        Said::Unknown => Outcome::Unknown,
                    };
                    Act::Append { id, expected: number(expected.position()), outcome }
                }
            };
            Operation { began, ended, act }
        })
        .collect();
    if let Err(violation) = check(&history, &ids) {
        panic!("seed {seed}: {violation}");
    }
    ids.len()
}

/// Judges so many histories of a log that nothing happens to.
async fn judge_undisturbed(journal: impl Journal) {
    let journals: [Arc<dyn Journal>; 1] = [Arc::new(journal)];
    for seed in 0..HISTORIES {
        let commits = judge(&journals, seed).await;
        assert!(commits > ACTS / 10, "only {commits} commits: nothing was tried");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_in_sqlite_is_linearizable() {
    let folder = tempfile::tempdir().unwrap();
    judge_undisturbed(SqliteJournal::open(folder.path()).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_in_memory_is_linearizable() {
    judge_undisturbed(MemoryJournal::default()).await;
}
