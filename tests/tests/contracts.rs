//! The event contracts under `schema/events/` are what the code says, and what is released stays as it was.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use domain::commit::Hash;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema/events")
}

fn stored(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.unwrap();
        if entry.path().extension().is_some_and(|extension| extension == "json") {
            let path = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            files.insert(path, fs::read_to_string(entry.path()).unwrap());
        }
    }
    files
}

fn generated() -> BTreeMap<String, String> {
    let pretty = |schema| serde_json::to_string_pretty(&schema).unwrap() + "\n";
    domain::schema::contracts().into_iter().map(|(path, schema)| (path, pretty(schema))).collect()
}

#[test]
fn the_stored_contracts_are_those_of_the_code() {
    let folder = folder();
    if std::env::var_os("BLESS").is_some() {
        for (path, text) in generated() {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    let (stored, generated) = (stored(&folder), generated());
    for (path, text) in &generated {
        assert_eq!(
            stored.get(path),
            Some(text),
            "schema/events/{path} is not what the code says: `make bless`, then read the diff"
        );
    }
    let left_over: Vec<_> = stored.keys().filter(|path| !generated.contains_key(*path)).collect();
    assert!(left_over.is_empty(), "no event has these contracts any more: {left_over:?}");
}

/// Lines of `schema/events/FROZEN`: `<sha256> <path>`, one for each contract of a released version.
fn changed_since_release(frozen: &str, stored: &BTreeMap<String, String>) -> Vec<String> {
    let lines = frozen.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .filter_map(|line| {
            let (hash, path) = line.split_once(' ')?;
            let same =
                stored.get(path).is_some_and(|text| Hash::of(text.as_bytes()).to_hex() == hash);
            (!same).then(|| path.to_owned())
        })
        .collect()
}

#[test]
fn released_contracts_never_change() {
    let frozen = fs::read_to_string(folder().join("FROZEN")).unwrap();
    let changed = changed_since_release(&frozen, &stored(&folder()));
    assert!(
        changed.is_empty(),
        "released contracts are frozen; add a new version and an upcast instead: {changed:?}"
    );
}

#[test]
fn a_changed_frozen_contract_is_noticed() {
    let stored = BTreeMap::from([("a/b.v1.json".to_owned(), "{}".to_owned())]);
    let right = format!("# comment\n{} a/b.v1.json\n", Hash::of(b"{}"));
    let wrong = format!("{} a/b.v1.json\n", Hash::of(b"[]"));
    assert!(changed_since_release(&right, &stored).is_empty());
    assert_eq!(changed_since_release(&wrong, &stored), ["a/b.v1.json"]);
}

#[test]
fn no_contract_has_a_place_for_a_secret_value() {
    let suspicious = [
        "\"password\":",
        "\"secret_value\":",
        "\"secretValue\":",
        "\"private_key\":",
        "\"token\":",
    ];
    for (path, text) in generated() {
        for word in suspicious {
            assert!(
                !text.contains(word),
                "{path} has {word}: only references may be recorded (invariant 12)"
            );
        }
    }
}
