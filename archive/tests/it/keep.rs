//! An archive that is kept up to date.

use std::sync::Arc;
use std::time::Duration;

use archive::{ArchiveError, Progress, backup, run};
use journal::memory::MemoryJournal;
use journal::{Journal, JournalError, Position};
use tokio::sync::oneshot;

use crate::place::{Sort, over_both};
use crate::world::World;

over_both!(
    what_is_archived_is_whole_and_signed,
    nothing_new_makes_nothing_new,
    what_the_archive_lacks_is_checked_in_the_log_alone,
    the_archiver_closes_by_age_signs_and_goes_on_after_a_restart,
    a_full_segment_is_closed_at_once,
    two_archivers_do_each_others_work,
    the_archive_of_another_log_is_refused,
);

async fn what_is_archived_is_whole_and_signed(sort: Sort) {
    let world = World::archived(sort).await;
    let verified = world.verified().await;
    let at = Position::new(60);
    assert_eq!((verified.head, verified.archived, verified.anchored), (at, at, at));
    assert_eq!((verified.commits, verified.streams, verified.anchors), (60, 4, 3));
    assert!(verified.segments > 10, "{verified:?}");
    assert_eq!(verified.events, (1..=60).map(|n| n % 3 + 1).sum::<u64>());
}

async fn nothing_new_makes_nothing_new(sort: Sort) {
    let world = World::archived(sort).await;
    let names = || (world.place.names("segments", ""), world.place.names("anchors", ""));
    let before = names();
    world.backup().await;
    assert_eq!(names(), before);
}

async fn what_the_archive_lacks_is_checked_in_the_log_alone(sort: Sort) {
    let world = World::archived(sort).await;
    world.grow(30).await;
    let verified = world.verified().await;
    assert_eq!((verified.head.get(), verified.archived.get(), verified.commits), (90, 60, 90));
    let log = archive::Subject { archive: None, ..world.subject() };
    assert_eq!(archive::verify(log).await.unwrap().events, verified.events);
    let archived = archive::Subject { journal: None, ..world.subject() };
    assert_eq!(archive::verify(archived).await.unwrap().commits, 60);
}

async fn the_archiver_closes_by_age_signs_and_goes_on_after_a_restart(sort: Sort) {
    let world = World::new(sort);
    for round in 1..=2_u64 {
        let mut settings = world.settings();
        settings.segment_age_max = Duration::from_millis(1);
        settings.anchor_interval = Duration::from_millis(1);
        let mut told = settings.progress.subscribe();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(run(world.log(), world.target(), settings, async {
            let _ = stopped.await;
        }));
        world.grow(10).await;
        let at = Position::new(round * 20 - 10);
        let there = |progress: &Progress| progress.anchored == at && progress.archived == at;
        told.wait_for(there).await.unwrap();
        // What comes last is archived by the shutdown, if by nothing earlier.
        world.grow(10).await;
        told.wait_for(|progress| progress.archived.get() == round * 20).await.unwrap();
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
        assert_eq!(world.verified().await.anchored.get(), round * 20);
    }
}

async fn a_full_segment_is_closed_at_once(sort: Sort) {
    let world = World::new(sort);
    let settings = world.settings();
    let mut told = settings.progress.subscribe();
    let running = tokio::spawn(run(world.log(), world.target(), settings, std::future::pending()));
    world.grow(20).await;
    told.wait_for(|progress| progress.archived.get() > 10).await.unwrap();
    running.abort();
}

async fn two_archivers_do_each_others_work(sort: Sort) {
    let world = World::new(sort);
    let mut running = Vec::new();
    let mut told = Vec::new();
    for _ in 0..2 {
        let mut settings = world.settings();
        settings.segment_age_max = Duration::from_millis(1);
        told.push(settings.progress.subscribe());
        let run = run(world.log(), world.target(), settings, std::future::pending());
        running.push(tokio::spawn(run));
    }
    for _ in 0..20 {
        world.grow(5).await;
        tokio::task::yield_now().await;
    }
    // One of them is told; the other learns it when it next has something to put.
    let (first, second) = told.split_at_mut(1);
    let done = |progress: &Progress| progress.archived.get() == 100;
    tokio::select! {
        done = first[0].wait_for(done) => drop(done.unwrap()),
        done = second[0].wait_for(done) => drop(done.unwrap()),
    }
    running.iter().for_each(tokio::task::JoinHandle::abort);
    world.backup().await;
    assert_eq!(world.verified().await.archived.get(), 100);
}

async fn the_archive_of_another_log_is_refused(sort: Sort) {
    let world = World::archived(sort).await;
    let other = World::new(sort);
    for number in 0..70 {
        let stream = journal::testing::stream(&format!("other{number}"));
        let sealed = journal::testing::commit(&stream, number, None, &[1]);
        other.journal.append(journal::Token::EMPTY, sealed).await.unwrap();
    }
    let refused = backup(other.log(), world.target(), world.settings()).await;
    assert!(matches!(refused, Err(ArchiveError::Foreign { .. })), "{refused:?}");
    let short = Arc::new(MemoryJournal::new()) as Arc<dyn Journal>;
    let refused = backup(short, world.target(), world.settings()).await;
    let behind = matches!(refused, Err(ArchiveError::Journal(JournalError::Behind { .. })));
    assert!(behind, "{refused:?}");
}
