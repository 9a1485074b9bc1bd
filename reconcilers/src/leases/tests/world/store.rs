//! A store that does what it promises.

use std::collections::BTreeMap;

use super::super::super::member::ANY;
use super::{Change, Revision};

#[derive(Default)]
pub(super) struct Store {
    revision: Revision,
    values: BTreeMap<String, (Revision, Vec<u8>)>,
}

impl Store {
    pub(super) fn write(&mut self, key: &str, expected: u64, value: Vec<u8>) -> Option<Change> {
        let last = self.values.get(key).map_or(0, |(revision, _)| *revision);
        if last != expected && expected != ANY {
            return None;
        }
        self.revision += 1;
        let revision = self.revision;
        self.values.insert(key.to_owned(), (revision, value.clone()));
        Some(Change::Put { key: key.to_owned(), revision, value })
    }

    pub(super) fn all(&self) -> Vec<Change> {
        let values = self.values.iter().map(|(key, (revision, value))| Change::Put {
            key: key.clone(),
            revision: *revision,
            value: value.clone(),
        });
        values.collect()
    }

    pub(super) fn forget(&mut self, key: &str) {
        self.values.remove(key);
    }

    pub(super) fn wipe(&mut self) {
        self.values.clear();
    }
}
