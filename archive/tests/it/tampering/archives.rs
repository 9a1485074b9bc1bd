//! What is done to an archive, by somebody who can do everything but sign.

use std::sync::Arc;

use archive::{Anchor, Settings, Signer, Subject, backup, verify};
use domain::commit::{Commit, Hash};
use journal::Journal;
use journal::memory::MemoryJournal;

use super::assert_found;
use super::logs::rewritten;
use crate::place::{Sort, over_both};
use crate::world::{SEGMENT_BYTES, World, all, forge};

over_both!(
    each_kind_of_tampering_with_an_archive_is_found,
    an_archive_that_was_rewritten_with_all_its_manifests_is_found_by_its_anchors,
    a_second_history_is_found_by_an_anchor_that_was_kept,
    an_old_copy_of_log_and_archive_is_found_by_an_anchor_that_was_kept,
);

/// Replaces a text in a thing of the archive.
fn edit(world: &World, name: &str, from: &str, to: &str) {
    let text = String::from_utf8(world.place.read(name)).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    world.place.write(name, text.replacen(from, to, 1).as_bytes());
}

fn swap(world: &World, one: &str, other: &str) {
    let (first, second) = (world.place.read(one), world.place.read(other));
    world.place.write(one, &second);
    world.place.write(other, &first);
}

fn copy(world: &World, from: &str, to: &str) {
    world.place.write(to, &world.place.read(from));
}

fn segments(world: &World) -> Vec<String> {
    world.place.names("segments", ".zst")
}

fn manifests(world: &World) -> Vec<String> {
    world.place.names("segments", ".json")
}

fn anchors(world: &World) -> Vec<String> {
    world.place.names("anchors", ".json")
}

fn stated(world: &World, name: &str, field: &str) -> String {
    let json: serde_json::Value = serde_json::from_slice(&world.place.read(name)).unwrap();
    json[field].to_string().trim_matches('"').to_owned()
}

type Case = (&'static str, fn(&World), &'static str);

const CASES: &[Case] = &[
    (
        "a byte of a segment is flipped",
        |world| {
            let path = &segments(world)[3];
            let mut bytes = world.place.read(path);
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            world.place.write(path, &bytes);
        },
        "is not what was written",
    ),
    (
        "a segment is cut in half",
        |world| {
            let path = &segments(world)[3];
            let bytes = world.place.read(path);
            world.place.write(path, &bytes[..bytes.len() / 2]);
        },
        "it cannot be read",
    ),
    ("a segment is removed", |world| world.place.remove(&segments(world)[3]), "it is missing"),
    ("a manifest is removed", |world| world.place.remove(&manifests(world)[3]), "it is missing"),
    (
        "a segment is removed with its manifest",
        |world| {
            world.place.remove(&segments(world)[3]);
            world.place.remove(&manifests(world)[3]);
        },
        "should be",
    ),
    (
        "the end is cut off",
        |world| {
            world.place.remove(segments(world).last().unwrap());
            world.place.remove(manifests(world).last().unwrap());
        },
        "but the archive ends at",
    ),
    (
        "two segments are swapped",
        |world| swap(world, &segments(world)[3], &segments(world)[4]),
        "should be",
    ),
    (
        "two segments are swapped with their manifests",
        |world| {
            swap(world, &segments(world)[3], &segments(world)[4]);
            swap(world, &manifests(world)[3], &manifests(world)[4]);
        },
        "should be",
    ),
    (
        "a segment is there twice",
        |world| {
            for (path, end) in [(&segments(world)[3], "zst"), (&manifests(world)[3], "json")] {
                copy(world, path, &format!("segments/{:020}.{end}", 61));
            }
        },
        "should be",
    ),
    (
        "a manifest states another number of events",
        |world| {
            let path = &manifests(world)[3];
            let events = format!("\"events\":{}", stated(world, path, "events"));
            edit(world, path, &events, "\"events\":99");
        },
        "a number of events of 99",
    ),
    (
        "a manifest states another digest",
        |world| {
            let path = &manifests(world)[3];
            edit(world, path, &stated(world, path, "sha256"), &Hash::of(b"x").to_hex());
        },
        "the digest",
    ),
    (
        "a manifest is rewritten, in words only",
        |world| edit(world, &manifests(world)[3], "{", "{ "),
        "it continues",
    ),
    (
        "an anchor states another root",
        |world| {
            let path = &anchors(world)[1];
            edit(world, path, &stated(world, path, "root"), &Hash::of(b"x").to_hex());
        },
        "the signature is not by the key",
    ),
    (
        "an anchor is signed by another key",
        |world| {
            let path = &anchors(world)[2];
            let other = Signer::load_or_make(&world.folder.path().join("other.key")).unwrap();
            let anchor = Anchor::read(&world.place.read(path)).unwrap();
            let before = Anchor::read(&world.place.read(&anchors(world)[1])).unwrap();
            let (size, root) = (anchor.statement.size, anchor.statement.root);
            let forged = Anchor::sign(&other, Some(&before), size, root, anchor.statement.time);
            world.place.write(path, &forged.bytes);
        },
        "the signature is not by the key",
    ),
    (
        "an anchor in the middle is removed",
        |world| world.place.remove(&anchors(world)[1]),
        "the number",
    ),
    (
        "two anchors are swapped",
        |world| swap(world, &anchors(world)[0], &anchors(world)[1]),
        "the number",
    ),
    (
        "an old anchor is replayed as a new one",
        |world| {
            let first = &anchors(world)[0];
            copy(world, first, &format!("anchors/{:020}.json", 4));
        },
        "the number",
    ),
    (
        "an anchor's time is set back",
        |world| {
            let path = &anchors(world)[2];
            edit(world, path, &stated(world, path, "time"), "2001-01-01T00:00:00.000000Z");
        },
        "is not what was written",
    ),
];

