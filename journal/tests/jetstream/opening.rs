//! What is refused when a log is opened, and what is promised.

use async_nats::jetstream::stream::Config;
use futures::executor::block_on;
use journal::jetstream::{JetStreamJournal, OpenError};
use journal::testing::{commit, stream};
use journal::{Durability, Journal, Token};
use servers::nats::{Cluster, Nats, Options};

use crate::place::{self, Place, runtime};

fn refused(place: &Place) -> OpenError {
    match place.try_open() {
        Ok(journal) => panic!("it is not refused: {}", journal.promise()),
        Err(error) => error,
    }
}

fn durability(journal: &JetStreamJournal) -> (Durability, String) {
    (journal.promise().durability, journal.promise().to_string())
}

#[test]
fn a_server_that_syncs_promises_to_survive_the_loss_of_power_and_others_do_not() {
    for sync_always in [true, false] {
        let server = Nats::start(&Options { sync_always, ..Options::default() });
        let mut place = Place::new(&server.url(), 1);
        assert_eq!(durability(&place.journal()).0, Durability::ProcessCrash, "nothing is guessed");
        place.options.monitors = vec![server.monitor_url()];
        let (class, why) = durability(&place.journal());
        let wanted = if sync_always { Durability::PowerLoss } else { Durability::ProcessCrash };
        assert_eq!(class, wanted, "{why}");

        place.options.require = Some(Durability::Quorum);
        let error = refused(&place);
        assert!(matches!(error, OpenError::Durability { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("quorum is required"), "{text}");
        assert_eq!(text.contains("sync_interval: always"), !sync_always, "{text}");
        place.options.require = Some(wanted);
        place.journal();
    }
}

#[test]
fn three_servers_that_sync_promise_a_quorum_if_all_of_them_say_so() {
    let cluster = Cluster::start(3, &Options { sync_always: true, ..Options::default() });
    let mut place = Place::new(&cluster.url(), 3);
    let monitors: Vec<_> = cluster.servers().iter().map(Nats::monitor_url).collect();
    place.options.monitors = monitors[..2].to_vec();
    assert_eq!(durability(&place.journal()).0, Durability::ProcessCrash);
    place.options.monitors = monitors;
    place.options.require = Some(Durability::Quorum);
    let journal = place.journal();
    assert_eq!(durability(&journal).0, Durability::Quorum);
    let sealed = commit(&stream("a"), 1, None, &[1]);
    block_on(journal.append(Token::EMPTY, sealed)).unwrap();
}

#[test]
fn a_stream_that_could_lose_commits_is_refused_with_every_difference() {
    let place = place::alone();
    let make = async {
        let client = place.client().await;
        let config = Config {
            name: "cairn".into(),
            subjects: vec!["ev.>".into()],
            max_age: std::time::Duration::from_secs(3_600),
            ..Config::default()
        };
        async_nats::jetstream::new(client).create_stream(config).await.unwrap();
    };
    runtime().block_on(make);
    let error = refused(&place);
    let text = error.to_string();
    for field in ["max_age", "deny_delete", "deny_purge", "allow_direct", "discard"] {
        assert!(text.contains(field), "{field} is not named: {text}");
    }
}

#[test]
fn fewer_replicas_than_asked_for_are_refused() {
    let mut place = place::cluster();
    place.options.replicas = 1;
    place.journal();
    place.options.replicas = 3;
    let text = refused(&place).to_string();
    assert!(text.contains("num_replicas is 1, not 3"), "{text}");
}

#[test]
fn where_nobody_listens_the_address_is_named_without_its_password() {
    let text = refused(&Place::new("nats://user:secret@127.0.0.1:1", 1)).to_string();
    assert!(text.contains("127.0.0.1:1") && !text.contains("secret"), "{text}");
}

#[test]
fn a_wrong_monitoring_address_is_named() {
    let mut place = place::alone();
    place.options.monitors = vec!["http://127.0.0.1:1".into()];
    let text = refused(&place).to_string();
    assert!(text.contains("http://127.0.0.1:1"), "{text}");
}
