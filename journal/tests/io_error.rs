//! The disk refuses to write in the middle of a COMMIT: real errors of a real disk, by a limit on file sizes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use futures::executor::block_on;
use journal::sqlite::SqliteJournal;
use journal::testing::{Tally, add, context, stream};
use journal::{AppendError, ExecuteError, Executor, Journal, Position, verify};

/// Tells the child where to write. The child is this test program, started again for one test.
const DIRECTORY: &str = "CAIRN_IO_DIRECTORY";

/// Carries out commands and prints their positions until one fails. Without a directory it is not the child.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let journal = Arc::new(SqliteJournal::open(Path::new(&directory)).unwrap());
    let executor = Executor::new(Arc::clone(&journal) as Arc<dyn Journal>);
    let mut printed = String::new();
    for id in 1.. {
        match block_on(executor.execute::<Tally>(&stream("a"), add(1), context(id))) {
            Ok(executed) => printed.push_str(&format!("acknowledged {}\n", executed.position)),
            Err(ExecuteError::OutcomeUnknown { .. }) => break,
            Err(other) => panic!("{other:?} does not tell that the outcome is unknown"),
        }
    }
    // Reading goes on, and what is read is what was acknowledged.
    let folded = block_on(executor.load_state::<Tally>(&stream("a"))).unwrap();
    assert_eq!(folded.version as usize, printed.lines().count());
    let refused = journal::testing::commit(&stream("b"), 1_000_000, None, &[1]);
    let answer = block_on(journal.append(journal::Token::EMPTY, refused));
    assert!(matches!(answer, Err(AppendError::Unknown { .. })), "{answer:?}");
    std::fs::write(Path::new(&directory).join("acknowledged"), printed).unwrap();
}

#[test]
fn an_error_in_the_middle_of_a_commit_is_an_unknown_outcome_that_repeating_resolves() {
    let directory = tempfile::TempDir::new().unwrap();
    // A write beyond the limit is an error, not a signal, when the signal is ignored.
    let limited = "trap '' XFSZ; ulimit -f 256; exec \"$0\" \"$@\"";
    let status = Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--test-threads=1"])
        .env(DIRECTORY, directory.path())
        .status()
        .unwrap();
    assert!(status.success());
    let printed = std::fs::read_to_string(directory.path().join("acknowledged")).unwrap();
    let acknowledged: Vec<u64> =
        printed.lines().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert!(acknowledged.len() > 3, "{printed}");

    let journal = Arc::new(SqliteJournal::open(directory.path()).unwrap());
    let executor = Executor::new(Arc::clone(&journal) as Arc<dyn Journal>);
    for (id, &position) in (1..).zip(&acknowledged) {
        let found = block_on(journal.find(&stream("a"), context(id).commit_id)).unwrap().unwrap();
        assert_eq!(found.position, Position::new(position));
    }
    let next = acknowledged.len() as u128 + 1;
    let executed =
        block_on(executor.execute::<Tally>(&stream("a"), add(1), context(next))).unwrap();
    assert_eq!(executed.version as u128, next);
    assert_eq!(block_on(verify(&*journal)).unwrap().events as u128, next);
}
