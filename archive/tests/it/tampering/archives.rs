//! What is done to an archive, by somebody who can do everything but sign.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archive::{Anchor, Folder, Settings, Signer, Subject, backup, verify};
use domain::commit::{Commit, Hash};
use journal::Journal;
use journal::memory::MemoryJournal;

use super::assert_found;
use super::logs::rewritten;
use crate::world::{SEGMENT_BYTES, World, all, files, forge};

/// Replaces a text in a file.
fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn swap(one: &Path, other: &Path) {
    let (first, second) = (fs::read(one).unwrap(), fs::read(other).unwrap());
    fs::write(one, second).unwrap();
    fs::write(other, first).unwrap();
}

fn segments(world: &World) -> Vec<PathBuf> {
    world.files("segments", ".zst")
}

fn manifests(world: &World) -> Vec<PathBuf> {
    world.files("segments", ".json")
}

fn anchors(world: &World) -> Vec<PathBuf> {
    world.files("anchors", ".json")
}

fn stated(path: &Path, field: &str) -> String {
    let json: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    json[field].to_string().trim_matches('"').to_owned()
}

type Case = (&'static str, fn(&World), &'static str);

const CASES: &[Case] = &[
    (
        "a byte of a segment is flipped",
        |world| {
            let path = &segments(world)[3];
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        },
        "is not what was written",
    ),
    (
        "a segment is cut in half",
        |world| {
            let path = &segments(world)[3];
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        },
        "it cannot be read",
    ),
    (
        "a segment is removed",
        |world| fs::remove_file(&segments(world)[3]).unwrap(),
        "it is missing",
    ),
    (
        "a manifest is removed",
        |world| fs::remove_file(&manifests(world)[3]).unwrap(),
        "it is missing",
    ),
    (
        "a segment is removed with its manifest",
        |world| {
            fs::remove_file(&segments(world)[3]).unwrap();
            fs::remove_file(&manifests(world)[3]).unwrap();
        },
        "should be",
    ),
    (
        "the end is cut off",
        |world| {
            fs::remove_file(segments(world).last().unwrap()).unwrap();
            fs::remove_file(manifests(world).last().unwrap()).unwrap();
        },
        "but the archive ends at",
    ),
    (
        "two segments are swapped",
        |world| swap(&segments(world)[3], &segments(world)[4]),
        "should be",
    ),
    (
        "two segments are swapped with their manifests",
        |world| {
            swap(&segments(world)[3], &segments(world)[4]);
            swap(&manifests(world)[3], &manifests(world)[4]);
        },
        "should be",
    ),
    (
        "a segment is there twice",
        |world| {
            for (path, end) in [(&segments(world)[3], "zst"), (&manifests(world)[3], "json")] {
                fs::copy(path, path.with_file_name(format!("{:020}.{end}", 61))).unwrap();
            }
        },
        "should be",
    ),
    (
        "a manifest states another number of events",
        |world| {
            let path = &manifests(world)[3];
            let events = format!("\"events\":{}", stated(path, "events"));
            edit(path, &events, "\"events\":99");
        },
        "a number of events of 99",
    ),
    (
        "a manifest states another digest",
        |world| {
            let path = &manifests(world)[3];
            edit(path, &stated(path, "sha256"), &Hash::of(b"x").to_hex());
        },
        "the digest",
    ),
    (
        "a manifest is rewritten, in words only",
        |world| edit(&manifests(world)[3], "{", "{ "),
        "it continues",
    ),
    (
        "an anchor states another root",
        |world| {
            let path = &anchors(world)[1];
            edit(path, &stated(path, "root"), &Hash::of(b"x").to_hex());
        },
        "the signature is not by the key",
    ),
    (
        "an anchor is signed by another key",
        |world| {
            let path = &anchors(world)[2];
            let other = Signer::load_or_make(&world.folder.path().join("other.key")).unwrap();
            let anchor = Anchor::read(&fs::read(path).unwrap()).unwrap();
            let before = Anchor::read(&fs::read(&anchors(world)[1]).unwrap()).unwrap();
            let (size, root) = (anchor.statement.size, anchor.statement.root);
            let forged = Anchor::sign(&other, Some(&before), size, root, anchor.statement.time);
            fs::write(path, forged.bytes).unwrap();
        },
        "the signature is not by the key",
    ),
    (
        "an anchor in the middle is removed",
        |world| fs::remove_file(&anchors(world)[1]).unwrap(),
        "the number",
    ),
    ("two anchors are swapped", |world| swap(&anchors(world)[0], &anchors(world)[1]), "the number"),
    (
        "an old anchor is replayed as a new one",
        |world| {
            let first = &anchors(world)[0];
            fs::copy(first, first.with_file_name(format!("{:020}.json", 4))).unwrap();
        },
        "the number",
    ),
    (
        "an anchor's time is set back",
        |world| {
            let path = &anchors(world)[2];
            edit(path, &stated(path, "time"), "2001-01-01T00:00:00.000000Z");
        },
        "is not what was written",
    ),
];

