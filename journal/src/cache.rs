//! A bounded map that forgets what was not used lately.

use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use foldhash::{HashMap, HashMapExt as _};

/// Two generations: what is used is kept in the young one; when that is half of the bound, the old one is
/// forgotten and the young one grows old. Never more than `entries_max` entries, a lookup or two each.
pub(crate) struct Cache<K, V> {
    entries_max: usize,
    generations: Mutex<Generations<K, V>>,
}

struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new(entries_max: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new() };
        Self { entries_max, generations: Mutex::new(generations) }
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        let generations = self.lock();
        generations.young.contains_key(key) || generations.old.contains_key(key)
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let mut generations = self.lock();
        if let Some(value) = generations.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = generations.old.remove_entry(key)?;
        self.insert(&mut generations, key, value.clone());
        Some(value)
    }

    /// Keeps `value` unless `keep` says that what is there is better.
    pub(crate) fn put_unless(&self, key: K, value: V, keep: impl FnOnce(&V) -> bool) {
        let mut generations = self.lock();
        let present = generations.young.get(&key).or_else(|| generations.old.get(&key));
        if present.is_some_and(keep) {
            return;
        }
        generations.old.remove(&key);
        self.insert(&mut generations, key, value);
    }

    pub(crate) fn remove(&self, key: &K) {
        let mut generations = self.lock();
        generations.young.remove(key);
        generations.old.remove(key);
    }

    fn insert(&self, generations: &mut Generations<K, V>, key: K, value: V) {
        if generations.young.len() >= self.entries_max.div_ceil(2) {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(key, value);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations<K, V>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_what_is_used_and_stays_within_its_bound() {
        let cache = Cache::new(8);
        cache.put_unless(0, 'a', |_| false);
        for key in 1..100 {
            cache.put_unless(key, 'b', |_| false);
            assert_eq!(cache.get(&0), Some('a'));
            let generations = cache.lock();
            assert!(generations.young.len() + generations.old.len() <= 8);
        }
        assert_eq!(cache.get(&1), None);
        cache.put_unless(0, 'z', |&present| present == 'a');
        assert_eq!(cache.get(&0), Some('a'));
        cache.remove(&0);
        assert_eq!(cache.get(&0), None);
    }
}