async fn each_kind_of_tampering_with_an_archive_is_found(sort: Sort) {
    for (case, tamper, expected) in CASES {
        let world = World::archived(sort).await;
        tamper(&world);
        let alone = Subject { journal: None, ..world.subject() };
        assert_found(case, verify(alone).await, expected);
        assert_found(case, verify(world.subject()).await, "");
    }
}

/// A history in which one commit says something else, by somebody who can seal.
async fn forged(world: &World) -> Arc<MemoryJournal> {
    let commits = all(&*world.journal).await.into_iter().enumerate();
    let commits = commits.map(|(index, recorded)| -> Commit {
        match index {
            29 => rewritten(&recorded.sealed.commit),
            _ => recorded.sealed.commit.clone(),
        }
    });
    forge(commits).await
}

/// Replaces the whole archive, manifests and all, and the log; in as many steps as it was made in.
async fn rewrite(world: &mut World, signer: Option<&str>) {
    let forged = forged(world).await;
    world.place.names("segments", "").iter().for_each(|name| world.place.remove(name));
    let kept = anchors(world).into_iter().map(|name| (world.place.read(&name), name));
    let kept: Vec<_> = kept.collect();
    kept.iter().for_each(|(_, name)| world.place.remove(name));
    world.journal = Arc::new(MemoryJournal::new());
    for recorded in all(&*forged).await {
        let stream = &recorded.sealed.commit.stream;
        let token = world.journal.check_token(stream).await.unwrap();
        world.journal.append(token, Arc::clone(&recorded.sealed)).await.unwrap();
        if recorded.position.get() % 20 == 0 {
            let signer =
                signer.map(|name| Signer::load_or_make(&world.folder.path().join(name)).unwrap());
            let settings = Settings { segment_bytes_max: SEGMENT_BYTES, ..Settings::new(signer) };
            backup(world.log(), world.target(), settings).await.unwrap();
        }
    }
    if signer.is_none() {
        kept.iter().for_each(|(bytes, name)| world.place.write(name, bytes));
    }
}

async fn an_archive_that_was_rewritten_with_all_its_manifests_is_found_by_its_anchors(sort: Sort) {
    let mut world = World::archived(sort).await;
    rewrite(&mut world, None).await;
    let unsigned = Subject { key: None, ..world.subject() };
    assert_found("old anchors", verify(unsigned).await, "anchor 2 is not what was written");
    let mut world = World::archived(sort).await;
    rewrite(&mut world, Some("other.key")).await;
    assert_found("other key", verify(world.subject()).await, "the signature is not by the key");
}

/// Even by whoever holds the key: an anchor that was given away stays a witness.
async fn a_second_history_is_found_by_an_anchor_that_was_kept(sort: Sort) {
    let mut world = World::archived(sort).await;
    let kept = Anchor::read(&world.place.read(&anchors(&world)[1])).unwrap();
    let with = |world: &World| Subject { kept: Some(kept.clone()), ..world.subject() };
    verify(with(&world)).await.unwrap();
    rewrite(&mut world, Some("anchor.key")).await;
    verify(world.subject()).await.unwrap();
    assert_found("second history", verify(with(&world)).await, "anchor that was kept: number 2");
}

async fn an_old_copy_of_log_and_archive_is_found_by_an_anchor_that_was_kept(sort: Sort) {
    let world = World::archived(sort).await;
    let last = anchors(&world).pop().unwrap();
    let kept = Some(Anchor::read(&world.place.read(&last)).unwrap());
    // As it all was after the second of three steps.
    world.place.remove(&last);
    let newer = |name: &&String| {
        let number = name.split(['/', '.']).nth(1).unwrap();
        number.parse::<u64>().unwrap() > 40
    };
    world
        .place
        .names("segments", "")
        .iter()
        .filter(newer)
        .for_each(|name| world.place.remove(name));
    let old = all(&*world.journal).await.into_iter().take(40);
    let journal = forge(old.map(|recorded| recorded.sealed.commit.clone())).await;
    let subject = Subject { journal: Some(journal), ..world.subject() };
    assert_eq!(verify(subject.clone()).await.unwrap().anchored.get(), 40);
    assert_found("old copy", verify(Subject { kept, ..subject }).await, "number 3, 60 commits");
}
