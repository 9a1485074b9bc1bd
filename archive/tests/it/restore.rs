//! A new log from an archive, or from another log.

use std::sync::Arc;

use archive::{ArchiveError, copy};
use journal::memory::MemoryJournal;
use journal::sqlite::SqliteJournal;
use journal::{Journal, Token};

use crate::place::{Sort, over_both};
use crate::world::{World, all};

over_both!(
    a_lost_log_comes_back_from_the_archive_commit_by_commit,
    what_the_archive_lacks_comes_from_what_is_left_of_the_log,
    a_log_moves_and_keeps_ids_positions_and_hashes,
    a_copy_that_was_cut_off_goes_on_where_it_was,
    a_log_that_holds_something_else_is_left_as_it_is,
    a_damaged_archive_is_not_restored_from,
);

async fn assert_same(one: &dyn Journal, other: &dyn Journal) {
    let (one, other) = (all(one).await, all(other).await);
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(&other) {
        assert_eq!((one.position, &one.sealed.bytes), (other.position, &other.sealed.bytes));
    }
}

async fn a_lost_log_comes_back_from_the_archive_commit_by_commit(sort: Sort) {
    let world = World::archived(sort).await;
    let folder = tempfile::tempdir().unwrap();
    let restored = SqliteJournal::open(folder.path()).unwrap();
    let source = copy::from_archive(world.target(), None).await.unwrap();
    let copied = copy::copy(source, &restored).await.unwrap();
    assert_eq!((copied.added, copied.last.get()), (60, 60));
    assert_same(&*world.journal, &restored).await;

    let restored: Arc<dyn Journal> = Arc::new(restored);
    let subject = archive::Subject { journal: Some(restored), ..world.subject() };
    assert_eq!(archive::verify(subject).await.unwrap().commits, 60);
}

async fn what_the_archive_lacks_comes_from_what_is_left_of_the_log(sort: Sort) {
    let world = World::archived(sort).await;
    world.grow(9).await;
    let restored = MemoryJournal::new();
    let source = copy::from_archive(world.target(), Some(world.log())).await.unwrap();
    assert_eq!(copy::copy(source, &restored).await.unwrap().last.get(), 69);
    assert_same(&*world.journal, &restored).await;
}

async fn a_log_moves_and_keeps_ids_positions_and_hashes(sort: Sort) {
    let world = World::new(sort);
    world.grow(1_000).await;
    let folder = tempfile::tempdir().unwrap();
    let moved = SqliteJournal::open(folder.path()).unwrap();
    let source = || copy::from_log(world.log());
    let copied = copy::copy(source().await.unwrap(), &moved).await.unwrap();
    assert_eq!((copied.present, copied.added), (0, 1_000));
    assert_same(&*world.journal, &moved).await;
    for recorded in all(&*world.journal).await {
        let commit = &recorded.sealed.commit;
        let found = moved.find(&commit.stream, commit.commit_id).await.unwrap().unwrap();
        assert_eq!(found.position, recorded.position);
    }
    let again = copy::copy(source().await.unwrap(), &moved).await.unwrap();
    assert_eq!((again.present, again.added), (1_000, 0));
}

async fn a_copy_that_was_cut_off_goes_on_where_it_was(sort: Sort) {
    let world = World::new(sort);
    world.grow(30).await;
    let partly = MemoryJournal::new();
    let source = copy::from_log(world.log()).await.unwrap();
    copy::copy(source, &partly).await.unwrap();
    world.grow(30).await;
    let source = copy::from_log(world.log()).await.unwrap();
    let copied = copy::copy(source, &partly).await.unwrap();
    assert_eq!((copied.present, copied.added), (30, 30));
    assert_same(&*world.journal, &partly).await;
}

async fn a_log_that_holds_something_else_is_left_as_it_is(sort: Sort) {
    let world = World::archived(sort).await;
    let sealed = journal::testing::commit(&journal::testing::stream("x"), 999, None, &[1]);
    let occupied = MemoryJournal::new();
    occupied.append(Token::EMPTY, sealed).await.unwrap();
    let source = copy::from_archive(world.target(), None).await.unwrap();
    let refused = copy::copy(source, &occupied).await;
    assert!(matches!(refused, Err(ArchiveError::Occupied { .. })), "{refused:?}");
    assert_eq!(occupied.head().await.unwrap().get(), 1);

    let longer = World::archived(sort).await;
    longer.grow(1).await;
    let source = copy::from_archive(world.target(), None).await.unwrap();
    let refused = copy::copy(source, &*longer.journal).await;
    assert!(matches!(refused, Err(ArchiveError::Occupied { position }) if position.get() == 61));
}

async fn a_damaged_archive_is_not_restored_from(sort: Sort) {
    let world = World::archived(sort).await;
    let segment = world.place.names("segments", ".zst").pop().unwrap();
    let bytes = world.place.read(&segment);
    world.place.write(&segment, &bytes[..bytes.len() / 2]);
    let source = copy::from_archive(world.target(), None).await.unwrap();
    let refused = copy::copy(source, &MemoryJournal::new()).await;
    assert!(matches!(refused, Err(ArchiveError::Damaged { .. })), "{refused:?}");
}
