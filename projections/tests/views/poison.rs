//! What cannot be understood is set aside, stream by stream; everything else goes on.

use std::sync::Arc;

use domain::commit::EventRecord;
use domain::{StreamId, account};
use journal::testing::Older;
use journal::{Journal, Position};
use projections::{RedriveError, Views};

use crate::place::{Place, over_both};
use crate::running::register;
use crate::world::{World, append_foreign, block_on, event, run_to, stream, tenant};

over_both!(
    a_hundred_kinds_of_poison_stop_only_their_own_streams,
    a_stream_that_is_understood_later_is_driven_again,
    what_is_still_not_understood_stays_in_quarantine,
    a_commit_that_is_none_is_set_aside_too,
);

/// An event of each aggregate that would be understood but for what is done to it.
const KNOWN: &[(&str, &str)] = &[
    ("bucket", "Declared"),
    ("account", "Registered"),
    ("application", "RevisionApplied"),
    ("class", "Defined"),
    ("environment", "Defined"),
    ("deployment", "RolloutStarted"),
    ("plan", "Proposed"),
    ("request", "Received"),
    ("rollout", "Started"),
];

/// Ways to spoil an event of this type.
fn spoiled(known: &str) -> Vec<EventRecord> {
    let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let long = format!("\"{}\"", "x".repeat(200_000));
    vec![
        event("Enchanted", 1, "{}"),
        event("", 1, "{}"),
        event(&known.to_lowercase(), 1, "{}"),
        event(&format!("{known}\":{{}},\"x"), 1, "{}"),
        event("a\u{0}b", 1, "{}"),
        event(known, 1, "{}"),
        event(known, 1, "null"),
        event(known, 1, "[]"),
        event(known, 1, "17"),
        event(known, 1, "1e999"),
        event(known, 1, r#""{\"at\":""#),
        event(known, 1, r#"{"at":"yesterday"}"#),
        event(known, 1, &format!(r#"{{"at":{deep}}}"#)),
        event(known, 1, &long),
        event(known, 0, "{}"),
        event(known, 2, "{}"),
        event(known, u32::MAX, "{}"),
    ]
}

/// Poisons, each with a stream of its own.
fn poisons() -> Vec<(StreamId, EventRecord)> {
    let mut poisons = Vec::new();
    for (kind, known) in KNOWN {
        for (number, event) in spoiled(known).into_iter().enumerate() {
            poisons.push((stream(kind, &format!("p{number}")), event));
        }
    }
    for kind in ["spell", "deployments", "a", "x-1"] {
        poisons.push((stream(kind, "p"), event("Cast", 1, "{}")));
    }
    poisons
}

fn a_hundred_kinds_of_poison_stop_only_their_own_streams(place: &Place) {
    block_on(async {
        let mut world = World::new();
        let poisons = poisons();
        assert!(poisons.len() >= 100, "{}", poisons.len());
        for (number, (stream, event)) in poisons.iter().enumerate() {
            append_foreign(&*world.journal, stream, vec![event.clone()]).await;
            register(&mut world, number as u64).await;
            // What comes after it in its stream waits with it, whatever it is.
            if number % 3 == 0 {
                append_foreign(&*world.journal, stream, vec![event.clone()]).await;
            }
        }
        let views = place.open().await;
        let head = world.journal.head().await.unwrap();
        run_to(&world, &views, head).await;

        let good = views.get(&stream(account::KIND, "a"), None).await.unwrap().unwrap();
        assert_eq!(good.version, poisons.len() as u64, "the good stream is shown to its end");
        let all = views.quarantine(&tenant(), None, 500).await.unwrap();
        assert_eq!(all.items.len(), poisons.len());
        assert_eq!(views.quarantined_total().await.unwrap(), poisons.len() as u64);
        for (number, (stream, _)) in poisons.iter().enumerate() {
            let held = views.quarantined(stream).await.unwrap().unwrap();
            assert_eq!(held.commits, if number % 3 == 0 { 2 } else { 1 }, "{stream}");
            assert_eq!(held.version, 1);
            assert!(!held.reason.is_empty());
            assert!(views.get(stream, None).await.unwrap().is_none());
        }
        let (pages, mut after) = (8, None);
        let mut seen = 0;
        for _ in 0..pages {
            let page = views.quarantine(&tenant(), after.as_deref(), 30).await.unwrap();
            seen += page.items.len();
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, poisons.len());

        let incremental = place.dump().await;
        views.rebuild(&world.journal).await.unwrap();
        assert_eq!(place.dump().await, incremental, "a rebuild sets the same aside");
    });
}

/// An account that comes, goes, and comes again.
async fn comes_and_goes(world: &mut World) {
    register(world, 1).await;
    let at = domain::Time::from_micros(2);
    let a = stream(account::KIND, "a");
    world.execute::<account::Account>(&a, account::Command::Remove { at }, 0).await;
    register(world, 2).await;
}

async fn shown_by_an_older_program(world: &World, views: &Views) {
    let older: Arc<dyn Journal> = Arc::new(Older::new(Arc::clone(&world.journal), "Removed"));
    let head = world.journal.head().await.unwrap();
    let mut status = views.status();
    let reached = async move {
        status.wait_for(|status| status.position >= head).await.unwrap();
    };
    projections::run(older, views.clone(), reached).await.unwrap();
}

fn a_stream_that_is_understood_later_is_driven_again(place: &Place) {
    block_on(async {
        let mut world = World::new();
        comes_and_goes(&mut world).await;
        let views = place.open().await;
        shown_by_an_older_program(&world, &views).await;
        let a = stream(account::KIND, "a");
        let held = views.quarantined(&a).await.unwrap().unwrap();
        assert_eq!((held.position.get(), held.version, held.commits), (2, 2, 2));
        assert!(held.reason.contains("`Removed` of schema 9"), "{}", held.reason);
        let row = views.get(&a, None).await.unwrap().unwrap();
        assert_eq!((row.position.get(), row.phase.as_str()), (1, "registered"), "as it was before");

        let mut changes = views.changes();
        let redriven = projections::redrive(&world.journal, &views, &a).await.unwrap();
        assert_eq!((redriven.commits, redriven.position.get()), (2, 3));
        assert_eq!(changes.recv().await.unwrap().streams, std::slice::from_ref(&a));
        assert_eq!(views.quarantined(&a).await.unwrap(), None);
        let again = projections::redrive(&world.journal, &views, &a).await.unwrap_err();
        assert!(matches!(again, RedriveError::NotQuarantined(_)));

        // The runner goes on with it, and everything is as if it had been understood at once.
        register(&mut world, 3).await;
        let head = world.journal.head().await.unwrap();
        run_to(&world, &views, head).await;
        let fresh = place.another();
        run_to(&world, &fresh.open().await, head).await;
        assert_eq!(place.dump().await, fresh.dump().await);
    });
}

fn what_is_still_not_understood_stays_in_quarantine(place: &Place) {
    block_on(async {
        let mut world = World::new();
        comes_and_goes(&mut world).await;
        let views = place.open().await;
        shown_by_an_older_program(&world, &views).await;
        let before = place.dump().await;
        let older: Arc<dyn Journal> = Arc::new(Older::new(Arc::clone(&world.journal), "Removed"));
        let a = stream(account::KIND, "a");
        let error = projections::redrive(&older, &views, &a).await.unwrap_err();
        assert!(matches!(&error, RedriveError::StillPoisoned { position, reason, .. }
            if position.get() == 2 && reason.contains("`Removed` of schema 9")));
        assert_eq!(place.dump().await, before);
    });
}

/// Bytes that are as they were sealed, and yet no commit: of a format of the future, or cut off before the seal.
fn a_commit_that_is_none_is_set_aside_too(place: &Place) {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let open = || Arc::new(journal::sqlite::SqliteJournal::open(folder.path()).unwrap());
        let mut world = World::over(open());
        register(&mut world, 1).await;
        let b = stream(account::KIND, "b");
        append_foreign(&*world.journal, &b, vec![event("Registered", 1, "{}")]).await;
        register(&mut world, 2).await;
        drop(world);
        spoil(folder.path(), 2);
        let world = World::over(open());
        let views = place.open().await;
        run_to(&world, &views, Position::new(3)).await;

        let held = views.quarantined(&b).await.unwrap().unwrap();
        assert_eq!((held.position.get(), held.commits), (2, 1));
        assert!(held.reason.contains("cannot be read"), "{}", held.reason);
        let a = views.get(&stream(account::KIND, "a"), None).await.unwrap().unwrap();
        assert_eq!(a.position, Position::new(3));
        let error = projections::redrive(&world.journal, &views, &b).await.unwrap_err();
        assert!(matches!(error, RedriveError::Journal(_)), "{error}");
        let incremental = place.dump().await;
        views.rebuild(&world.journal).await.unwrap();
        assert_eq!(place.dump().await, incremental);
    });
}

/// Cuts a stored commit off in the middle and seals what is left.
fn spoil(folder: &std::path::Path, position: i64) {
    let file = rusqlite::Connection::open(folder.join("journal.sqlite")).unwrap();
    let select = "SELECT bytes FROM commits WHERE position = ?1";
    let mut bytes: Vec<u8> = file.query_row(select, [position], |row| row.get(0)).unwrap();
    bytes.truncate(bytes.len() / 2);
    let hash = domain::commit::Hash::of(&bytes).to_hex();
    bytes.extend_from_slice(format!(",\"hash\":\"{hash}\"}}").as_bytes());
    file.execute("UPDATE commits SET bytes = ?1 WHERE position = ?2", (bytes, position)).unwrap();
}
