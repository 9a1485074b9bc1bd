//! `kill -9` at any moment: what was acknowledged is in the log, where it was said to be.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures::executor::block_on;
use journal::sqlite::SqliteJournal;
use journal::testing::{Tally, TallyCommand, commit, context, stream};
use journal::{Executor, Journal, Position, Token, verify};
use uuid::Uuid;

/// Tells the child where to write. The child is this test program, started again for one test.
const DIRECTORY: &str = "CAIRN_KILL_DIRECTORY";
/// How often it is killed. More by `CAIRN_KILL_ROUNDS`.
const ROUNDS: usize = 20;
/// Appends in flight in the child: several in a group, so that groups are cut in two if anything can cut them.
const WRITERS: usize = 8;

/// Appends and says so, until it is killed. Without a directory it is not the child, and has nothing to do.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let journal = SqliteJournal::open(Path::new(&directory)).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let journal = &journal;
            scope.spawn(move || append_for_ever(journal, &format!("w{writer}")));
        }
    });
}

fn append_for_ever(journal: &SqliteJournal, name: &str) {
    let stream = stream(name);
    let mut last = block_on(journal.load(&stream, 0)).unwrap().commits.pop();
    loop {
        let id = Uuid::now_v7();
        let sealed = commit(&stream, id.as_u128(), last.as_ref(), &[1, 2, 3]);
        let token = last.as_ref().map_or(Token::EMPTY, |last| Token::at(last.position));
        let appended = block_on(journal.append(token, Arc::clone(&sealed))).unwrap();
        last = Some(journal::Recorded { position: appended.position, sealed });
        let line = format!("acknowledged {id} {}\n", appended.position);
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}

/// Starts the child, kills it after it has acknowledged `count` appends, and gives back all it acknowledged.
fn run_and_kill(directory: &Path, count: usize) -> Vec<(Uuid, Position)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    let output = BufReader::new(child.stdout.take().unwrap());
    for line in output.lines() {
        // The kill may cut the last line.
        let line = line.unwrap_or_default();
        let mut words = line.split(' ').skip_while(|word| *word != "acknowledged").skip(1);
        if let (Some(id), Some(position)) = (words.next(), words.next())
            && let (Ok(id), Ok(position)) = (id.parse(), position.parse())
        {
            acknowledged.push((id, Position::new(position)));
        }
        if acknowledged.len() == count {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "it was killed");
    assert!(acknowledged.len() >= count);
    acknowledged
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let directory = tempfile::TempDir::new().unwrap();
    let rounds = std::env::var("CAIRN_KILL_ROUNDS").map_or(ROUNDS, |n| n.parse().unwrap());
    let mut all: HashMap<Uuid, Position> = HashMap::new();
    for round in 0..rounds {
        // From the very first append on, and then at any distance from the last checkpoint.
        let acknowledged = run_and_kill(directory.path(), 1 + round * 37 % 500);
        all.extend(acknowledged);
        let journal = SqliteJournal::open(directory.path()).unwrap();
        let verified = block_on(verify(&journal)).unwrap();
        assert!(verified.commits >= all.len() as u64);
        for (&id, &position) in &all {
            let found = block_on(journal.find(&stream("w0"), id))
                .unwrap()
                .expect("an acknowledged commit is lost");
            assert_eq!(found.position, position, "an acknowledged commit has moved");
        }
    }
    println!("{} acknowledged commits survived {rounds} kills", all.len());

    let executor = Executor::new(Arc::new(SqliteJournal::open(directory.path()).unwrap()));
    let reach = TallyCommand::Reach { sum: 1 };
    block_on(executor.execute::<Tally>(&stream("after"), reach, context(1))).unwrap();
}
