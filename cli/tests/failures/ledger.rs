//! What was done to the simulated world, as the world itself wrote it down.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

/// One thing in the world, by its uid.
#[derive(Default)]
struct Thing {
    id: String,
    created: u32,
    deletions: u32,
    deleted: u32,
    digest: String,
}

/// The effects so far.
#[derive(Default)]
pub(crate) struct Ledger {
    things: HashMap<String, Thing>,
    /// What was done twice.
    pub(crate) doubled: Vec<String>,
    /// How many effects there were.
    pub(crate) effects: usize,
}

impl Ledger {
    /// Reads the world's file.
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut ledger = Self::default();
        // A kill or a full disk may have cut the last line; what is there of it goes before the next one.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for (index, line) in whole.lines().enumerate() {
            match serde_json::from_str::<Value>(line) {
                Ok(entry) => ledger.add(&entry),
                Err(error) => panic!("line {}: {error}: {line}", index + 1),
            }
        }
        ledger.look_for_twins();
        ledger
    }

    /// The uids of what is there, with their ids, in order.
    pub(crate) fn there(&self) -> Vec<(String, String)> {
        let there = self.things.iter().filter(|(_, thing)| thing.deleted == 0);
        let mut there: Vec<_> = there.map(|(uid, thing)| (thing.id.clone(), uid.clone())).collect();
        there.sort();
        there
    }

    fn add(&mut self, entry: &Value) {
        let (name, entry) = entry.as_object().unwrap().iter().next().unwrap();
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let thing = self.things.entry(text("uid")).or_default();
        self.effects += 1;
        let doubled = match name.as_str() {
            "Created" => {
                thing.created += 1;
                (thing.id, thing.digest) = (text("id"), text("digest"));
                thing.created > 1
            }
            "Updated" => std::mem::replace(&mut thing.digest, text("digest")) == text("digest"),
            "DeletionStarted" => {
                thing.deletions += 1;
                thing.deletions > 1
            }
            "Deleted" => {
                thing.deleted += 1;
                thing.deleted > 1
            }
            _ => false,
        };
        if doubled {
            self.doubled.push(format!("{name} twice: {entry}"));
        }
    }

    /// Two things of one name at the same time were made by two who each believed to be alone.
    fn look_for_twins(&mut self) {
        let there = self.there();
        for pair in there.windows(2) {
            if pair[0].0 == pair[1].0 {
                self.doubled.push(format!("two of {}", pair[0].0));
            }
        }
    }
}
