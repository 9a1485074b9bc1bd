//! How objects differ from what was asked for.

use domain::commit::Hash;
use reconcilers::converge::{Changed, Seen};

use crate::objects::Key;
use crate::ownership::Lost;

/// All differences of a resource's objects.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    all: Vec<Changed>,
    lacking: bool,
}

impl Differences {
    /// Something is not there.
    pub(crate) fn deleted(&mut self, what: &str) {
        self.lacking = true;
        self.all.push(Changed { detail: format!("{what} was deleted"), by: None });
    }

    /// A field of an object is not ours any more, or gone.
    pub(crate) fn changed(&mut self, key: &Key, Lost { path, by }: Lost) {
        let what = if by.is_some() { "changed" } else { "removed" };
        self.all.push(Changed { detail: format!("{key}: {path} was {what}"), by });
    }

    /// Says so of what was seen: the first in words, all of them by their digest.
    pub(crate) fn tell(self, seen: &mut Seen) {
        let words = self.all.iter().map(|one| format!("{} {:?}\n", one.detail, one.by));
        let digest = Hash::of(words.collect::<String>().as_bytes());
        let Some(first) = self.all.into_iter().next() else { return };
        seen.actual = digest;
        seen.changed = Some(first);
        seen.lacking = self.lacking;
    }
}

#[cfg(test)]
mod tests {
    use reconcilers::converge::SeenState;

    use super::*;

    fn seen(differences: &[&str], deleted: Option<&str>) -> Seen {
        let key = Key {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: None,
            name: "a".into(),
        };
        let mut all = Differences::default();
        for path in differences {
            all.changed(&key, Lost { path: (*path).into(), by: Some("ada".into()) });
        }
        deleted.into_iter().for_each(|what| all.deleted(what));
        let mut seen = Seen::new(Hash::of(b"wanted"), SeenState::Ready);
        all.tell(&mut seen);
        seen
    }

    #[test]
    fn every_difference_counts_and_what_is_not_there_is_told_apart() {
        let (none, one) = (seen(&[], None), seen(&["data.a"], None));
        assert!(none.changed.is_none() && none.actual == none.applied);
        let more = seen(&["data.a", "data.b"], None);
        assert_eq!(one.changed, more.changed, "the first in words");
        assert_ne!(one.actual, more.actual);
        let lacking = seen(&["data.a"], Some("b"));
        assert!(lacking.lacking && !more.lacking && lacking.actual != one.actual);
    }
}
