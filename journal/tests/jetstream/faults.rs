//! Servers that die, freeze, fill up or cannot be reached; strangers that publish.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::executor::block_on;
use journal::testing::{commit, stream};
use journal::{AppendError, Appended, Journal, Position, Recorded, Token, verify};
use servers::nats::{Cluster, Nats, Options};
use servers::proxy::{Mode, Proxy};
use servers::until;
use uuid::Uuid;

use crate::place::{Place, runtime};

/// What was acknowledged, and where it was said to be.
type Acknowledged = Mutex<HashMap<Uuid, Position>>;

/// Appends to a stream of its own until it is told to stop. An outcome that is not known is asked for again, as the
/// executor does.
fn write(journal: &dyn Journal, name: &str, stop: &AtomicBool, acknowledged: &Acknowledged) {
    let stream = stream(name);
    let mut last: Option<Recorded> = None;
    while !stop.load(Ordering::SeqCst) {
        let id = Uuid::now_v7();
        let sealed = commit(&stream, id.as_u128(), last.as_ref(), &[1]);
        let token = last.as_ref().map_or(Token::EMPTY, |last| Token::at(last.position));
        let appended = loop {
            match block_on(journal.append(token, Arc::clone(&sealed))) {
                Ok(appended) => break appended,
                Err(AppendError::Unknown { .. } | AppendError::Unavailable { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        };
        acknowledged.lock().unwrap().insert(id, appended.position);
        last = Some(Recorded { position: appended.position, sealed });
    }
}

/// Ends the writers, also when something is not as it should be.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Writers at work while something is done to the servers; afterwards all they were promised must be there, once.
fn survives(place: &Place, disturb: impl FnOnce(&dyn Fn(usize))) {
    const WRITERS: usize = 8;
    let journal = place.journal();
    let (stop, acknowledged) = (AtomicBool::new(false), Acknowledged::default());
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for writer in 0..WRITERS {
            let (journal, stop, acknowledged) = (&journal, &stop, &acknowledged);
            scope.spawn(move || write(journal, &format!("w{writer}"), stop, acknowledged));
        }
        let count = || acknowledged.lock().unwrap().len();
        disturb(&|more| {
            let wanted = count() + more;
            until("more appends to be acknowledged", || (count() >= wanted).then_some(()));
        });
    });
    drop(journal);
    let journal = place.journal();
    let verified = block_on(verify(&journal)).unwrap();
    let acknowledged = acknowledged.into_inner().unwrap();
    assert_eq!(verified.commits as usize, acknowledged.len(), "one was lost, or stored twice");
    for writer in 0..WRITERS {
        let loaded = block_on(journal.load(&stream(&format!("w{writer}")), 0)).unwrap();
        for recorded in loaded.commits {
            let id = recorded.sealed.commit.commit_id;
            assert_eq!(acknowledged[&id], recorded.position, "an acknowledged commit has moved");
        }
    }
}

#[test]
fn a_leader_killed_in_the_middle_of_appends_loses_and_doubles_nothing() {
    let cluster = Cluster::start(3, &Options::default());
    let place = Place::new(&cluster.url(), 3);
    place.journal();
    survives(&place, |wait_for| {
        wait_for(100);
        let leader = cluster.wait_leader("cairn");
        cluster.servers()[leader].kill9();
        wait_for(100);
        cluster.servers()[leader].revive();
        cluster.wait_ready();
        wait_for(100);
    });
}

#[test]
fn a_server_that_is_parted_from_the_others_is_left_for_another() {
    let cluster = Cluster::start_divisible(3, &Options::default());
    let place = Place::new(&cluster.url(), 3);
    place.journal();
    let leader = cluster.wait_leader("cairn");
    let name = cluster.servers()[leader].name();
    let journal = until("a connection to the leader", || {
        let journal = place.journal();
        (journal.client().server_info().server_name == name).then_some(journal)
    });
    cluster.isolate(leader);
    let mut last: Option<Recorded> = None;
    for number in 1..=20_u128 {
        let sealed = commit(&stream("parted"), number, last.as_ref(), &[1]);
        let token = last.as_ref().map_or(Token::EMPTY, |last| Token::at(last.position));
        let appended = until("an append to be acknowledged by the others", || {
            match block_on(journal.append(token, Arc::clone(&sealed))) {
                Ok(appended) => Some(appended),
                Err(AppendError::Unknown { .. } | AppendError::Unavailable { .. }) => None,
                Err(other) => panic!("{other}"),
            }
        });
        last = Some(Recorded { position: appended.position, sealed });
    }
    assert_ne!(journal.client().server_info().server_name, name);
    cluster.heal(leader);
    cluster.wait_ready();
    let verified = block_on(verify(&place.journal())).unwrap();
    assert_eq!(verified.commits, 20);
}

#[test]
fn a_frozen_follower_holds_nothing_up_for_ever_and_a_frozen_leader_neither() {
    let cluster = Cluster::start(3, &Options::default());
    let place = Place::new(&cluster.url(), 3);
    place.journal();
    survives(&place, |wait_for| {
        wait_for(50);
        let leader = cluster.wait_leader("cairn");
        for frozen in [(leader + 1) % 3, leader] {
            cluster.servers()[frozen].sigstop();
            wait_for(50);
            cluster.servers()[frozen].sigcont();
            wait_for(50);
        }
    });
}

#[test]
fn a_server_killed_again_and_again_loses_and_doubles_nothing() {
    let server = Nats::start(&Options::default());
    survives(&Place::new(&server.url(), 1), |wait_for| {
        for _ in 0..4 {
            wait_for(60);
            server.restart();
        }
        wait_for(60);
    });
}

#[test]
fn an_acknowledgement_lost_on_the_way_is_read_back_and_is_no_repetition() {
    let server = Nats::start(&Options::default());
    let proxy = Proxy::start(server.port());
    let journal = Place::new(&format!("nats://127.0.0.1:{}", proxy.port()), 1).journal();
    let mut last: Option<Recorded> = None;
    for (round, mode) in
        [Mode::DropReplies, Mode::DropRequests, Mode::DropReplies].iter().enumerate()
    {
        let sealed = commit(&stream("a"), 1 + round as u128, last.as_ref(), &[1]);
        let token = last.as_ref().map_or(Token::EMPTY, |last| Token::at(last.position));
        let appended = std::thread::scope(|scope| {
            let before = proxy.swallowed();
            proxy.set(*mode);
            let sealed = Arc::clone(&sealed);
            let appending = scope.spawn(|| block_on(journal.append(token, sealed)));
            until("something to be lost", || (proxy.swallowed() > before).then_some(()));
            proxy.set(Mode::Forward);
            appending.join().unwrap().unwrap()
        });
        let position = Position::new(round as u64 + 1);
        assert_eq!(appended, Appended { position, repeated: false }, "{mode:?}");
        last = Some(Recorded { position, sealed });
    }
    assert_eq!(block_on(verify(&journal)).unwrap().commits, 3);
}

#[test]
fn an_outcome_that_stays_unknown_is_told_as_such_and_known_by_repeating() {
    let server = Nats::start(&Options::default());
    let proxy = Proxy::start(server.port());
    let mut place = Place::new(&format!("nats://127.0.0.1:{}", proxy.port()), 1);
    place.options.deadline = Duration::from_millis(500);
    let journal = place.journal();
    let sealed = commit(&stream("a"), 1, None, &[1]);
    proxy.set(Mode::DropReplies);
    let answer = block_on(journal.append(Token::EMPTY, Arc::clone(&sealed)));
    assert!(matches!(answer, Err(AppendError::Unknown { .. })), "{answer:?}");
    proxy.set(Mode::Forward);
    let known = until("the outcome to be known", || {
        match block_on(journal.append(Token::EMPTY, Arc::clone(&sealed))) {
            Ok(appended) => Some(appended),
            Err(AppendError::Unavailable { .. } | AppendError::Unknown { .. }) => None,
            Err(other) => panic!("{other}"),
        }
    });
    assert_eq!(known.position, Position::new(1));
    assert_eq!(block_on(journal.head()).unwrap(), Position::new(1));

    // Where nothing was sent nothing can have been stored.
    proxy.set(Mode::Refuse);
    let next = commit(&stream("b"), 2, None, &[1]);
    let refused = until("the connection to be known as lost", || {
        match block_on(journal.append(Token::EMPTY, Arc::clone(&next))) {
            Err(AppendError::Unknown { .. }) => None,
            other => Some(other),
        }
    });
    assert!(matches!(refused, Err(AppendError::Unavailable { .. })), "{refused:?}");
}

#[test]
fn a_full_log_refuses_without_lying_and_goes_on_reading() {
    let config =
        "accounts { SMALL { jetstream { max_file: 40000 }, users: [{user: u, password: p}] } }";
    let server = Nats::start(&Options { config: config.into(), ..Options::default() });
    let place = Place::new(&server.url().replace("nats://", "nats://u:p@"), 1);
    let journal = place.journal();
    let (mut stored, refused) = (Vec::<Recorded>::new(), AtomicUsize::new(0));
    let error = loop {
        let id = stored.len() as u128 + 1;
        let sealed = commit(&stream("a"), id, stored.last(), &[1]);
        let token = stored.last().map_or(Token::EMPTY, |last| Token::at(last.position));
        match block_on(journal.append(token, Arc::clone(&sealed))) {
            Ok(appended) => stored.push(Recorded { position: appended.position, sealed }),
            Err(error) => break error,
        }
        assert!(refused.fetch_add(1, Ordering::SeqCst) < 1_000, "it is never full");
    };
    assert!(matches!(error, AppendError::Full { .. }), "{error}");
    assert!(!stored.is_empty());
    let loaded = block_on(journal.load(&stream("a"), 0)).unwrap();
    assert_eq!(loaded.commits.len(), stored.len());
}

/// What would lose or change commits.
const FORBIDDEN: [&str; 5] = [
    "STREAM.DELETE.cairn",
    "STREAM.PURGE.cairn",
    "STREAM.MSG.DELETE.cairn",
    "STREAM.UPDATE.cairn",
    "STREAM.RESTORE.cairn",
];

/// The permissions as `docs/nats` has them, with passwords.
fn guarded() -> Nats {
    let passwords =
        "CAIRN_CORE_PASSWORD: core-password\nCAIRN_WATCHER_PASSWORD: watcher-password\n";
    let config = format!("{passwords}{}", include_str!("../../../docs/nats/permissions.conf"));
    Nats::start(&Options { config, ..Options::default() })
}

async fn client(server: &Nats, user: &str) -> async_nats::Client {
    async_nats::ConnectOptions::new()
        .user_and_password(user.into(), format!("{user}-password"))
        .connect(server.url())
        .await
        .unwrap()
}

#[test]
fn with_the_documented_permissions_the_core_works_and_nobody_else_publishes_or_deletes() {
    let server = guarded();
    let place = Place::new(&server.url().replace("nats://", "nats://core:core-password@"), 1);
    let journal = place.journal();
    let sealed = commit(&stream("a"), 1, None, &[1]);
    block_on(journal.append(Token::EMPTY, Arc::clone(&sealed))).unwrap();
    assert_eq!(block_on(verify(&journal)).unwrap().commits, 1);
    runtime().block_on(journal.snapshots()).unwrap();
    runtime().block_on(async {
        // A publisher that names no sequence would be stored, were it not refused.
        let watcher = client(&server, "watcher").await;
        watcher.publish("ev.acme.tally.a", "not a commit".into()).await.unwrap();
        watcher.flush().await.unwrap();
        let core = client(&server, "core").await;
        for what in FORBIDDEN {
            // The server tells the connection, not the request: it stays without an answer.
            core.publish(format!("$JS.API.{what}"), "{}".into()).await.unwrap();
        }
        core.flush().await.unwrap();
    });
    for subject in ["ev.acme.tally.a"].into_iter().chain(FORBIDDEN) {
        until(&format!("{subject} to be refused"), || {
            let log = server.log();
            let mut refused = log.lines().filter(|line| line.contains("Publish Violation"));
            refused.any(|line| line.contains(subject)).then_some(())
        });
    }
    let loaded = block_on(journal.load(&stream("a"), 0)).unwrap();
    assert_eq!(loaded.commits.len(), 1);
    assert_eq!(block_on(journal.head()).unwrap(), Position::new(1));
}