#[tokio::test]
async fn each_kind_of_tampering_with_an_archive_is_found() {
    for (case, tamper, expected) in CASES {
        let world = World::archived().await;
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
    fs::remove_dir_all(world.archive().join("segments")).unwrap();
    let kept = world.folder.path().join("kept");
    fs::rename(world.archive().join("anchors"), &kept).unwrap();
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
        fs::rename(&kept, world.archive().join("anchors")).unwrap();
    }
}

#[tokio::test]
async fn an_archive_that_was_rewritten_with_all_its_manifests_is_found_by_its_anchors() {
    let mut world = World::archived().await;
    rewrite(&mut world, None).await;
    let unsigned = Subject { key: None, ..world.subject() };
    assert_found("old anchors", verify(unsigned).await, "anchor 2 is not what was written");
    let mut world = World::archived().await;
    rewrite(&mut world, Some("other.key")).await;
    assert_found("other key", verify(world.subject()).await, "the signature is not by the key");
}

/// Even by whoever holds the key: an anchor that was given away stays a witness.
#[tokio::test]
async fn a_second_history_is_found_by_an_anchor_that_was_kept() {
    let mut world = World::archived().await;
    let kept = Anchor::read(&fs::read(&anchors(&world)[1]).unwrap()).unwrap();
    let with = |world: &World| Subject { kept: Some(kept.clone()), ..world.subject() };
    verify(with(&world)).await.unwrap();
    rewrite(&mut world, Some("anchor.key")).await;
    verify(world.subject()).await.unwrap();
    assert_found("second history", verify(with(&world)).await, "anchor that was kept: number 2");
}

#[tokio::test]
async fn an_old_copy_of_log_and_archive_is_found_by_an_anchor_that_was_kept() {
    let world = World::archived().await;
    let last = anchors(&world).pop().unwrap();
    let kept = Some(Anchor::read(&fs::read(&last).unwrap()).unwrap());
    // As it all was after the second of three steps.
    fs::remove_file(&last).unwrap();
    let newer = |path: &PathBuf| {
        let first = path.file_stem().unwrap().to_string_lossy().parse::<u64>().unwrap();
        first > 40
    };
    for path in files(&world.archive().join("segments"), "").iter().filter(|path| newer(path)) {
        fs::remove_file(path).unwrap();
    }
    let old = all(&*world.journal).await.into_iter().take(40);
    let journal = forge(old.map(|recorded| recorded.sealed.commit.clone())).await;
    let archive = Some(Arc::new(Folder::new(world.archive())) as Arc<dyn archive::Target>);
    let subject = Subject { journal: Some(journal), archive, ..world.subject() };
    assert_eq!(verify(subject.clone()).await.unwrap().anchored.get(), 40);
    assert_found("old copy", verify(Subject { kept, ..subject }).await, "number 3, 60 commits");
}
