//! What a cluster brings along, as it publishes it: capabilities, and by what they are given.

use std::collections::BTreeMap;
use std::fmt;

use super::{BRINGS, Capability};
use crate::text::{OutputMap, OutputValue};

/// Before what Cairn itself put there.
const OWN: &str = "own:";

/// Who put something into a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// It was there, or came from elsewhere.
    Others,
    /// Cairn, because something needed it.
    Cairn,
}

/// What a cluster brings along: the names of what works, by capability.
///
/// Written as `<capability>/<name>` with a blank between, and `own:` before what Cairn itself put there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brought(BTreeMap<Capability, BTreeMap<String, By>>);

impl Brought {
    /// What a cluster brings along, by what it published; none before it did.
    #[must_use]
    pub fn of(outputs: &OutputMap) -> Option<Self> {
        match outputs.get(BRINGS)? {
            OutputValue::Plain(text) => Some(Self::read(text)),
            OutputValue::Secret(_) => None,
        }
    }

    /// Reads what a cluster published. What this program does not know is left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut brought = Self::default();
        for word in text.split(' ') {
            let (by, word) = match word.strip_prefix(OWN) {
                Some(word) => (By::Cairn, word),
                None => (By::Others, word),
            };
            if let Some((capability, name)) = word.split_once('/')
                && let Some(capability) = Capability::named(capability)
            {
                brought.0.entry(capability).or_default().insert(name.to_owned(), by);
            }
        }
        brought
    }

    /// Says what gives a capability now. True when that is something else than before.
    pub fn set(&mut self, capability: Capability, things: BTreeMap<String, By>) -> bool {
        let before = self.0.entry(capability).or_default();
        let changed = *before != things;
        *before = things;
        changed
    }

    /// What gives a capability: what others put there first, then by name.
    #[must_use]
    pub fn first(&self, capability: Capability) -> Option<&str> {
        let things = self.0.get(&capability)?;
        let first = things.iter().min_by_key(|(name, by)| (**by, name.as_str()));
        first.map(|(name, _)| name.as_str())
    }

    /// Whether others than Cairn give a capability.
    #[must_use]
    pub fn by_others(&self, capability: Capability) -> bool {
        let things = self.0.get(&capability);
        things.is_some_and(|things| things.values().any(|by| *by == By::Others))
    }
}

impl fmt::Display for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.iter().flat_map(|(capability, things)| {
            things.iter().map(move |(name, by)| (capability, name, by))
        });
        for (at, (capability, name, by)) in all.enumerate() {
            let blank = if at == 0 { "" } else { " " };
            let own = if *by == By::Cairn { OWN } else { "" };
            write!(f, "{blank}{own}{}/{name}", capability.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_brought_is_read_as_it_was_written() {
        let mut brought = Brought::default();
        let eg = ("eg".to_owned(), By::Cairn);
        let istio = ("istio".to_owned(), By::Others);
        assert!(brought.set(Capability::Gateway, [eg.clone(), istio.clone()].into()));
        assert!(!brought.set(Capability::Gateway, [eg, istio].into()));
        brought.set(Capability::Metrics, [("v1beta1.metrics.k8s.io".to_owned(), By::Cairn)].into());
        brought.set(Capability::Dns, BTreeMap::new());
        let text = brought.to_string();
        assert_eq!(text, "own:gateway/eg gateway/istio own:metrics/v1beta1.metrics.k8s.io");
        let read = Brought::read(&text);
        assert_eq!(read.first(Capability::Gateway), Some("istio"));
        assert!(read.by_others(Capability::Gateway) && !read.by_others(Capability::Metrics));
        assert_eq!(read.first(Capability::Metrics), Some("v1beta1.metrics.k8s.io"));
        assert_eq!(read.first(Capability::Dns), None);
        assert_eq!(Brought::read("").first(Capability::Gateway), None);
        assert_eq!(Brought::read("levitation/x nothing"), Brought::default());
    }
}
